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
        held.map(|(sum, back)| sum.get() as f64 * half_to(i64::from(now) - i64::from(self.head - back))).sum()
    }
}

/// 2^(−n/2).
fn half_to(n: i64) -> f64 {
    const NEAR: [f64; 4 * KEPT] = {
        let (mut all, mut n) = ([1.0; 4 * KEPT], 0);
        while n < all.len() {
            let odd = if n % 2 == 1 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
            all[n] = odd / (1u64 << (n / 2)) as f64;
            n += 1;
        }
        all
    };
    let near = usize::try_from(n).ok().and_then(|n| NEAR.get(n));
    near.copied().unwrap_or_else(|| (n as f64 / -2.0).exp2())
}

/// Decayed sum of a neighbour, which it is, and where it stands.
type Worth = (f64, Ordinal, usize);

/// A neighbour as a snapshot has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbour {
    pub(super) item: Ordinal,
    pub(super) sums: Sums<u32>,
}

/// What is known of one item.
#[derive(Debug)]
pub(super) struct Near {
    id: Id,
    /// All pairs of the item, those of neighbours that were let go included.
    pub(super) total: Sums<u64>,
    /// Its neighbours, in an order that means nothing: a new one comes last, and all of them are looked through.
    items: Vec<Ordinal>,
    /// The sums of each, beside `items`: 28 bytes.
    sums: Vec<Sums<u32>>,
}

impl Near {
    /// Puts together what [`Near::parts`] gave.
    pub(super) fn of(id: Id, total: Sums<u64>, list: Vec<Neighbour>) -> Self {
        let (items, sums) = list.into_iter().map(|n| (n.item, n.sums)).unzip();
        Self { id, total, items, sums }
    }

    /// What all pairs come to, and its neighbours, in no order.
    pub(super) fn parts(&self) -> (Sums<u64>, Vec<Neighbour>) {
        (self.total, self.list().map(|(item, sums)| Neighbour { item, sums: *sums }).collect())
    }

    fn list(&self) -> impl Iterator<Item = (Ordinal, &Sums<u32>)> {
        self.items.iter().copied().zip(&self.sums)
    }

    fn add(&mut self, half: &Half) {
        self.total.add(half.bucket, half.weight, half.back);
        match find(&self.items, half.other) {
            Some(at) => {
                let sums = &mut self.sums[at];
                sums.add(half.bucket, half.weight, half.back);
                if half.back && sums.newest().is_none() {
                    self.items.swap_remove(at);
                    self.sums.swap_remove(at);
                }
            }
            None if half.back => {}
            None => {
                let mut sums = Sums::at(half.bucket);
                sums.add(half.bucket, half.weight, false);
                self.items.push(half.other);
                self.sums.push(sums);
            }
        }
    }

    /// Twice as many neighbours as are listed may stay, so that a new one has time to become one of the best; then the better half does.
    fn bound(&mut self, most: usize, ids: &Ids, worth: &mut Vec<Worth>) {
        if self.items.len() <= 2 * most {
            return;
        }
        let now = self.total.newest().unwrap_or_default();
        worth.clear();
        worth.extend(self.list().zip(0..).map(|((item, sums), at)| (sums.decayed(now), item, at)));
        let better = |a: &Worth, b: &Worth| b.0.total_cmp(&a.0).then_with(|| ids.order(a.1, b.1));
        if most > 0 {
            worth.select_nth_unstable_by(most - 1, better);
        }
        worth.truncate(most);
        worth.sort_unstable_by_key(|(_, _, at)| *at);
        // Each moves to the left, or stays.
        for (to, (_, _, from)) in worth.iter().enumerate() {
            self.items[to] = self.items[*from];
            self.sums[to] = self.sums[*from];
        }
        self.items.truncate(most);
        self.sums.truncate(most);
    }
}

/// Where an item is; eight at a time, which the processor compares in one go.
fn find(items: &[Ordinal], wanted: Ordinal) -> Option<usize> {
    let (eights, rest) = items.as_chunks::<8>();
    for (n, eight) in eights.iter().enumerate() {
        if eight.iter().fold(false, |any, item| any | (*item == wanted)) {
            return eight.iter().position(|item| *item == wanted).map(|at| 8 * n + at);
        }
    }
    rest.iter().position(|item| *item == wanted).map(|at| 8 * eights.len() + at)
}

/// The live list `together`, by item.
#[derive(Debug, Default)]
pub struct Together {
    near: Vec<Option<Box<Near>>>,
    /// Ordinals by the hash of their id.
    places: HashTable<Ordinal>,
    /// Room for choosing who stays: getting it anew each time makes the allocator tidy up.
    worth: Vec<Worth>,
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

/// What a pair is for one of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Half {
    item: Ordinal,
    other: Ordinal,
    weight: u32,
    bucket: i32,
    back: bool,
}

impl Half {
    /// The item whose neighbours it is for.
    #[must_use]
    pub fn item(&self) -> Ordinal {
        self.item
    }

    /// Both halves of a pair.
    #[must_use]
    pub fn both(pair: &Pair, pairing: &Pairing) -> [Self; 2] {
        let bucket = bucket(pair.time, pairing);
        let of = |item, other| Self { item, other, weight: pair.weight, bucket, back: pair.back };
        [of(pair.items[0], pair.items[1]), of(pair.items[1], pair.items[0])]
    }

    /// Sorts by item, those of one item staying in order. What comes of many is the same in this order, and each item is fetched once.
    pub fn sort(halves: &mut Vec<Self>, spare: &mut Vec<Self>) {
        const BITS: u32 = 11;
        if halves.len() < 1 << (BITS - 2) {
            return halves.sort_by_key(|half| half.item);
        }
        let most = halves.iter().map(|half| half.item).max().unwrap_or(0);
        let mut shift = 0;
        while shift < 32 && (most >> shift) > 0 {
            let digit = |half: &Self| (half.item >> shift) as usize & ((1 << BITS) - 1);
            let mut starts = [0u32; 1 << BITS];
            halves.iter().for_each(|half| starts[digit(half)] += 1);
            let mut before = 0;
            for start in &mut starts {
                before += std::mem::replace(start, before);
            }
            spare.clear();
            spare.extend_from_slice(halves);
            for half in halves.iter() {
                let start = &mut starts[digit(half)];
                spare[*start as usize] = *half;
                *start += 1;
            }
            std::mem::swap(halves, spare);
            shift += BITS;
        }
    }
}

impl Together {
    /// Adds a pair, or takes it back.
    pub fn add(&mut self, pair: &Pair, pairing: &Pairing, ids: &Ids) {
        Half::both(pair, pairing).iter().for_each(|half| self.add_one(half, pairing, ids));
    }

    /// As [`Together::add`], but only among the neighbours of the first item. Nothing else changes those, so that items may be
    /// followed apart from each other.
    pub fn add_half(&mut self, pair: &Pair, pairing: &Pairing, ids: &Ids) {
        let [half, _] = Half::both(pair, pairing);
        self.add_one(&half, pairing, ids);
    }

    /// Adds to the neighbours of the item of a half, or takes back from them.
    pub fn add_one(&mut self, half: &Half, pairing: &Pairing, ids: &Ids) {
        let at = half.item as usize;
        if self.near.len() <= at {
            self.near.resize_with(at + 1, || None);
        }
        if self.near[at].is_none() {
            if half.back {
                return;
            }
            let (id, total) = (ids.id(half.item).clone(), Sums::at(half.bucket));
            self.near[at] = Some(Box::new(Near { id, total, items: Vec::new(), sums: Vec::new() }));
            self.places.insert_unique(ids.tie(half.item), half.item, |at| ids.tie(*at));
        }
        let Some(near) = self.near[at].as_deref_mut() else { return };
        near.add(half);
        near.bound(pairing.neighbours, ids, &mut self.worth);
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
            .list()
            .filter_map(|(item, sums)| {
                let other = self.of(item)?;
                let theirs = other.total.decayed(now) + PRIOR;
                let score = sums.decayed(now) / (mine * theirs).sqrt();
                (score.is_finite() && score > 0.0).then_some((score, other.id.tie(), &other.id, item))
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
        let of = |near: &Near| {
            let sums = near.sums.capacity() * size_of::<Sums<u32>>();
            size_of::<Near>() + near.items.capacity() * size_of::<Ordinal>() + sums
        };
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
        assert_eq!(size_of::<Ordinal>() + size_of::<Sums<u32>>(), 32);
    }

    #[test]
    fn halves_of_what_is_half_are_what_the_power_says() {
        assert!((-9..200).all(|n| (half_to(n) / 2f64.powf(n as f64 / -2.0) - 1.0).abs() < 1e-15));
        assert_eq!((half_to(0), half_to(2), half_to(-2)), (1.0, 0.5, 2.0));
        let items: Vec<Ordinal> = (0..37).map(|n| n * 5).collect();
        assert!((0..190).all(|item| find(&items, item) == items.binary_search(&item).ok()));
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
                assert!(together.of(items0(ids)).unwrap().items.len() <= 8);
                listed(&together, ids, "i0")
            };
            prop_assert_eq!(run(&forth), run(&back));
        }

        #[test]
        fn item_by_item_comes_to_the_same(
            pairs in prop::collection::vec((0u32..30, 0u32..30, 1u32..300, 0i64..40, any::<bool>()), 0..300),
            far in 0u32..3,
        ) {
            let (ids, pairing) = (ids(0..5000), pairing());
            let pair = |(a, b, weight, day, back): &(u32, u32, u32, i64, bool)| {
                Pair { items: [*a, b + far * 2100], weight: *weight, time: day * DAY, back: *back && weight % 3 == 0 }
            };
            let pairs: Vec<Pair> = pairs.iter().map(pair).collect();
            let (mut one, mut other) = (Together::default(), Together::default());
            pairs.iter().for_each(|pair| one.add(pair, &pairing, &ids));
            let mut halves: Vec<Half> = pairs.iter().flat_map(|pair| Half::both(pair, &pairing)).collect();
            let mut plain = halves.clone();
            plain.sort_by_key(|half| half.item);
            Half::sort(&mut halves, &mut Vec::new());
            prop_assert_eq!(&halves, &plain);
            halves.iter().for_each(|half| other.add_one(half, &pairing, &ids));
            let near = |together: &Together, item: u32| {
                together.of(item).map(|near| (near.total, near.items.clone(), near.sums.clone()))
            };
            prop_assert!((0..5000).all(|item| near(&one, item) == near(&other, item)));
        }
    }

    fn items0(ids: &Ids) -> Ordinal {
        ids.ordinal("i0").unwrap()
    }
}
