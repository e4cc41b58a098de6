//! What is new: items by when they began, which is when they were created or, where that is later, when they may first be shown. An item
//! enters the list at that moment by itself, without another event. One list of all items, and one for each kind. Bounded: of each partition of
//! items the newest stay, so that it does not matter how far servers are in other partitions.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::Scored;
use super::dictionary::Dictionary;
use super::ranked::MOST_LISTED;
use super::trending::Named;
use crate::types::time::DAY;
use crate::types::{ITEM_PARTITIONS, Millis, Ordinal};

/// Items that are kept of one partition, those that are still to come included; about 120 bytes each, 100,000 in all.
const MOST_KEPT: usize = 100_000 / ITEM_PARTITIONS as usize;
/// After this long a score is half.
const HALF_LIFE: Millis = 3 * DAY;

/// Newest first, then by hash of the id.
type Place = (Reverse<Millis>, u64, Ordinal);

/// The live lists `fresh`.
#[derive(Debug, Default)]
pub struct Fresh {
    pub(super) places: FxHashMap<Ordinal, (Place, u32)>,
    all: BTreeSet<Place>,
    /// By partition.
    parts: Vec<BTreeSet<Place>>,
    /// Texts of the kinds; a code is a place in `by_kind`.
    pub(super) kinds: Dictionary,
    by_kind: Vec<BTreeSet<Place>>,
}

impl Fresh {
    /// Says when an item begins; `None`: that is not known, or it is deleted.
    pub fn say(&mut self, named: Named<'_>, begins: Option<Millis>) {
        self.drop_item(named.item);
        let Some(begins) = begins else { return };
        let kind = self.kinds.intern(named.kind);
        if self.by_kind.len() <= kind as usize {
            self.by_kind.resize_with(kind as usize + 1, BTreeSet::new);
        }
        let place = (Reverse(begins), named.tie, named.item);
        self.places.insert(named.item, (place, kind));
        self.all.insert(place);
        self.by_kind[kind as usize].insert(place);
        self.parts.resize_with(ITEM_PARTITIONS.into(), BTreeSet::new);
        let part = &mut self.parts[part(named.tie)];
        part.insert(place);
        if part.len() > MOST_KEPT
            && let Some((_, _, oldest)) = part.last().copied()
        {
            self.drop_item(oldest);
        }
    }

    /// The newest items of a kind (empty: of all) that have begun by `now_ms`, newest first; the score halves every three days. `false` for a
    /// kind that no item here has.
    pub fn list(&self, kind: &str, now_ms: Millis, at_most: usize, out: &mut Vec<Scored>) -> bool {
        let list = match kind {
            "" => Some(&self.all),
            kind => self.kinds.code(kind).and_then(|code| self.by_kind.get(code as usize)),
        };
        let Some(list) = list else { return false };
        let begun = list.range((Reverse(now_ms), 0, 0)..).take(at_most.min(MOST_LISTED));
        out.extend(begun.map(|(Reverse(begins), _, item)| {
            let age = now_ms.saturating_sub(*begins) as f64;
            let score = ((-age / HALF_LIFE as f64).exp2() as f32).max(f32::MIN_POSITIVE);
            Scored { item: *item, score }
        }));
        true
    }

    /// When an item begins, where that is kept.
    #[must_use]
    pub fn begins(&self, item: Ordinal) -> Option<Millis> {
        self.places.get(&item).map(|((Reverse(begins), ..), _)| *begins)
    }

    /// Makes the kinds known, in order of their codes.
    pub(super) fn put_kinds(&mut self, kinds: &[String]) {
        for kind in kinds {
            self.kinds.intern(kind);
        }
        self.by_kind.resize_with(self.kinds.len(), BTreeSet::new);
    }

    fn drop_item(&mut self, item: Ordinal) {
        let Some((place, kind)) = self.places.remove(&item) else { return };
        self.all.remove(&place);
        if let Some(part) = self.parts.get_mut(part(place.1)) {
            part.remove(&place);
        }
        if let Some(of_kind) = self.by_kind.get_mut(kind as usize) {
            of_kind.remove(&place);
        }
    }
}

/// The partition of an item, by the hash of its id.
fn part(tie: u64) -> usize {
    (tie % u64::from(ITEM_PARTITIONS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(item: Ordinal, kind: &str) -> Named<'_> {
        Named { item, tie: u64::from(item % 3), kind }
    }

    fn listed(fresh: &Fresh, kind: &str, now: Millis) -> Option<Vec<Ordinal>> {
        let mut out = Vec::new();
        fresh.list(kind, now, 500, &mut out).then(|| out.iter().map(|s| s.item).collect())
    }

    #[test]
    fn an_item_enters_when_its_time_comes_and_fades() {
        let mut fresh = Fresh::default();
        fresh.say(named(1, "ad"), Some(10));
        fresh.say(named(2, "ad"), Some(30));
        fresh.say(named(3, "film"), Some(20));
        assert_eq!(listed(&fresh, "", 25), Some(vec![3, 1]));
        assert_eq!(listed(&fresh, "", 30), Some(vec![2, 3, 1]));
        assert_eq!((listed(&fresh, "ad", 30), listed(&fresh, "none", 30)), (Some(vec![2, 1]), None));
        fresh.say(named(2, "film"), Some(15));
        fresh.say(named(1, "ad"), None);
        assert_eq!((listed(&fresh, "film", 30), listed(&fresh, "ad", 30)), (Some(vec![3, 2]), Some(vec![])));
        let mut out = Vec::new();
        fresh.list("", 20 + HALF_LIFE, 1, &mut out);
        assert_eq!((out[0].item, out[0].score, fresh.begins(3)), (3, 0.5, Some(20)));
    }

    #[test]
    fn of_each_partition_the_newest_stay_whatever_comes_of_others() {
        let mut fresh = Fresh::default();
        let most = MOST_KEPT as u32;
        let named = |item: u32| Named { item, tie: u64::from(item % 2), kind: "x" };
        for item in (0..2 * (most + 10)).filter(|item| item % 2 == 0 || *item < 20) {
            fresh.say(named(item), Some(i64::from(item)));
        }
        let kept = MOST_KEPT + 10;
        assert_eq!((fresh.all.len(), fresh.places.len(), fresh.by_kind[0].len()), (kept, kept, kept));
        assert_eq!((fresh.begins(18), fresh.begins(19), fresh.begins(20)), (None, Some(19), Some(20)));
    }

    proptest! {
        #[test]
        fn what_is_listed_is_what_sorting_lists(said in prop::collection::vec((0u32..9, 0i64..9), 0..40), now in 0i64..9) {
            let (mut fresh, mut plain) = (Fresh::default(), std::collections::BTreeMap::new());
            for (item, begins) in said {
                fresh.say(named(item, "x"), Some(begins));
                plain.insert(item, begins);
            }
            let mut plain: Vec<_> = plain.into_iter().filter(|(_, begins)| *begins <= now).collect();
            plain.sort_by_key(|(item, begins)| (Reverse(*begins), item % 3, *item));
            let plain: Vec<u32> = plain.into_iter().map(|(item, _)| item).collect();
            prop_assert_eq!(listed(&fresh, "", now), Some(plain));
        }
    }
}
