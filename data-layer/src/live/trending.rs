//! What is done most just now: an exponentially decayed sum of positive weights per item, half-life three days. The order does
//! not depend on the clock: scores are compared as logarithms against a fixed epoch, and computed from integer buckets. One list of all
//! items, and one for each kind.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::dictionary::Dictionary;
use super::ids::Ids;
use super::ranked::{MOST_LISTED, Place, Ranked, Score};
use super::sum::{Buckets, micros};
use crate::types::time::HOUR;
use crate::types::{Millis, Ordinal};

use super::Scored;

/// After this long an action counts half.
pub const HALF_LIFE: Millis = 72 * HOUR;
/// Longest list that is given out.
pub const MOST_TRENDING: usize = MOST_LISTED;
/// Width of one bucket.
const BUCKET: Millis = 6 * HOUR;
/// Buckets kept per item, newest included: 30 days, ten half-lives.
const KEPT: i32 = 120;
/// Half-lives that one bucket is.
const PER_BUCKET: f64 = BUCKET as f64 / HALF_LIFE as f64;

#[derive(Debug)]
pub(super) struct Item {
    pub(super) buckets: Buckets,
    place: Option<Place>,
    /// Code of its kind.
    pub(super) kind: u32,
}

/// What a weight adds, in millionths; 0 where it is not positive.
#[must_use]
pub fn worth(weight: f32) -> i128 {
    // `max` drops what is no number.
    micros(f64::from(weight.max(0.0)))
}

/// The live lists `trending`.
#[derive(Debug, Default)]
pub struct Trending {
    pub(super) items: FxHashMap<Ordinal, Item>,
    all: Ranked,
    /// Texts of the kinds; a code is a place in `by_kind`.
    pub(super) kinds: Dictionary,
    by_kind: Vec<Ranked>,
}

/// An item as this list knows it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// Its ordinal.
    pub item: Ordinal,
    /// The hash of its id.
    pub tie: u64,
    /// Its kind.
    pub kind: &'a str,
}

impl Trending {
    /// Adds a positive weight at its event time; other weights change nothing.
    pub fn add(&mut self, named: Named<'_>, weight: f32, time: Millis) {
        self.change(named, worth(weight), bucket(time));
    }

    /// Adds many weights of one hour since the epoch, in millionths as [`worth`] says; exactly as one after the other.
    pub fn add_many(&mut self, named: Named<'_>, worth: i128, hour: i32) {
        self.change(named, worth, hour.div_euclid((BUCKET / HOUR) as i32));
    }

    /// Takes a weight back that was added.
    pub fn undo(&mut self, named: Named<'_>, weight: f32, time: Millis) {
        self.change(named, -worth(weight), bucket(time));
    }

    /// Moves an item to the list of the kind that it has now.
    pub fn say_kind(&mut self, named: Named<'_>) {
        let Some(entry) = self.items.get(&named.item) else { return };
        if self.kinds.text(entry.kind) == named.kind {
            return;
        }
        let (old, place) = (entry.kind, entry.place);
        let kind = self.kind(named.kind);
        if let Some(entry) = self.items.get_mut(&named.item) {
            entry.kind = kind;
        }
        self.place_kind(old, place, None);
        self.place_kind(kind, None, place);
    }

    /// The best items of a kind (empty: of all), best first; scores are relative to the best one's, in (0, 1]. `false` for a kind that
    /// no item here has.
    pub fn list(&self, kind: &str, at_most: usize, out: &mut Vec<Scored>) -> bool {
        let ranked = match kind {
            "" => Some(&self.all),
            kind => self.kinds.code(kind).and_then(|code| self.by_kind.get(code as usize)),
        };
        let Some(ranked) = ranked else { return false };
        let Some((best, _)) = ranked.best().next() else { return true };
        let relative = |score: f64| ((score - best).exp2() as f32).max(f32::MIN_POSITIVE);
        out.extend(ranked.best().take(at_most).map(|(s, item)| Scored { item, score: relative(s) }));
        true
    }

    /// When the newest action that counts was, at the latest: the end of its six hours.
    #[must_use]
    pub fn newest(&self, item: Ordinal) -> Option<Millis> {
        let bucket = self.items.get(&item)?.buckets.newest()?;
        Some((i64::from(bucket) + 1) * BUCKET)
    }

    /// Puts back items with the code of their kind and their buckets, into an empty list; `kinds` are the texts of the codes.
    pub(super) fn put_all(&mut self, kinds: &[String], all: Vec<(Ordinal, u32, Buckets)>, ids: &Ids) {
        for kind in kinds {
            self.kind(kind);
        }
        self.items.reserve(all.len());
        for (item, kind, buckets) in all {
            let score = buckets.score(PER_BUCKET);
            let place = score.map(|score| (Reverse(Score(score)), ids.tie(item), item));
            self.items.insert(item, Item { buckets, place, kind });
            if !self.all.set(None, place) {
                self.all.refill(self.items.values().filter_map(|item| item.place));
            }
            self.place_kind(kind, None, place);
        }
    }

    fn change(&mut self, named: Named<'_>, by: i128, bucket: i32) {
        if by == 0 {
            return;
        }
        let kind = match self.items.get(&named.item) {
            Some(entry) => entry.kind,
            None => self.kind(named.kind),
        };
        let (buckets, place) = (Buckets::default(), None);
        let entry = self.items.entry(named.item).or_insert(Item { buckets, place, kind });
        entry.buckets.add(bucket, by, KEPT);
        let place = entry.buckets.score(PER_BUCKET);
        let place = place.map(|score| (Reverse(Score(score)), named.tie, named.item));
        let old = std::mem::replace(&mut entry.place, place);
        if old == place {
            return;
        }
        if !self.all.set(old.as_ref(), place) {
            self.all.refill(self.items.values().filter_map(|item| item.place));
        }
        self.place_kind(kind, old, place);
    }

    fn place_kind(&mut self, kind: u32, old: Option<Place>, new: Option<Place>) {
        let Some(ranked) = self.by_kind.get_mut(kind as usize) else { return };
        if !ranked.set(old.as_ref(), new) {
            let of_it = self.items.values().filter(|item| item.kind == kind);
            ranked.refill(of_it.filter_map(|item| item.place));
        }
    }

    fn kind(&mut self, kind: &str) -> u32 {
        let code = self.kinds.intern(kind);
        if self.by_kind.len() <= code as usize {
            self.by_kind.resize_with(code as usize + 1, Ranked::default);
        }
        code
    }
}

/// The bucket of a time.
fn bucket(time: Millis) -> i32 {
    time.div_euclid(BUCKET).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::DAY;
    use proptest::prelude::*;

    fn named(item: Ordinal) -> Named<'static> {
        Named { item, tie: u64::from(item), kind: if item.is_multiple_of(2) { "even" } else { "odd" } }
    }

    fn listed(trending: &Trending) -> Vec<(Ordinal, f32)> {
        let mut out = Vec::new();
        trending.list("", 500, &mut out);
        out.iter().map(|s| (s.item, s.score)).collect()
    }

    #[test]
    fn three_days_older_counts_half() {
        let mut trending = Trending::default();
        trending.add(named(1), 2.0, 1000 * DAY);
        trending.add(named(2), 2.0, 1003 * DAY);
        trending.add(named(3), -2.0, 1003 * DAY);
        assert_eq!(listed(&trending), [(2, 1.0), (1, 0.5)]);
    }

    #[test]
    fn each_kind_has_a_list_and_an_item_moves_with_its_kind() {
        let mut trending = Trending::default();
        (1..5).for_each(|item| trending.add(named(item), item as f32, 1000 * DAY));
        let of = |trending: &Trending, kind: &str| {
            let mut out = Vec::new();
            let known = trending.list(kind, 500, &mut out);
            known.then(|| out.iter().map(|s| s.item).collect::<Vec<_>>())
        };
        assert_eq!(of(&trending, "odd"), Some(vec![3, 1]));
        trending.say_kind(Named { kind: "even", ..named(3) });
        trending.say_kind(Named { kind: "even", ..named(9) });
        assert_eq!((of(&trending, "odd"), of(&trending, "even")), (Some(vec![1]), Some(vec![4, 3, 2])));
        trending.undo(Named { kind: "even", ..named(3) }, 3.0, 1000 * DAY);
        assert_eq!((of(&trending, ""), of(&trending, "none")), (Some(vec![4, 2, 1]), None));
        assert_eq!(of(&trending, "even"), Some(vec![4, 2]));
    }

    #[test]
    fn the_greatest_weights_never_overflow() {
        let mut trending = Trending::default();
        for _ in 0..20_000 {
            trending.add(named(1), f32::MAX, 0);
        }
        assert_eq!(listed(&trending), [(1, 1.0)]);
    }

    proptest! {
        #[test]
        fn order_of_arrival_does_not_matter_and_undo_undoes(
            events in prop::collection::vec((0u32..4, 1u8..9, 0..60 * DAY), 1..40),
            extra in (0u32..4, 1u8..9, 30 * DAY..60 * DAY),
        ) {
            let run = |events: &[(u32, u8, Millis)]| {
                let mut trending = Trending::default();
                for (item, weight, time) in events {
                    trending.add(named(*item), f32::from(*weight), *time);
                }
                trending
            };
            let mut backwards = events.clone();
            backwards.reverse();
            prop_assert_eq!(listed(&run(&events)), listed(&run(&backwards)));
            let mut undone = run(&events);
            undone.add(named(extra.0), f32::from(extra.1), extra.2);
            undone.undo(named(extra.0), f32::from(extra.1), extra.2);
            let newest = |item: u32| events.iter().filter(|e| e.0 == item).map(|e| e.2).max();
            // Where the undone event was the item's newest, buckets it pushed out stay out.
            if newest(extra.0).is_some_and(|t| t >= extra.2) {
                prop_assert_eq!(listed(&run(&events)), listed(&undone));
            }
        }
    }
}
