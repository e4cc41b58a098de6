//! Which items the same people act on close together: per item its best neighbours, from pairs of actions as they come in. Sums by bucket of
//! time; decay and normalisation are computed when a list is read. Bounded: what a bound leaves out depends on the order of events, and on
//! no ordinal. Not for tables made offline, which see everything.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::Scored;
use super::ids::Ids;
use crate::config::Pairing;
use crate::types::{Id, Millis, Ordinal};

/// Buckets kept, each half a half-life wide: what is older than three half-lives counts no more.
pub(super) const KEPT: usize = 6;
/// Added to the weight of a neighbour's pairs, in hundredths: one chance pair with a rare item is not worth more than many with a common one.
const PRIOR: f64 = 500.0;

/// A sum that a bucket holds.
pub(super) trait Held: Copy + Default {
    fn get(self) -> u64;
    /// The number, or the greatest there is.
    fn of(value: u64) -> Self;
}

impl Held for u32 {
    fn get(self) -> u64 {
        u64::from(self)
    }
    fn of(value: u64) -> Self {
        Self::try_from(value).unwrap_or(Self::MAX)
    }
}

impl Held for u64 {
    fn get(self) -> u64 {
        self
    }
    fn of(value: u64) -> Self {
        value
    }
}

/// Sums of the newest buckets; the first is that of `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums<T> {
    pub(super) head: i32,
    pub(super) sums: [T; KEPT],
}

impl<T: Held> Sums<T> {
    fn at(bucket: i32) -> Self {
        Self { head: bucket, sums: [T::default(); KEPT] }
    }

    fn add(&mut self, bucket: i32, weight: u32, back: bool) {
        if bucket > self.head {
            let by = usize::try_from(bucket - self.head).unwrap_or(KEPT).min(KEPT);
            self.sums.rotate_right(by);
            self.sums[..by].fill(T::default());
            self.head = bucket;
        }
        let Some(sum) = usize::try_from(self.head - bucket).ok().and_then(|at| self.sums.get_mut(at)) else {
            return;
        };
        let weight = u64::from(weight);
        let now = if back { sum.get().saturating_sub(weight) } else { sum.get().saturating_add(weight) };
        *sum = T::of(now);
    }

    /// The newest bucket with anything in it.
    fn newest(&self) -> Option<i32> {
        self.sums.iter().zip(0..).find(|(sum, _)| sum.get() > 0).map(|(_, back)| self.head - back)
    }

    /// The decayed sum as of a bucket, in hundredths. The same however far the head has moved.
    fn decayed(&self, now: i32) -> f64 {
        let held = self.sums.iter().zip(0..).filter(|(sum, _)| sum.get() > 0);
        held.map(|(sum, back)| sum.get() as f64 * (f64::from(self.head - back - now) / 2.0).exp2()).sum()
    }
}

/// 32 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbour {
    pub(super) item: Ordinal,
    pub(super) sums: Sums<u32>,
}

#[derive(Debug)]
pub(super) struct Near {
    pub(super) id: Id,
    /// All pairs of the item, those of neighbours that were let go included.
    pub(super) total: Sums<u64>,
    /// In order of the ordinal, for finding.
    pub(super) list: Vec<Neighbour>,
}

/// The live list `together`, by item.
#[derive(Debug, Default)]
pub struct Together {
    near: Vec<Option<Box<Near>>>,
    /// Ordinals by the hash of their id.
    places: HashTable<Ordinal>,
}

/// Two actions of one person on two items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The items.
    pub items: [Ordinal; 2],
    /// What it weighs, in hundredths.
    pub weight: u32,
    /// Time of the later action.
    pub time: Millis,
    /// Whether it is taken back.
    pub back: bool,
}

/// The bucket of a time.
#[must_use]
pub fn bucket(time: Millis, pairing: &Pairing) -> i32 {
    let width = (pairing.half_life / 2).max(1);
    time.div_euclid(width).clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2)) as i32
}

impl Together {
    /// Adds a pair, or takes it back.
    pub fn add(&mut self, pair: &Pair, pairing: &Pairing, ids: &Ids) {
        self.add_half(pair, pairing, ids);
        let [item, other] = pair.items;
        self.add_half(&Pair { items: [other, item], ..*pair }, pairing, ids);
    }

    /// As [`Together::add`], but only among the neighbours of the first item. Nothing else changes those, so that items may be
    /// followed apart from each other.
    pub fn add_half(&mut self, pair: &Pair, pairing: &Pairing, ids: &Ids) {
        let [item, other] = pair.items;
        self.add_one(item, other, pair, bucket(pair.time, pairing), ids);
        self.bound(item, pairing.neighbours, ids);
    }

    /// The best neighbours of an item, best first: weight of the pairs of both, over the root of the product of all pairs of either. `false`
    /// for an item without any.
    pub fn list(&self, id: &str, at_most: usize, most: usize, out: &mut Vec<Scored>) -> bool {
        let tie = xxh3_64(id.as_bytes());
        let same = |at: &Ordinal| self.of(*at).is_some_and(|near| near.id.as_str() == id);
        let Some(near) = self.places.find(tie, same).and_then(|at| self.of(*at)) else { return false };
        let Some(now) = near.total.newest() else { return false };
        let mine = near.total.decayed(now);
        let mut scored: Vec<(f64, u64, &Id, Ordinal)> = near
            .list
            .iter()
            .filter_map(|neighbour| {
                let other = self.of(neighbour.item)?;
                let theirs = other.total.decayed(now) + PRIOR;
                let score = neighbour.sums.decayed(now) / (mine * theirs).sqrt();
                (score.is_finite() && score > 0.0).then_some((
                    score,
                    other.id.tie(),
                    &other.id,
                    neighbour.item,
                ))
            })
            .collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then_with(|| a.2.cmp(b.2)));
        let best = scored.iter().take(at_most.min(most));
        out.extend(best.map(|(score, _, _, item)| Scored { item: *item, score: *score as f32 }));
        true
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |near: &Near| size_of::<Near>() + near.list.capacity() * size_of::<Neighbour>();
        let near: usize = self.near.iter().flatten().map(|near| of(near)).sum();
        near + self.near.capacity() * size_of::<usize>() + self.places.capacity() * (size_of::<Ordinal>() + 1)
    }

    pub(super) fn of(&self, item: Ordinal) -> Option<&Near> {
        self.near.get(item as usize)?.as_deref()
    }

    /// Puts back what [`Together::of`] gave, of an item of which nothing is here.
    pub(super) fn put(&mut self, item: Ordinal, near: Near, ids: &Ids) {
        if self.near.len() <= item as usize {
            self.near.resize_with(item as usize + 1, || None);
        }
        self.near[item as usize] = Some(Box::new(near));
        self.places.insert_unique(ids.tie(item), item, |at| ids.tie(*at));
    }

    fn add_one(&mut self, item: Ordinal, other: Ordinal, pair: &Pair, bucket: i32, ids: &Ids) {
        if self.near.len() <= item as usize {
            self.near.resize_with(item as usize + 1, || None);
        }
        let slot = &mut self.near[item as usize];
        if slot.is_none() {
            if pair.back {
                return;
            }
            let total = Sums::at(bucket);
            *slot = Some(Box::new(Near { id: ids.id(item).clone(), total, list: Vec::new() }));
            self.places.insert_unique(ids.tie(item), item, |at| ids.tie(*at));
        }
        let Some(near) = self.near[item as usize].as_deref_mut() else { return };
        near.total.add(bucket, pair.weight, pair.back);
        match near.list.binary_search_by_key(&other, |n| n.item) {
            Ok(at) => {
                near.list[at].sums.add(bucket, pair.weight, pair.back);
                if near.list[at].sums.newest().is_none() {
                    near.list.remove(at);
                }
            }
            Err(at) if !pair.back => {
                let mut sums = Sums::at(bucket);
                sums.add(bucket, pair.weight, false);
                near.list.insert(at, Neighbour { item: other, sums });
            }
            Err(_) => {}
        }
    }

    /// Twice as many neighbours as are listed may stay, so that a new one has time to become one of the best; then the better half does.
    fn bound(&mut self, item: Ordinal, most: usize, ids: &Ids) {
        let Some(near) = self.near.get_mut(item as usize).and_then(Option::as_deref_mut) else { return };
        if near.list.len() <= 2 * most {
            return;
        }
        let now = near.total.newest().unwrap_or_default();
        let mut worth: Vec<(f64, Ordinal)> =
            near.list.iter().map(|n| (n.sums.decayed(now), n.item)).collect();
        worth.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| ids.order(a.1, b.1)));
        worth.truncate(most);
        worth.sort_unstable_by_key(|(_, item)| *item);
        near.list.retain(|n| worth.binary_search_by_key(&n.item, |(_, item)| *item).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::DAY;
    use proptest::prelude::*;

    fn ids(names: impl Iterator<Item = u32>) -> Ids {
        let ids = Ids::default();
        for n in names {
            ids.intern(&Id::new(&format!("i{n}")).unwrap());
        }
        ids
    }

    fn listed(together: &Together, ids: &Ids, id: &str) -> Vec<(String, u32)> {
        let mut out = Vec::new();
        together.list(id, usize::MAX, 50, &mut out);
        out.iter().map(|s| (ids.id(s.item).to_string(), s.score.to_bits())).collect()
    }

    fn pairing() -> Pairing {
        Pairing { neighbours: 4, half_life: 7 * DAY, ..Pairing::default() }
    }

    #[test]
    fn a_neighbour_is_32_bytes() {
        assert_eq!(size_of::<Neighbour>(), 32);
    }

    #[test]
    fn often_beats_seldom_and_late_beats_early() {
        let (ids, mut together) = (ids(0..9), Together::default());
        let mut add = |a, b, day| {
            together.add(
                &Pair { items: [a, b], weight: 100, time: day * DAY, back: false },
                &pairing(),
                &ids,
            );
        };
        (0..9).for_each(|_| add(0, 1, 100));
        (0..5).for_each(|_| add(0, 2, 100));
        (0..5).for_each(|_| add(0, 3, 114));
        let names: Vec<String> = listed(&together, &ids, "i0").into_iter().map(|n| n.0).collect();
        assert_eq!(names, ["i3", "i1", "i2"]);
        assert_eq!(listed(&together, &ids, "i2").len(), 1);
        let mut out = Vec::new();
        assert!(
            !together.list("i8", 9, 9, &mut out)
                && !together.list("nobody", 9, 9, &mut out)
                && out.is_empty()
        );
    }

    proptest! {
        #[test]
        fn order_and_ordinals_do_not_matter_and_what_is_taken_back_never_was(
            pairs in prop::collection::vec((0u32..4, 0u32..4, 1u32..300, 0i64..30), 1..40),
            extra in (0u32..4, 0u32..4, 1u32..300, 0i64..30),
        ) {
            let (forth, back) = (ids(0..4), ids((0..4).rev()));
            let run = |ids: &Ids, pairs: &[(u32, u32, u32, i64)], undo: &[(u32, u32, u32, i64)]| {
                let mut together = Together::default();
                for (n, (a, b, weight, day)) in pairs.iter().chain(undo).enumerate() {
                    let items = [*a, *b].map(|n| ids.ordinal(&format!("i{n}")).unwrap());
                    let pair = Pair { items, weight: *weight, time: day * DAY, back: n >= pairs.len() };
                    if a != b {
                        together.add(&pair, &pairing(), ids);
                    }
                }
                (0..4).map(|n| listed(&together, ids, &format!("i{n}"))).collect::<Vec<_>>()
            };
            let once = run(&forth, &pairs, &[]);
            let mut backwards = pairs.clone();
            backwards.reverse();
            prop_assert_eq!(&once, &run(&back, &backwards, &[]));
            // Buckets that a newer one pushed out stay out: what is taken back must not be the newest.
            if pairs.iter().filter(|p| p.0 != p.1).any(|p| p.3 >= extra.3) && pairs.iter().all(|p| p.3 >= extra.3) {
                let mut with = pairs.clone();
                with.push(extra);
                prop_assert_eq!(&once, &run(&forth, &with, &[extra]));
            }
        }

        #[test]
        fn who_stays_does_not_depend_on_ordinals(others in prop::collection::vec((1u32..60, 1u32..300), 1..200)) {
            let (forth, back) = (ids(0..60), ids((0..60).rev()));
            let run = |ids: &Ids| {
                let mut together = Together::default();
                for (other, weight) in &others {
                    let items = [0, *other].map(|n| ids.ordinal(&format!("i{n}")).unwrap());
                    together.add(&Pair { items, weight: *weight, time: 0, back: false }, &pairing(), ids);
                }
                assert!(together.of(items0(ids)).unwrap().list.len() <= 8);
                listed(&together, ids, "i0")
            };
            prop_assert_eq!(run(&forth), run(&back));
        }
    }

    fn items0(ids: &Ids) -> Ordinal {
        ids.ordinal("i0").unwrap()
    }
}
