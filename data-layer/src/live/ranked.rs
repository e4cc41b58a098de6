//! The best of many items in order, where scores seldom fall: only those near the top are kept in order. What is listed is exact.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;

use crate::types::Ordinal;

/// Longest list that is given out.
pub const MOST_LISTED: usize = 500;
/// How many are kept in order after a trim.
const KEPT: usize = 2 * MOST_LISTED;

/// A finite score with a total order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score(pub f64);

impl Eq for Score {}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Best first: greater score, then smaller hash of the id.
pub(super) type Place = (Reverse<Score>, u64, Ordinal);

/// The best places of one list.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    order: BTreeSet<Place>,
    /// Whatever is no better than this is not in `order`; `None`: everything is.
    floor: Option<Place>,
}

impl Ranked {
    /// Moves an item. `false` where so much has fallen that [`Ranked::refill`] must follow.
    pub fn set(&mut self, old: Option<&Place>, new: Option<Place>) -> bool {
        let above = |place: &Place| self.floor.as_ref().is_none_or(|floor| place < floor);
        let (was, is) = (old.is_some_and(above), new.as_ref().is_some_and(above));
        if let Some(old) = old
            && was
        {
            self.order.remove(old);
        }
        if is {
            self.order.extend(new);
        }
        if self.order.len() > 2 * KEPT
            && let Some(floor) = self.order.iter().nth(KEPT).copied()
        {
            self.order.split_off(&floor);
            self.floor = Some(floor);
        }
        self.floor.is_none() || self.order.len() >= MOST_LISTED
    }

    /// Starts anew from every place there is.
    pub fn refill(&mut self, places: impl Iterator<Item = Place>) {
        (self.floor, self.order) = (None, BTreeSet::new());
        for place in places {
            self.set(None, Some(place));
        }
    }

    /// The best, best first.
    pub fn best(&self) -> impl Iterator<Item = (f64, Ordinal)> {
        self.order.iter().take(MOST_LISTED).map(|(Reverse(Score(score)), _, item)| (*score, *item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(item: u32, score: i32) -> Place {
        (Reverse(Score(f64::from(score))), u64::from(item % 7), item)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn what_is_listed_is_what_sorting_lists(
            events in prop::collection::vec((0u32..4000, -1i32..1000), 1..9000),
        ) {
            let mut ranked = Ranked::default();
            let mut all = std::collections::BTreeMap::new();
            for (item, score) in events {
                let new = (score >= 0).then(|| place(item, score));
                let old = match new {
                    Some(new) => all.insert(item, new),
                    None => all.remove(&item),
                };
                if !ranked.set(old.as_ref(), new) {
                    ranked.refill(all.values().copied());
                }
            }
            let mut sorted: Vec<Place> = all.into_values().collect();
            sorted.sort();
            let expected: Vec<u32> = sorted.iter().take(MOST_LISTED).map(|p| p.2).collect();
            prop_assert_eq!(ranked.best().map(|b| b.1).collect::<Vec<_>>(), expected);
        }
    }
}
