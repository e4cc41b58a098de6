//! How a static list and a live list become one. Computes only; what it reads is what the live side keeps.

use rustc_hash::FxHashMap;

use super::{EVERYBODY, ListSpec, Merge};
use crate::live::{LiveLists, Scored};
use crate::types::{Millis, Ordinal};

/// Merges the live list of one key after another into what the table has. Its memory is kept from key to key.
pub(super) struct Merger<'a> {
    spec: &'a ListSpec,
    live: &'a dyn LiveLists,
    now_ms: Millis,
    fresh: Vec<Scored>,
    times: Vec<Option<Millis>>,
    has_live: bool,
    merged: Vec<Scored>,
    place: FxHashMap<Ordinal, usize>,
}

impl<'a> Merger<'a> {
    pub(super) fn new(spec: &'a ListSpec, live: &'a dyn LiveLists, now_ms: Millis) -> Self {
        let (fresh, times, merged) = (Vec::new(), Vec::new(), Vec::new());
        Self { spec, live, now_ms, fresh, times, has_live: false, merged, place: FxHashMap::default() }
    }

    /// Takes the live list of a key, weighed and faded. All of it: what stands low in it may stand high in the sum.
    pub(super) fn look_up(&mut self, key: &str) {
        self.fresh.clear();
        self.times.clear();
        let Some(name) = &self.spec.live else { return };
        let key = if key == EVERYBODY { "" } else { key };
        self.has_live = match self.spec.live_half_life {
            None => self.live.at(name, key, self.now_ms, usize::MAX, &mut self.fresh, None),
            Some(half_life) => {
                let times = Some(&mut self.times);
                let known = self.live.at(name, key, self.now_ms, usize::MAX, &mut self.fresh, times);
                for (scored, time) in self.fresh.iter_mut().zip(&self.times) {
                    scored.score *= fade(half_life, self.now_ms, *time);
                }
                known
            }
        };
        let weight = self.spec.live_weight;
        self.fresh.iter_mut().for_each(|s| s.score = (s.score * weight).clamp(f32::MIN, f32::MAX));
    }

    /// Whether the live list stands for the whole: the table need not be read.
    pub(super) fn alone(&self) -> bool {
        self.spec.merge == Merge::Replace && !self.fresh.is_empty()
    }

    /// The one list, best first; `None` where neither side has one.
    pub(super) fn merge(&mut self, fixed: Option<&[Scored]>) -> Option<&[Scored]> {
        let known = fixed.is_some() || self.has_live;
        self.merged.clear();
        let fixed = if self.alone() { &[] } else { fixed.unwrap_or_default() };
        self.merged.extend_from_slice(fixed);
        merge(self.spec.merge, &mut self.merged, &self.fresh, &mut self.place);
        known.then_some(&self.merged)
    }
}

/// What is left of a score after its time: 1 at first, half after each half-life. What has no time does not fade.
fn fade(half_life: Millis, now_ms: Millis, time: Option<Millis>) -> f32 {
    let age = time.map_or(0, |time| now_ms.saturating_sub(time).max(0));
    (-(age as f64) / half_life as f64).exp2() as f32
}

/// Merges the live list into the static one. Equal scores keep the order in which they came, static before live, and both
/// lists come in an order that does not depend on ordinals; so neither does the result.
fn merge(how: Merge, list: &mut Vec<Scored>, live: &[Scored], place: &mut FxHashMap<Ordinal, usize>) {
    if live.is_empty() {
        return;
    }
    place.clear();
    place.extend(list.iter().enumerate().map(|(at, scored)| (scored.item, at)));
    for fresh in live {
        match place.get(&fresh.item).and_then(|at| list.get_mut(*at)) {
            Some(old) => {
                old.score = match how {
                    Merge::Sum => (old.score + fresh.score).clamp(f32::MIN, f32::MAX),
                    Merge::Union | Merge::Replace => old.score.max(fresh.score),
                }
            }
            None => {
                place.insert(fresh.item, list.len());
                list.push(*fresh);
            }
        }
    }
    list.sort_by(|a, b| b.score.total_cmp(&a.score));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(list: &[(u32, f32)]) -> Vec<Scored> {
        list.iter().map(|(item, score)| Scored { item: *item, score: *score }).collect()
    }

    #[test]
    fn policies_merge_as_they_say() {
        let fixed = scored(&[(1, 0.9), (2, 0.5), (3, 0.5)]);
        let live = scored(&[(2, 0.6), (4, 0.5), (1, 0.1)]);
        let merged = |how| {
            let mut list = fixed.clone();
            merge(how, &mut list, &live, &mut FxHashMap::default());
            list
        };
        assert_eq!(merged(Merge::Union), scored(&[(1, 0.9), (2, 0.6), (3, 0.5), (4, 0.5)]));
        assert_eq!(merged(Merge::Sum), scored(&[(2, 1.1), (1, 1.0), (3, 0.5), (4, 0.5)]));
    }

    #[test]
    fn a_score_halves_with_each_half_life_and_never_grows() {
        let hour = 3_600_000;
        assert_eq!(fade(hour, 5 * hour, Some(5 * hour)), 1.0);
        assert_eq!(fade(hour, 5 * hour, Some(4 * hour)), 0.5);
        assert_eq!(fade(hour, 5 * hour, Some(2 * hour)), 0.125);
        assert_eq!(fade(hour, 5 * hour, Some(9 * hour)), 1.0, "what is ahead of the request does not grow");
        assert_eq!(fade(hour, i64::MAX, Some(i64::MIN)), 0.0);
        assert_eq!(fade(hour, 5 * hour, None), 1.0);
    }
}
