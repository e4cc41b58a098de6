//! What is done most just now: an exponentially decayed sum of positive weights per item, half-life three days. The order does
//! not depend on the clock: scores are compared as logarithms against a fixed epoch, and computed from integer buckets.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::types::time::HOUR;
use crate::types::{Millis, Ordinal};

use super::Scored;

/// After this long an action counts half.
pub const HALF_LIFE: Millis = 72 * HOUR;
/// Longest list that is given out.
pub const MOST_TRENDING: usize = 500;
/// Width of one bucket.
const BUCKET: Millis = 6 * HOUR;
/// Buckets kept per item, newest included: 30 days, ten half-lives.
const KEPT: i64 = 120;

/// A positive weight in millionths; sums of them have 128 bits and don't overflow.
fn micros(weight: f32) -> i128 {
    (f64::from(weight.min(1e9)) * 1e6).round() as i128
}

/// A finite score with a total order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Best first: greater score, then smaller tie hash.
type Place = (Reverse<Score>, u64, Ordinal);

#[derive(Debug)]
struct Item {
    /// Bucket number to weight in millionths, oldest first.
    buckets: Vec<(i64, i128)>,
    head: i64,
    place: Option<Place>,
}

/// The live list `trending`.
#[derive(Debug, Default)]
pub struct Trending {
    items: FxHashMap<Ordinal, Item>,
    order: BTreeSet<Place>,
}

impl Trending {
    /// Adds a positive weight at its event time; other weights change nothing. `tie` is the hash of the item's id.
    pub fn add(&mut self, item: Ordinal, tie: u64, weight: f32, time: Millis) {
        self.change(item, tie, weight, time, 1);
    }

    /// Takes a weight back that was added.
    pub fn undo(&mut self, item: Ordinal, tie: u64, weight: f32, time: Millis) {
        self.change(item, tie, weight, time, -1);
    }

    /// The best items, best first; scores are relative to the best one's, in (0, 1].
    pub fn list(&self, at_most: usize, out: &mut Vec<Scored>) {
        let Some((Reverse(Score(best)), ..)) = self.order.first() else { return };
        let relative = |score: f64| ((score - best).exp2() as f32).max(f32::MIN_POSITIVE);
        let listed = self.order.iter().take(at_most.min(MOST_TRENDING));
        out.extend(listed.map(|(Reverse(s), _, item)| Scored { item: *item, score: relative(s.0) }));
    }

    /// When the newest action that counts was, at the latest: the end of its six hours.
    #[must_use]
    pub fn newest(&self, item: Ordinal) -> Option<Millis> {
        let (bucket, _) = self.items.get(&item)?.buckets.last()?;
        Some(bucket.saturating_add(1).saturating_mul(BUCKET))
    }

    fn change(&mut self, item: Ordinal, tie: u64, weight: f32, time: Millis, sign: i128) {
        // Not `<= 0.0`: a weight that is no number must not pass either.
        if weight.is_nan() || weight <= 0.0 {
            return;
        }
        let (bucket, micros) = (time.div_euclid(BUCKET), sign * micros(weight));
        let entry = self.items.entry(item).or_insert(Item { buckets: Vec::new(), head: bucket, place: None });
        entry.head = entry.head.max(bucket);
        let oldest = entry.head - KEPT + 1;
        if bucket >= oldest {
            match entry.buckets.binary_search_by_key(&bucket, |b| b.0) {
                Ok(at) => entry.buckets[at].1 += micros,
                Err(at) => entry.buckets.insert(at, (bucket, micros)),
            }
        }
        entry.buckets.retain(|(number, sum)| *number >= oldest && *sum > 0);
        let place = score(&entry.buckets).map(|score| (Reverse(Score(score)), tie, item));
        if entry.place != place {
            if let Some(old) = &entry.place {
                self.order.remove(old);
            }
            self.order.extend(place);
            entry.place = place;
        }
    }
}

/// log2 of the decayed sum, as of bucket 0.
fn score(buckets: &[(i64, i128)]) -> Option<f64> {
    let per_bucket = BUCKET as f64 / HALF_LIFE as f64;
    let (newest, _) = *buckets.last()?;
    let decayed = |(number, sum): &(i64, i128)| *sum as f64 * ((number - newest) as f64 * per_bucket).exp2();
    let sum: f64 = buckets.iter().map(decayed).sum();
    Some(sum.log2() + newest as f64 * per_bucket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::DAY;
    use proptest::prelude::*;

    fn listed(trending: &Trending) -> Vec<(Ordinal, f32)> {
        let mut out = Vec::new();
        trending.list(500, &mut out);
        out.iter().map(|s| (s.item, s.score)).collect()
    }

    #[test]
    fn three_days_older_counts_half() {
        let mut trending = Trending::default();
        trending.add(1, 1, 2.0, 1000 * DAY);
        trending.add(2, 2, 2.0, 1003 * DAY);
        trending.add(3, 3, -2.0, 1003 * DAY);
        assert_eq!(listed(&trending), [(2, 1.0), (1, 0.5)]);
    }

    #[test]
    fn the_greatest_weights_never_overflow() {
        let mut trending = Trending::default();
        for _ in 0..20_000 {
            trending.add(1, 1, f32::MAX, 0);
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
                    trending.add(*item, u64::from(*item), f32::from(*weight), *time);
                }
                trending
            };
            let mut backwards = events.clone();
            backwards.reverse();
            prop_assert_eq!(listed(&run(&events)), listed(&run(&backwards)));
            let mut undone = run(&events);
            undone.add(extra.0, u64::from(extra.0), f32::from(extra.1), extra.2);
            undone.undo(extra.0, u64::from(extra.0), f32::from(extra.1), extra.2);
            let newest = |item: u32| events.iter().filter(|e| e.0 == item).map(|e| e.2).max();
            // Where the undone event was the item's newest, buckets it pushed out stay out.
            if newest(extra.0).is_some_and(|t| t >= extra.2) {
                prop_assert_eq!(listed(&run(&events)), listed(&undone));
            }
        }
    }
}
