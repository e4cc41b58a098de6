//! Ids of items and their ordinals. Ordinals are dense, given in order of first sight, never reused while the process lives, and
//! decide nothing that can be seen: what must be ordered is ordered by [`Ids::order`]. Shared: whoever works on people and whoever works on
//! items give out ordinals beside each other, and nobody who has an ordinal waits for anybody.

use std::cmp::Ordering;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering as Order};

use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};
use xxhash_rust::xxh3::xxh3_64;

use crate::types::{Id, Ordinal};

/// Tables of ordinals by hash, so that two who look up seldom meet.
const SHARDS: usize = 64;
/// Entries of each of the first four blocks, as a power of two; the four that follow have twice as many each, and so on.
const FIRST: u32 = 8;
/// Blocks for every ordinal there can be.
const BLOCKS: usize = 4 * (30 - FIRST as usize) + 1;

/// 32 bytes with its place in a block.
#[derive(Debug)]
struct Entry {
    id: Id,
    tie: u64,
}

type Block = OnceLock<Box<[OnceLock<Entry>]>>;

/// Id to ordinal and back. 32 bytes an item, its text and at most ten bytes of table; a quarter more while the newest block fills.
#[derive(Debug)]
pub struct Ids {
    blocks: Box<[Block]>,
    len: AtomicU32,
    /// Held by whoever adds an entry.
    adding: Mutex<()>,
    /// Ordinals by the hash that breaks ties.
    places: Box<[RwLock<HashTable<Ordinal>>]>,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            blocks: (0..BLOCKS).map(|_| Block::new()).collect(),
            len: AtomicU32::new(0),
            adding: Mutex::new(()),
            places: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }
}

impl Ids {
    /// How many items exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Order::Acquire) as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ordinal of an item that exists.
    #[must_use]
    pub fn ordinal(&self, id: &str) -> Option<Ordinal> {
        let tie = xxh3_64(id.as_bytes());
        self.find(&self.shard(tie).read(), tie, id)
    }

    /// The ordinal of an item, which exists from now on.
    pub fn intern(&self, id: &Id) -> Ordinal {
        let tie = id.tie();
        let known = self.find(&self.shard(tie).read(), tie, id.as_str());
        known.unwrap_or_else(|| self.add(tie, id))
    }

    /// Takes all ids of a file in their order, where none was known before: their ordinals are `0..`. By two threads, which beats one by one where there
    /// are millions. `false` where two are the same.
    pub(super) fn fill(&self, all: Vec<Id>) -> bool {
        let adding = self.adding.lock();
        for (ordinal, id) in (0..).zip(all) {
            let (block, size, at) = place(ordinal);
            let block = self.blocks[block].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
            block[at].get_or_init(|| Entry { tie: id.tie(), id });
            self.len.store(ordinal + 1, Order::Release);
        }
        drop(adding);
        let (one, two) = self.places.split_at(SHARDS / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.fill_places(two, SHARDS / 2));
            self.fill_places(one, 0) & other.join().unwrap_or(false)
        })
    }

    /// Finds places for all ids of these shards, of which the first is the one of this number.
    fn fill_places(&self, shards: &[RwLock<HashTable<Ordinal>>], from: usize) -> bool {
        let mut shards: Vec<_> = shards.iter().map(RwLock::write).collect();
        let each = self.len() / SHARDS;
        // By chance some get a little more than others.
        shards.iter_mut().for_each(|places| places.reserve(each + each / 16, |at| self.tie(*at)));
        let mut differ = true;
        for item in 0..self.len() as Ordinal {
            let entry = self.entry(item);
            let own = shard(entry.tie).checked_sub(from).and_then(|at| shards.get_mut(at));
            if let Some(places) = own {
                differ &= self.find(places, entry.tie, entry.id.as_str()).is_none();
                places.insert_unique(entry.tie, item, |at| self.tie(*at));
            }
        }
        differ
    }

    fn add(&self, tie: u64, id: &Id) -> Ordinal {
        let mut places = self.shard(tie).write();
        if let Some(known) = self.find(&places, tie, id.as_str()) {
            return known;
        }
        let adding = self.adding.lock();
        let ordinal = self.len.load(Order::Acquire);
        let (block, size, at) = place(ordinal);
        let block = self.blocks[block].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        block[at].get_or_init(|| Entry { id: id.clone(), tie });
        // Whoever reads this length finds every entry below it.
        self.len.store(ordinal + 1, Order::Release);
        drop(adding);
        places.insert_unique(tie, ordinal, |at| self.tie(*at));
        ordinal
    }

    /// The id of an item.
    #[must_use]
    pub fn id(&self, item: Ordinal) -> &Id {
        &self.entry(item).id
    }

    /// The hash of an item's id; stable across processes.
    #[must_use]
    pub fn tie(&self, item: Ordinal) -> u64 {
        self.entry(item).tie
    }

    /// Order of two items: by hash of the id, then by id. The same in every process.
    #[must_use]
    pub fn order(&self, a: Ordinal, b: Ordinal) -> Ordering {
        self.tie(a).cmp(&self.tie(b)).then_with(|| self.id(a).cmp(self.id(b)))
    }

    fn find(&self, places: &HashTable<Ordinal>, tie: u64, id: &str) -> Option<Ordinal> {
        let same = |at: &Ordinal| {
            let entry = self.entry(*at);
            entry.tie == tie && entry.id.as_str() == id
        };
        places.find(tie, same).copied()
    }

    fn entry(&self, item: Ordinal) -> &Entry {
        let (block, _, at) = place(item);
        let entry = self.blocks[block].get().and_then(|block| block[at].get());
        // PROOF: an ordinal is given out after its entry was written.
        entry.expect("an ordinal that was given out")
    }

    fn shard(&self, tie: u64) -> &RwLock<HashTable<Ordinal>> {
        &self.places[shard(tie)]
    }
}

/// Which table has an id: neither the bits that a table starts looking at nor those that it compares.
fn shard(tie: u64) -> usize {
    (tie >> 40) as usize % SHARDS
}

/// Block of an ordinal, how many entries that has, and which of them it is.
fn place(item: Ordinal) -> (usize, usize, usize) {
    let number = u64::from(item) + (4 << FIRST);
    let power = number.ilog2() - 2;
    let quarter = (number >> power) as usize & 3;
    let block = (power - FIRST) as usize * 4 + quarter;
    (block, 1 << power, (number & ((1 << power) - 1)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> Id {
        Id::new(&format!("i{n}")).unwrap()
    }

    #[test]
    fn what_is_interned_is_found_again() {
        let ids = Ids::default();
        for n in 0..5000 {
            assert_eq!(ids.intern(&id(n)), n);
        }
        for n in 0..5000 {
            assert_eq!((ids.intern(&id(n)), ids.ordinal(id(n).as_str()), ids.id(n)), (n, Some(n), &id(n)));
        }
        assert_eq!((ids.len(), ids.ordinal("j")), (5000, None));
        assert_eq!(ids.order(3, 3), Ordering::Equal);
        assert_eq!(ids.order(3, 4), id(3).tie().cmp(&id(4).tie()));
    }

    #[test]
    fn what_is_filled_at_once_is_what_comes_one_by_one() {
        let (filled, ids) = (Ids::default(), Ids::default());
        assert!(filled.fill((0..5000).map(id).collect()));
        (0..5000).for_each(|n| _ = ids.intern(&id(n)));
        assert_eq!((filled.len(), filled.ordinal("j")), (5000, None));
        assert!((0..5000).all(|n| (filled.ordinal(id(n).as_str()), filled.id(n)) == (Some(n), ids.id(n))));
        assert_eq!((filled.intern(&id(7)), filled.intern(&id(5000))), (7, 5000));
        assert!(!Ids::default().fill([1, 2, 1].map(id).to_vec()));
        assert!(Ids::default().fill(Vec::new()));
    }

    #[test]
    fn every_ordinal_has_a_place_of_its_own() {
        let mut next = (0, 0);
        for item in 0..200_000 {
            let (block, size, at) = place(item);
            assert_eq!((block, at), next);
            assert!(at < size);
            next = if at + 1 == size { (block + 1, 0) } else { (block, at + 1) };
        }
        assert_eq!(place(Ordinal::MAX).0 + 1, BLOCKS);
    }

    #[test]
    fn many_at_once_give_each_id_one_ordinal() {
        let ids = Ids::default();
        std::thread::scope(|scope| {
            for from in 0..4 {
                let ids = &ids;
                scope.spawn(move || {
                    for n in 0..4000 {
                        let item = ids.intern(&id((n * 7 + from * 1000) % 4000));
                        // All before it are there, too.
                        assert!((0..=item).rev().take(8).all(|item| ids.intern(ids.id(item)) == item));
                    }
                });
            }
        });
        assert_eq!(ids.len(), 4000);
        assert!((0..4000).all(|n| ids.ordinal(ids.id(n).as_str()) == Some(n)));
    }
}
