//! A bounded cache of lists as they are handed over: what is stacked, merged and turned into ordinals once is not so again. Keys
//! carry the generation, so that a swap needs no flush: what nobody asks for any more makes room by itself. Off by default; it pays
//! where keys are few and hot and the table is lazy or has deltas, and costs memory elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::timeout::BLOCK;
use super::{EachList, ReadLists};
use crate::Result;
use crate::live::Scored;

/// Parts with a lock each.
const SHARDS: usize = 16;
/// What an entry weighs beside its key and its list: its own fields, the counters of the list, the place in the map.
const OVERHEAD: usize = 128;

/// The cache of one table. Outlives generations.
#[derive(Debug)]
pub struct Cache {
    shards: Box<[Mutex<Shard>]>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a cache did so far, and how full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Keys answered from it.
    pub hits: u64,
    /// Keys that had to be read.
    pub misses: u64,
    /// Bytes it holds now.
    pub bytes: u64,
    /// Most bytes it may hold.
    pub limit: u64,
}

/// A list that was read: `asked` places were wanted, so a shorter one is whole. `None`: the table has no such key.
#[derive(Debug, Clone)]
struct Kept {
    list: Option<Arc<[Scored]>>,
    asked: usize,
}

impl Kept {
    /// The first places, where enough of them are known.
    fn first(&self, at_most: usize) -> Option<Option<&[Scored]>> {
        let Some(list) = &self.list else { return Some(None) };
        let enough = list.len() < self.asked || at_most <= self.asked;
        enough.then(|| Some(&list[..list.len().min(at_most)]))
    }
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    generation: u64,
    key: Box<str>,
    kept: Kept,
    bytes: usize,
    /// Asked for since the hand came by.
    used: bool,
}

/// Evicts by the clock (second chance; Corbató 1968): the hand passes over what was used since it last came by.
#[derive(Debug, Default)]
struct Shard {
    places: FxHashMap<u64, usize>,
    entries: Vec<Entry>,
    hand: usize,
    bytes: usize,
    limit: usize,
}

impl Cache {
    /// An empty cache that holds at most `bytes` bytes, its own overhead included.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let shard = || Mutex::new(Shard { limit: bytes / SHARDS, ..Shard::default() });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// What it did so far, and how full it is.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let mut stats = CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            ..CacheStats::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            stats.bytes += shard.bytes as u64;
            stats.limit += shard.limit as u64;
        }
        stats
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 60) as usize % SHARDS]
    }

    fn get(&self, generation: u64, key: &str, at_most: usize) -> Option<Kept> {
        let hash = xxh3_64_with_seed(key.as_bytes(), generation);
        self.shard(hash).lock().get(hash, generation, key, at_most)
    }

    fn put(&self, generation: u64, key: &str, kept: Kept) {
        let hash = xxh3_64_with_seed(key.as_bytes(), generation);
        self.shard(hash).lock().put(hash, generation, key, kept);
    }

    fn count(&self, asked: usize, missed: usize) {
        for (counter, by) in [(&self.hits, asked - missed), (&self.misses, missed)] {
            if by > 0 {
                counter.fetch_add(by as u64, Ordering::Relaxed);
            }
        }
    }
}

impl Shard {
    fn get(&mut self, hash: u64, generation: u64, key: &str, at_most: usize) -> Option<Kept> {
        let entry = self.entries.get_mut(*self.places.get(&hash)?)?;
        if entry.generation != generation || &*entry.key != key || entry.kept.first(at_most).is_none() {
            return None;
        }
        entry.used = true;
        Some(entry.kept.clone())
    }

    fn put(&mut self, hash: u64, generation: u64, key: &str, kept: Kept) {
        let list = kept.list.as_ref().map_or(0, |list| size_of_val(&**list));
        let bytes = OVERHEAD + key.len() + list;
        if let Some(at) = self.places.get(&hash) {
            self.remove(*at);
        }
        if bytes > self.limit {
            return;
        }
        while self.bytes + bytes > self.limit {
            self.evict();
        }
        self.places.insert(hash, self.entries.len());
        self.entries.push(Entry { hash, generation, key: key.into(), kept, bytes, used: false });
        self.bytes += bytes;
    }

    fn evict(&mut self) {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            match self.entries.get_mut(self.hand) {
                Some(entry) if entry.used => entry.used = false,
                Some(_) => return self.remove(self.hand),
                None => return self.bytes = 0,
            }
            self.hand += 1;
        }
    }

    /// Takes an entry out; the last one moves into its place.
    fn remove(&mut self, at: usize) {
        let gone = self.entries.swap_remove(at);
        self.places.remove(&gone.hash);
        self.bytes -= gone.bytes;
        if let Some(moved) = self.entries.get(at) {
            self.places.insert(moved.hash, at);
        }
    }
}

/// Answers from a cache, and puts into it what it had to read. Errors are never kept.
#[derive(Debug, Clone, Copy)]
pub struct Cached<'a, L> {
    inner: L,
    cache: Option<&'a Cache>,
    generation: u64,
}

impl<'a, L: ReadLists> Cached<'a, L> {
    /// Puts a cache before `inner`, whose content `generation` names; without a cache everything passes through.
    pub fn new(inner: L, cache: Option<&'a Cache>, generation: u64) -> Self {
        Self { inner, cache, generation }
    }

    fn block(&self, cache: &Cache, first: usize, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        let mut known: [Option<Kept>; BLOCK] = [const { None }; BLOCK];
        let (mut missed, mut places, mut count) = ([""; BLOCK], [0; BLOCK], 0);
        for (at, key) in keys.iter().enumerate() {
            known[at] = cache.get(self.generation, key, at_most);
            if known[at].is_none() {
                (missed[count], places[count]) = (key, at);
                count += 1;
            }
        }
        cache.count(keys.len(), count);
        let mut next = 0;
        let mut hand_over = |up_to: usize, each: &mut EachList<'_>| {
            while next < up_to {
                if let Some(list) = known[next].as_ref().and_then(|kept| kept.first(at_most)) {
                    each(first + next, Ok(list));
                }
                next += 1;
            }
        };
        self.inner.lists(&missed[..count], at_most, &mut |at, found| {
            hand_over(places[at], each);
            if let Ok(list) = &found {
                let kept = Kept { list: list.map(Arc::from), asked: at_most };
                cache.put(self.generation, missed[at], kept);
            }
            each(first + places[at], found);
        });
        hand_over(keys.len(), each);
    }
}

impl<L: ReadLists> ReadLists for Cached<'_, L> {
    fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        let Some(cache) = self.cache else { return self.inner.lists(keys, at_most, each) };
        for (number, block) in keys.chunks(BLOCK).enumerate() {
            self.block(cache, number * BLOCK, block, at_most, each);
        }
    }

    fn list(&self, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        let Some(cache) = self.cache else { return self.inner.list(key, at_most, out) };
        if let Some(kept) = cache.get(self.generation, key, at_most) {
            cache.count(1, 0);
            let list = kept.first(at_most).flatten();
            out.extend_from_slice(list.unwrap_or_default());
            return Ok(list.is_some());
        }
        cache.count(1, 1);
        let before = out.len();
        let known = self.inner.list(key, at_most, out)?;
        let list = known.then(|| Arc::from(&out[before..]));
        cache.put(self.generation, key, Kept { list, asked: at_most });
        Ok(known)
    }
}
