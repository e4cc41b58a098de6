//! Whom a person is tied to, and who is tied to them, by relation: following, friends, blocks. Each tie merges as a field does. Bounded by
//! relation and direction: the newest stay. Not for attributes, which say something of one person only.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::merge::Stamp;
use crate::types::Id;

/// Relations and sides that are kept of one person; what comes by others then is left out.
const MOST_LISTS: usize = 128;

/// From whose side a tie is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The person is tied to the other: follows them.
    To,
    /// The other is tied to the person: follows this one.
    From,
}

/// One tie, or that there is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tie {
    /// The other user.
    pub other: Id,
    /// When and by whom it was said; `present`: there is a tie.
    pub stamp: Stamp,
}

/// All ties of one person. 40 bytes each, and the other's id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ties {
    /// In order of the other's id.
    by: BTreeMap<(String, Side), Vec<Tie>>,
    /// Whether a bound has left any out, whose ids may still name this person.
    more: bool,
}

impl Ties {
    /// Merges what was said of one tie: the newer counts; of equal times the source of higher priority, then that there is none. At most
    /// `most` of each relation and side stay, the newest.
    pub fn say(&mut self, relation: &str, side: Side, tie: Tie, most: usize) {
        if !self.by.keys().any(|(name, of)| name == relation && *of == side) {
            if self.by.len() >= MOST_LISTS {
                self.more = true;
                return;
            }
            self.by.insert((relation.to_owned(), side), Vec::new());
        }
        let Some((_, list)) = self.by.iter_mut().find(|((name, of), _)| name == relation && *of == side)
        else {
            return;
        };
        match list.binary_search_by(|known| known.other.cmp(&tie.other)) {
            Ok(at) => {
                let old = &list[at].stamp;
                if old.order(&tie.stamp).then(tie.stamp.present.cmp(&old.present)).is_lt() {
                    list[at] = tie;
                }
            }
            Err(at) => list.insert(at, tie),
        }
        if list.len() > most {
            let oldest = list.iter().min_by_key(|tie| (tie.stamp.time, Reverse(&tie.other)));
            let oldest = oldest.map(|tie| tie.other.clone());
            list.retain(|tie| Some(&tie.other) != oldest.as_ref());
            self.more = true;
        }
    }

    /// Those a person is tied to by a relation (or who are tied to them), newest first, of equal times by id.
    #[must_use]
    pub fn of(&self, relation: &str, side: Side) -> Vec<&Id> {
        let all = self.by.iter().filter(|((name, of), _)| name == relation && *of == side);
        let mut ties: Vec<&Tie> = all.flat_map(|(_, list)| list).filter(|tie| tie.stamp.present).collect();
        ties.sort_by_key(|tie| (Reverse(tie.stamp.time), &tie.other));
        ties.into_iter().map(|tie| &tie.other).collect()
    }

    /// Every relation and side of which anything was said, with what was said, in order of names and of ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Side, &[Tie])> {
        self.by.iter().map(|((relation, side), list)| (relation.as_str(), *side, list.as_slice()))
    }

    /// Whether nothing was ever said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by.is_empty()
    }

    /// Whether a bound has left any out.
    #[must_use]
    pub fn more(&self) -> bool {
        self.more
    }

    /// Says that a bound has left some out, as [`Ties::more`] tells.
    pub fn set_more(&mut self, more: bool) {
        self.more = more;
    }

    /// Whether anything here names this user.
    #[must_use]
    pub fn name(&self, user: &Id) -> bool {
        self.by.values().any(|list| list.binary_search_by(|tie| tie.other.cmp(user)).is_ok())
    }

    /// Drops all that names a user who asked to be forgotten.
    pub fn forget(&mut self, user: &Id) {
        self.by.values_mut().for_each(|list| list.retain(|tie| tie.other != *user));
        self.by.retain(|_, list| !list.is_empty());
    }

    /// Everybody who is named here.
    pub fn others(&self) -> impl Iterator<Item = &Id> {
        self.by.values().flatten().map(|tie| &tie.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tie(n: u8, time: i64, present: bool) -> Tie {
        Tie { other: Id::new(&format!("u{n}")).unwrap(), stamp: Stamp { time, priority: 0, present } }
    }

    fn names(ties: &Ties, relation: &str, side: Side) -> Vec<String> {
        ties.of(relation, side).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_stay_and_come_first() {
        let mut ties = Ties::default();
        (0..6).for_each(|n| ties.say("follow", Side::To, tie(n, i64::from(n), true), 4));
        ties.say("follow", Side::From, tie(9, 9, true), 4);
        ties.say("block", Side::To, tie(8, 9, true), 4);
        assert_eq!(names(&ties, "follow", Side::To), ["u5", "u4", "u3", "u2"]);
        assert!(ties.more());
        ties.say("follow", Side::To, tie(4, 7, false), 4);
        assert_eq!(names(&ties, "follow", Side::To), ["u5", "u3", "u2"]);
        assert!(ties.name(&tie(8, 0, true).other) && !ties.name(&tie(0, 0, true).other));
        ties.forget(&tie(8, 0, true).other);
        assert!(names(&ties, "block", Side::To).is_empty() && !ties.name(&tie(8, 0, true).other));
        assert_eq!(ties.others().count(), 5);
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(
            (said, mixed) in prop::collection::vec((0u8..4, 0i64..4, any::<bool>()), 1..20).prop_flat_map(|said| {
                let twice: Vec<_> = said.iter().chain(&said).copied().collect();
                (Just(said), Just(twice).prop_shuffle())
            }),
        ) {
            let run = |said: &[(u8, i64, bool)]| {
                let mut ties = Ties::default();
                said.iter().for_each(|(n, time, is)| ties.say("follow", Side::To, tie(*n, *time, *is), 100));
                ties
            };
            prop_assert_eq!(run(&said), run(&mixed));
        }
    }
}
