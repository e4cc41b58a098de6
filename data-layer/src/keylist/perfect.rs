//! A perfect hash of one part of a table: distinct 64-bit hashes to distinct slots, with one byte (a *pilot*) per bucket of
//! two or three keys. Useful for: finding a record with one read of a small table and one of the record. Not useful for: telling
//! whether a key is there (the record does), or hashes that repeat.
//!
//! The family is that of PTHash (Pibiri & Trani, *PTHash: Revisiting FCH Minimal Perfect Hashing*, SIGIR 2021); pilots of 8 bits,
//! found by eviction, are of PtrHash (Groot Koerkamp, *PtrHash: Minimal Perfect Hashing at RAM Throughput*, SEA 2025). The result
//! depends on the set of hashes alone, not on their order, and on no random source.
//!
//! Look-up, all in 64 bits that wrap around, `mulhi(a, b)` being the upper 64 bits of the 128-bit product:
//!
//! ```text
//! part   = mulhi(hash, parts)
//! x      = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15
//! y      = (x ^ x >> 29) * 0xbf58476d1ce4e5b9
//! mixed  = y ^ y >> 32
//! bucket = mulhi(mixed, buckets of the part)
//! spread = (seed of the part * 256 + pilot of the bucket) * 0xd6e8feb86659fd93
//! slot   = mulhi((mixed ^ spread) * 0xc2b2ae3d27d4eb4f, slots of the part)
//! ```

use std::collections::BinaryHeap;

/// Keys of a part, on average at most.
pub(super) const PART_KEYS: u64 = 65_536;
/// Buckets per keys: two to five. Fewer make smaller pilots and far longer searches for them.
const BUCKETS: (u64, u64) = (2, 5);
/// One slot in this many stays empty.
const SLACK: u32 = 50;
/// Keys of a bucket, at most; more means hashes that are no hashes.
const MOST_KEYS: usize = 255;
/// Seeds that are tried, at most.
const SEEDS: u32 = 256;
/// Buckets that were placed last and are not to be evicted at once.
const RECENT: usize = 8;

/// Odd multipliers: two of the hash, of the pilot, of the slot.
const OF_HIGH: u64 = 0x9e37_79b9_7f4a_7c15;
const OF_LOW: u64 = 0xbf58_476d_1ce4_e5b9;
const OF_PILOT: u64 = 0xd6e8_feb8_6659_fd93;
const OF_SLOT: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// A row of the section `parts`: where a part's slots and pilots are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Part {
    /// Its first slot, counted through all parts.
    pub first_slot: u64,
    /// Its slots; at least 1.
    pub slots: u32,
    /// Its first line of pilots.
    pub first_line: u32,
    /// Its buckets; at least 1.
    pub buckets: u32,
    /// Its seed.
    pub seed: u32,
}

/// How many slots and buckets a part has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// At least 1.
    pub slots: u32,
    /// At least 1.
    pub buckets: u32,
}

#[inline]
fn mulhi(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// The part of a hash; below `parts`.
#[inline]
pub(super) fn part_of(hash: u64, parts: u32) -> u32 {
    mulhi(hash, u64::from(parts)) as u32
}

/// The shape of a part of so many keys: 2 % of the slots stay empty, and five keys share two buckets.
pub(super) fn shape(keys: u32) -> Shape {
    let slots = keys.saturating_add(keys.div_ceil(SLACK - 1)).max(1);
    let buckets = (u64::from(keys) * BUCKETS.0).div_ceil(BUCKETS.1);
    Shape { slots, buckets: buckets.max(1) as u32 }
}

/// The bucket of a hash within its part; below `buckets`.
#[inline]
pub(super) fn bucket(hash: u64, buckets: u32) -> u32 {
    bucket_with(remix(hash), buckets)
}

/// The slot of a hash within its part, given the pilot of its bucket; below `slots`.
#[inline]
pub(super) fn slot(hash: u64, pilot: u8, seed: u32, slots: u32) -> u32 {
    slot_with(remix(hash), spread(pilot, seed), slots)
}

/// The upper bits of the hashes of a part are alike; this brings the lower ones up. Distinct hashes stay distinct.
#[inline]
pub(super) fn remix(hash: u64) -> u64 {
    let x = (hash ^ hash >> 32).wrapping_mul(OF_HIGH);
    let x = (x ^ x >> 29).wrapping_mul(OF_LOW);
    x ^ x >> 32
}

#[inline]
pub(super) fn bucket_with(mixed: u64, buckets: u32) -> u32 {
    mulhi(mixed, u64::from(buckets)) as u32
}

#[inline]
pub(super) fn spread(pilot: u8, seed: u32) -> u64 {
    (u64::from(seed) << 8 | u64::from(pilot)).wrapping_mul(OF_PILOT)
}

#[inline]
pub(super) fn slot_with(mixed: u64, spread: u64, slots: u32) -> u32 {
    mulhi((mixed ^ spread).wrapping_mul(OF_SLOT), u64::from(slots)) as u32
}

/// The seed and the pilots (one a bucket) that send each of these hashes to a slot of its own; `None` where hashes repeat, or
/// where no seed was found, which means that they are no hashes.
pub(super) fn build(hashes: &[u64]) -> Option<(u32, Vec<u8>)> {
    let shape = shape(u32::try_from(hashes.len()).ok()?);
    let groups = Groups::new(hashes, shape.buckets)?;
    let mut search = Search::new(&groups, shape);
    for seed in 0..SEEDS {
        if search.place_all(seed) {
            return Some((seed, search.pilots));
        }
        if search.evictions > search.allowance() * 16 {
            return None;
        }
    }
    None
}

/// The mixed hashes of each bucket side by side.
struct Groups {
    /// Where each bucket starts, and the end.
    starts: Vec<u32>,
    mixed: Vec<u64>,
    /// Buckets by falling size, then by number; empty ones are left out.
    order: Vec<u32>,
}

impl Groups {
    /// `None` where a hash repeats or a bucket is far too full.
    fn new(hashes: &[u64], buckets: u32) -> Option<Self> {
        let mut starts = vec![0u32; buckets as usize + 1];
        hashes.iter().for_each(|hash| starts[bucket_with(remix(*hash), buckets) as usize + 1] += 1);
        let mut of_size = [0u32; MOST_KEYS + 1];
        for size in &starts[1..] {
            *of_size.get_mut(*size as usize)? += 1;
        }
        (0..buckets as usize).for_each(|at| starts[at + 1] += starts[at]);
        let mut next = starts.clone();
        let mut grouped = vec![0u64; hashes.len()];
        for hash in hashes {
            let mixed = remix(*hash);
            let at = &mut next[bucket_with(mixed, buckets) as usize];
            grouped[*at as usize] = mixed;
            *at += 1;
        }
        let mut groups = Self { starts, mixed: grouped, order: Vec::new() };
        let repeats = |keys: &[u64]| (1..keys.len()).any(|at| keys[..at].contains(&keys[at]));
        if (0..buckets).any(|bucket| repeats(groups.of(bucket))) {
            return None;
        }
        groups.order = groups.by_size(&of_size);
        Some(groups)
    }

    fn by_size(&self, of_size: &[u32; MOST_KEYS + 1]) -> Vec<u32> {
        let mut places = [0u32; MOST_KEYS + 1];
        let mut at = 0;
        for size in (1..=MOST_KEYS).rev() {
            places[size] = at;
            at += of_size[size];
        }
        let mut order = vec![0u32; at as usize];
        for (bucket, ends) in self.starts.windows(2).enumerate() {
            let size = (ends[1] - ends[0]) as usize;
            if size > 0 {
                order[places[size] as usize] = bucket as u32;
                places[size] += 1;
            }
        }
        order
    }

    fn of(&self, bucket: u32) -> &[u64] {
        let bucket = bucket as usize;
        &self.mixed[self.starts[bucket] as usize..self.starts[bucket + 1] as usize]
    }

    fn size(&self, bucket: u32) -> u32 {
        self.starts[bucket as usize + 1] - self.starts[bucket as usize]
    }
}

/// The search for the pilots of one seed after the other.
struct Search<'a> {
    groups: &'a Groups,
    shape: Shape,
    pilots: Vec<u8>,
    /// One bit a slot: whether a bucket has it.
    taken: Vec<u64>,
    /// Which bucket has a slot, where one has.
    owners: Vec<u32>,
    /// `spread` of each pilot.
    spreads: [u64; 256],
    evictions: usize,
}

/// Slots of the bucket at hand.
type Slots = [u32; MOST_KEYS];

impl<'a> Search<'a> {
    fn new(groups: &'a Groups, shape: Shape) -> Self {
        Self {
            groups,
            shape,
            pilots: vec![0; shape.buckets as usize],
            taken: vec![0; (shape.slots as usize).div_ceil(64)],
            owners: vec![0; shape.slots as usize],
            spreads: [0; 256],
            evictions: 0,
        }
    }

    /// Evictions that one seed may cost.
    fn allowance(&self) -> usize {
        self.shape.buckets as usize + 1_000
    }

    fn place_all(&mut self, seed: u32) -> bool {
        self.pilots.fill(0);
        self.taken.fill(0);
        (0..=255u8).for_each(|pilot| self.spreads[usize::from(pilot)] = spread(pilot, seed));
        let limit = self.evictions + self.allowance();
        let groups = self.groups;
        let mut slots = [0; MOST_KEYS];
        let mut evicted = BinaryHeap::new();
        let mut recent = [u32::MAX; RECENT];
        for first in &groups.order {
            let mut bucket = *first;
            loop {
                if !self.place(bucket, &mut slots) {
                    if self.evictions > limit || !self.evict(bucket, &mut slots, &recent, &mut evicted) {
                        return false;
                    }
                    recent[self.evictions % RECENT] = bucket;
                }
                // The largest first; of one size, the one with the greatest number: whatever the order they were evicted in.
                match evicted.pop() {
                    Some((_, next)) => bucket = next,
                    None => break,
                }
            }
        }
        true
    }

    fn is_taken(&self, slot: u32) -> bool {
        self.taken[slot as usize / 64] >> (slot % 64) & 1 == 1
    }

    /// Takes the first pilot whose slots are all free; `slots` is room for them.
    fn place(&mut self, bucket: u32, slots: &mut Slots) -> bool {
        let keys = self.groups.of(bucket);
        let slots = &mut slots[..keys.len()];
        for pilot in 0..=255u8 {
            let spread = self.spreads[usize::from(pilot)];
            let free = keys.iter().zip(slots.iter_mut()).all(|(mixed, slot)| {
                *slot = slot_with(*mixed, spread, self.shape.slots);
                !self.is_taken(*slot)
            });
            if free && distinct(slots) {
                self.take(bucket, pilot, slots);
                return true;
            }
        }
        false
    }

    /// Takes the pilot whose slots cost least, the squares of the sizes of the buckets that have them, and evicts those.
    fn evict(
        &mut self,
        bucket: u32,
        slots: &mut Slots,
        recent: &[u32; RECENT],
        evicted: &mut BinaryHeap<(u32, u32)>,
    ) -> bool {
        let keys = self.groups.of(bucket);
        let slots = &mut slots[..keys.len()];
        let mut best: Option<(u32, u8)> = None;
        // Not always the same pilot, lest two buckets evict each other in turn.
        let first = (self.evictions as u64).wrapping_mul(OF_PILOT) >> 56;
        self.evictions += 1;
        for pilot in (0..=255u8).map(|pilot| pilot.wrapping_add(first as u8)) {
            let most = best.map_or(u32::MAX, |(cost, _)| cost);
            if let Some(cost) = self.cost(keys, pilot, slots, recent, most) {
                best = Some((cost, pilot));
                if cost <= 1 {
                    break;
                }
            }
        }
        let Some((_, pilot)) = best else { return false };
        let spread = self.spreads[usize::from(pilot)];
        for (mixed, slot) in keys.iter().zip(slots.iter_mut()) {
            *slot = slot_with(*mixed, spread, self.shape.slots);
            if self.is_taken(*slot) {
                let owner = self.owners[*slot as usize];
                self.give_back(owner);
                evicted.push((self.groups.size(owner), owner));
            }
        }
        self.take(bucket, pilot, slots);
        true
    }

    /// The cost of a pilot where it is below `most`. A bucket that has two of the slots counts twice.
    fn cost(
        &self,
        keys: &[u64],
        pilot: u8,
        slots: &mut [u32],
        recent: &[u32; RECENT],
        most: u32,
    ) -> Option<u32> {
        let spread = self.spreads[usize::from(pilot)];
        let mut cost = 0;
        for (mixed, slot) in keys.iter().zip(slots.iter_mut()) {
            *slot = slot_with(*mixed, spread, self.shape.slots);
            if self.is_taken(*slot) {
                let owner = self.owners[*slot as usize];
                if recent.contains(&owner) {
                    return None;
                }
                cost += self.groups.size(owner).pow(2);
                if cost >= most {
                    return None;
                }
            }
        }
        distinct(slots).then_some(cost)
    }

    fn take(&mut self, bucket: u32, pilot: u8, slots: &[u32]) {
        self.pilots[bucket as usize] = pilot;
        for slot in slots {
            self.taken[*slot as usize / 64] |= 1 << (slot % 64);
            self.owners[*slot as usize] = bucket;
        }
    }

    fn give_back(&mut self, bucket: u32) {
        let spread = self.spreads[usize::from(self.pilots[bucket as usize])];
        for mixed in self.groups.of(bucket) {
            let slot = slot_with(*mixed, spread, self.shape.slots);
            self.taken[slot as usize / 64] &= !(1 << (slot % 64));
        }
    }
}

fn distinct(slots: &[u32]) -> bool {
    (1..slots.len()).all(|at| !slots[..at].contains(&slots[at]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mix(n: u64) -> u64 {
        let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Builds, and checks that no two hashes share a slot and that all are in range.
    fn check(hashes: &[u64]) -> (u32, Vec<u8>) {
        let Shape { slots, buckets } = shape(hashes.len() as u32);
        let (seed, pilots) = build(hashes).unwrap_or_else(|| panic!("{} hashes: none found", hashes.len()));
        assert_eq!(pilots.len(), buckets as usize);
        let mut seen = vec![false; slots as usize];
        for hash in hashes {
            let pilot = pilots[bucket(*hash, buckets) as usize];
            let slot = slot(*hash, pilot, seed, slots) as usize;
            assert!(!std::mem::replace(&mut seen[slot], true), "slot {slot} of {slots} twice");
        }
        (seed, pilots)
    }

    #[test]
    fn shapes_have_room_for_all_and_little_more() {
        assert_eq!(shape(0), Shape { slots: 1, buckets: 1 });
        assert_eq!(shape(1), Shape { slots: 2, buckets: 1 });
        assert_eq!(shape(49), Shape { slots: 50, buckets: 20 });
        assert_eq!(shape(65_536), Shape { slots: 66_874, buckets: 26_215 });
        for keys in 0..10_000 {
            let shape = shape(keys);
            assert!(shape.slots > keys && shape.slots <= keys + keys / 49 + 1 && shape.buckets >= 1);
        }
    }

    #[test]
    fn tiny_parts_of_every_size_work() {
        for keys in 0..600u64 {
            for salt in 0..4u64 {
                check(&(0..keys).map(|key| mix(key << 8 | salt)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn whole_parts_work_and_do_not_depend_on_order() {
        for keys in [10_000, 65_536, 66_500, 100_000] {
            let mut hashes: Vec<u64> = (0..keys).map(mix).collect();
            let found = check(&hashes);
            hashes.reverse();
            assert_eq!(build(&hashes), Some(found.clone()), "the same set, the same pilots");
            hashes.rotate_left(77);
            assert_eq!(build(&hashes), Some(found));
        }
    }

    #[test]
    fn parts_of_a_table_cover_all_hashes_evenly() {
        let parts = 7;
        let mut counts = vec![Vec::new(); parts as usize];
        (0..70_000).map(mix).for_each(|hash| counts[part_of(hash, parts) as usize].push(hash));
        counts.iter().for_each(|hashes| {
            assert!((9_500..10_500).contains(&hashes.len()));
            check(hashes);
        });
        assert_eq!((part_of(0, parts), part_of(u64::MAX, parts)), (0, parts - 1));
        assert_eq!(part_of(u64::MAX, 1), 0);
    }

    #[test]
    fn hashes_that_are_alike_in_most_bits_work() {
        for keys in [1_000u64, 20_000] {
            for shift in [0, 8, 16, 24, 32, 40, 48] {
                check(&(0..keys).map(|key| key << shift).collect::<Vec<_>>());
                check(&(0..keys).map(|key| (key << shift) ^ 0x5555_0000_0000_0000).collect::<Vec<_>>());
                check(&(0..keys).map(|key| u64::MAX - (key << shift)).collect::<Vec<_>>());
            }
            let few: std::collections::BTreeSet<u64> = (0..keys).map(|key| mix(key) << 32).collect();
            check(&few.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn hashes_that_repeat_have_none() {
        assert_eq!(build(&[5, 5]), None);
        let mut hashes: Vec<u64> = (0..5_000).map(mix).collect();
        hashes.push(hashes[77]);
        assert_eq!(build(&hashes), None);
        assert_eq!(build(&vec![1; 100_000]), None);
    }

    #[test]
    fn the_arithmetic_is_what_the_format_says() {
        // Computed apart from this code, with Python's integers; docs/formats.md states the same.
        assert_eq!(part_of(0xdead_beef_cafe_f00d, 16), 13);
        assert_eq!(bucket(0xdead_beef_cafe_f00d, 26_215), 21570);
        assert_eq!(slot(0xdead_beef_cafe_f00d, 200, 3, 66_874), 60865);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_set_of_hashes_gets_slots_of_its_own(
            hashes in prop::collection::hash_set(any::<u64>(), 0..2_000),
            high in 0u32..40,
        ) {
            // The hashes of a part share their upper bits.
            let mut hashes: Vec<u64> = hashes.into_iter().map(|hash| hash >> high).collect();
            hashes.sort_unstable();
            hashes.dedup();
            check(&hashes);
        }
    }
}
