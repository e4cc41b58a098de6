//! Which events came before: by the client's id, else by content, for at least a window of receipt times and at most a quarter more.
//! Rebuilt from the log at start. About 16 bytes for each event of the window, and never more than [`MOST_BYTES`].
//!
//! Keys stand in generations, each a table that is filled for a quarter of the window and then only asked, until its newest key is older
//! than the window. A slot holds 64 bits of a key and its place speaks for the others, so two events are taken for one with a chance
//! of about 10⁻¹⁹ for each event and generation.

use std::collections::VecDeque;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::log::format::kind_of;
use crate::types::id::MAX_ID_BYTES;
use crate::types::time::MINUTE;
use crate::types::{Event, Millis};

/// How long an event is remembered where the configuration does not say.
pub const WINDOW: Millis = 10 * MINUTE;
/// Memory for keys: where more come within the window, the oldest are forgotten early, with a warning.
pub const MOST_BYTES: usize = 2 << 30;

/// Generations that a window is cut into.
const SPANS: Millis = 4;
/// Version of the bytes of a generation.
const VERSION: u64 = 1;
/// Slots that are looked at together: a cache line.
const BUCKET: usize = 8;
/// Buckets of the smallest table: 128 KiB.
const LEAST_BUCKETS: usize = 1 << 11;

/// What makes two events the same.
pub type Key = u128;

/// The key of an event; `payload` is what the log holds of it.
#[must_use]
pub fn key(event: &Event, payload: &[u8]) -> Key {
    let by_id = match event {
        Event::Interaction(e) => e.id.as_ref().map(|id| of_id(b'i', id.as_str())),
        Event::Impression(e) => e.id.as_ref().map(|id| of_id(b'v', id.as_str())),
        Event::Retraction(e) => Some(of_id(b'r', e.id.as_str())),
        // The receipt may have given it its time.
        Event::Load(e) => Some(of_id(b'l', &format!("{}\0{}\0{:?}", e.source, e.id, e.phase))),
        _ => None,
    };
    by_id.unwrap_or_else(|| xxh3_128_with_seed(payload, u64::from(kind_of(event))))
}

fn of_id(class: u8, id: &str) -> Key {
    let text = id.as_bytes();
    let mut bytes = [0; 2 + MAX_ID_BYTES];
    bytes[0] = class;
    // At once rather than in parts: that is several times as fast for so few bytes.
    match bytes.get_mut(2..2 + text.len()) {
        Some(rest) => rest.copy_from_slice(text),
        None => return xxh3_128_with_seed(text, u64::from(class)),
    }
    xxh3_128(&bytes[..2 + text.len()])
}

/// Keys of the window. A clone shares what does not change any more.
#[derive(Debug, Clone)]
pub struct Dedupe {
    window: Millis,
    most_bytes: usize,
    /// Oldest first.
    generations: VecDeque<Generation>,
    /// Number of the first of them, counted from the start.
    first: u64,
    /// The newest receipt time so far: a clock that steps back shortens nothing.
    clock: Millis,
    /// Where the keys stand that may be taken back: number of the generation, slot.
    undo: Vec<(u64, usize)>,
    shortened: u64,
}

#[derive(Debug, Clone)]
struct Generation {
    slots: Arc<Vec<u64>>,
    /// Where the first bucket begins, so that each is one cache line.
    start: usize,
    buckets: usize,
    held: usize,
    opened: Millis,
    /// Receipt time of its newest key.
    newest: Millis,
}

impl Dedupe {
    /// Nothing remembered yet.
    #[must_use]
    pub fn new(window: Millis) -> Self {
        Self::with_most_bytes(window, MOST_BYTES)
    }

    /// The same with another bound of its memory; at least 1 MiB is used.
    #[must_use]
    pub fn with_most_bytes(window: Millis, most_bytes: usize) -> Self {
        let (generations, undo) = (VecDeque::new(), Vec::new());
        let most_bytes = most_bytes.max(1 << 20);
        Self { window, most_bytes, generations, first: 0, clock: Millis::MIN, undo, shortened: 0 }
    }

    /// Remembers an event; `false` where it came before.
    pub fn insert(&mut self, key: Key, received_ms: Millis) -> bool {
        self.clock = self.clock.max(received_ms);
        while self.generations.front().is_some_and(|g| g.newest.saturating_add(self.window) < self.clock) {
            self.generations.pop_front();
            self.first += 1;
        }
        if self.generations.iter().rev().any(|generation| generation.find(key).is_ok()) {
            return false;
        }
        let span = self.window / SPANS;
        let open = |g: &Generation| !g.full() && self.clock.saturating_sub(g.opened) <= span;
        if !self.generations.back().is_some_and(open) {
            self.open();
        }
        let (number, clock) = (self.first + self.generations.len() as u64, self.clock);
        if let Some(generation) = self.generations.back_mut()
            && let Err(slot) = generation.find(key)
        {
            Arc::make_mut(&mut generation.slots)[slot] = tag(key);
            generation.held += 1;
            generation.newest = clock;
            self.undo.push((number - 1, slot));
        }
        true
    }

    /// Makes what was remembered lasting: the group is on the disk.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Forgets what was remembered since [`Dedupe::keep`]: the group is not in the log.
    pub fn take_back(&mut self) {
        // Newest first: then each slot is the last that was filled, and no search ends early at a hole.
        while let Some((number, slot)) = self.undo.pop() {
            let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
            if let Some(generation) = at.and_then(|at| self.generations.get_mut(at)) {
                Arc::make_mut(&mut generation.slots)[slot] = 0;
                generation.held -= 1;
            }
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.generations.iter().map(|generation| generation.held).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of all tables.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.generations.iter().map(Generation::bytes).sum()
    }

    /// How often keys were forgotten before their window ended, because memory was used up.
    #[must_use]
    pub fn shortened(&self) -> u64 {
        self.shortened
    }

    /// Each generation as bytes, oldest first.
    pub fn sections(&self) -> impl Iterator<Item = Vec<u8>> + use<> {
        self.generations.clone().into_iter().map(|generation| generation.bytes_of())
    }

    /// Puts a generation behind those that are here, as [`Dedupe::sections`] gave it.
    ///
    /// # Errors
    /// A sentence, for other bytes.
    pub fn push_section(&mut self, bytes: &[u8]) -> Result<(), String> {
        let generation = Generation::of_bytes(bytes)?;
        self.clock = self.clock.max(generation.newest);
        self.generations.push_back(generation);
        Ok(())
    }

    /// Starts a generation: as large as the one before needed to be.
    fn open(&mut self) {
        let wanted = self
            .generations
            .back()
            .map_or(LEAST_BUCKETS, |g| if g.full() { g.buckets * 2 } else { g.held * 3 / 2 / BUCKET + 1 });
        let most = self.most_bytes / (BUCKET * 8) / (SPANS as usize + 2);
        let generation = Generation::new(wanted.clamp(LEAST_BUCKETS, most.max(LEAST_BUCKETS)), self.clock);
        while self.bytes() + generation.bytes() > self.most_bytes
            && let Some(oldest) = self.generations.pop_front()
        {
            self.first += 1;
            self.shortened += 1;
            let known_ms = self.clock.saturating_sub(oldest.newest);
            let bytes = self.most_bytes;
            tracing::warn!(known_ms, bytes, "more events than fit: repeats are known for a shorter time");
        }
        self.generations.push_back(generation);
    }
}

fn tag(key: Key) -> u64 {
    (key as u64).max(1)
}

impl Generation {
    fn new(buckets: usize, opened: Millis) -> Self {
        let slots = vec![0u64; (buckets + 1) * BUCKET];
        let start = slots.as_ptr().align_offset(BUCKET * 8).min(BUCKET);
        Self { slots: Arc::new(slots), start, buckets, held: 0, opened, newest: opened }
    }

    fn bytes(&self) -> usize {
        self.slots.len() * 8
    }

    /// Version, buckets, keys, when it was opened and when the newest key came, then every slot.
    fn bytes_of(&self) -> Vec<u8> {
        let slots = &self.slots[self.start..self.start + self.buckets * BUCKET];
        let mut bytes = Vec::with_capacity(40 + slots.len() * 8);
        let numbers =
            [VERSION, self.buckets as u64, self.held as u64, self.opened as u64, self.newest as u64];
        numbers.iter().chain(slots).for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (words, rest) = bytes.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let [version, buckets, held, opened, newest, ref slots @ ..] = words[..] else {
            return Err(format!("expected keys of events, found {} bytes", bytes.len()));
        };
        if version != VERSION {
            return Err(format!("expected keys of events of version {VERSION}, found {version}"));
        }
        let filled = slots.iter().filter(|slot| **slot != 0).count() as u64;
        let whole = rest.is_empty() && slots.len() as u64 == buckets.saturating_mul(BUCKET as u64);
        // One slot at least stays free, or a search would not end.
        if !whole || filled != held || held >= slots.len() as u64 {
            return Err(format!(
                "expected {buckets} buckets with {held} keys, found {filled} in {}",
                slots.len()
            ));
        }
        let mut generation = Self::new(buckets as usize, opened as Millis);
        let range = generation.start..generation.start + slots.len();
        Arc::make_mut(&mut generation.slots)[range].copy_from_slice(slots);
        Ok(Self { held: held as usize, newest: newest as Millis, ..generation })
    }

    /// Above this, searches get long.
    fn full(&self) -> bool {
        self.held >= self.buckets * BUCKET / 8 * 7
    }

    /// The slot of a key, or the free one where it belongs.
    fn find(&self, key: Key) -> Result<usize, usize> {
        let (tag, high) = (tag(key), (key >> 64) as u64);
        let mut bucket = ((u128::from(high) * self.buckets as u128) >> 64) as usize;
        loop {
            let at = self.start + bucket * BUCKET;
            let slots = &self.slots[at..at + BUCKET];
            if let Some(slot) = slots.iter().position(|slot| *slot == tag) {
                return Ok(at + slot);
            }
            if let Some(slot) = slots.iter().position(|slot| *slot == 0) {
                return Err(at + slot);
            }
            bucket = if bucket + 1 == self.buckets { 0 } else { bucket + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustc_hash::FxHashMap;

    use super::*;

    fn spread(n: u64) -> Key {
        xxh3_128(&n.to_le_bytes())
    }

    #[test]
    fn the_window_forgets_and_a_failed_group_is_taken_back() {
        let mut dedupe = Dedupe::new(100);
        assert!(dedupe.insert(spread(1), 1000));
        assert!(!dedupe.insert(spread(1), 1100));
        assert!(dedupe.insert(spread(1), 1126));
        assert!(dedupe.insert(spread(2), 1126));
        dedupe.keep();
        assert!(dedupe.insert(spread(3), 1126));
        dedupe.take_back();
        assert!(dedupe.insert(spread(3), 1126));
        assert!(!dedupe.insert(spread(2), 1126));
        assert!(dedupe.insert(spread(4), 2000));
        assert_eq!(dedupe.len(), 1);
    }

    #[test]
    fn bytes_of_generations_remember_what_they_did() {
        let mut dedupe = Dedupe::new(1000);
        for n in 0..5000u64 {
            assert!(dedupe.insert(spread(n), (n / 10) as Millis));
        }
        dedupe.keep();
        let mut again = Dedupe::new(1000);
        for section in dedupe.sections() {
            again.push_section(&section).unwrap();
            assert!(
                again.push_section(&section[8..]).is_err() && again.push_section(&section[..99]).is_err()
            );
        }
        assert_eq!((again.len(), again.generations.len()), (5000, dedupe.generations.len()));
        assert!((0..5000).all(|n| !again.insert(spread(n), 500)));
        assert!(again.insert(spread(5000), 500) && again.insert(spread(1), 5000));
        assert!(dedupe.insert(spread(5000), 500));
    }

    /// A clock set back by an hour neither forgets nor keeps for ever.
    #[test]
    fn a_clock_that_steps_back_shortens_nothing() {
        let mut dedupe = Dedupe::new(100);
        assert!(dedupe.insert(spread(1), 10_000));
        assert!(dedupe.insert(spread(2), 5_000));
        for now in [5_000, 5_100, 5_200, 10_000, 10_099] {
            assert!(!dedupe.insert(spread(1), now), "{now}");
            assert!(!dedupe.insert(spread(2), now), "{now}");
        }
        assert!(dedupe.insert(spread(1), 10_200));
        assert!(dedupe.insert(spread(2), 10_200));
    }

    #[test]
    fn a_million_events_are_held_in_less_than_24_bytes_each() {
        let mut dedupe = Dedupe::new(1_000_000);
        for n in 0..2_000_000u64 {
            assert!(dedupe.insert(spread(n), n as Millis));
            dedupe.keep();
        }
        let each = dedupe.bytes() as f64 / 1e6;
        assert!(
            dedupe.len() >= 1_000_000 && each < 24.0,
            "{} keys, {each} bytes an event of the window",
            dedupe.len()
        );
        assert!((1_000_000..2_000_000).all(|n| !dedupe.insert(spread(n), 2_000_000)));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_known() {
        let mut dedupe = Dedupe::with_most_bytes(1_000_000, 1 << 20);
        for n in 0..1_000_000u64 {
            assert!(dedupe.insert(spread(n), 5));
            dedupe.keep();
        }
        assert!(dedupe.bytes() <= 1 << 20 && dedupe.shortened() > 0);
        assert!((980_000..1_000_000).all(|n| !dedupe.insert(spread(n), 5)));
    }

    proptest! {
        /// Against a map that never forgets: within the window nothing is taken twice, beyond a window and a quarter everything is.
        #[test]
        fn it_agrees_with_a_map(
            steps in prop::collection::vec((0u64..60, 0i64..40, any::<bool>(), any::<bool>()), 1..400),
        ) {
            let mut dedupe = Dedupe::new(100);
            let mut taken: FxHashMap<u64, Millis> = FxHashMap::default();
            let (mut now, mut group) = (0, Vec::new());
            for (n, step, ends, fails) in steps {
                now += step;
                let before = taken.get(&n).copied();
                let new = dedupe.insert(spread(n), now);
                match before {
                    Some(at) if now - at <= 100 => prop_assert!(!new),
                    Some(at) if now - at <= 125 => {}
                    _ => prop_assert!(new),
                }
                if new {
                    taken.insert(n, now);
                    group.push((n, before));
                }
                if ends && fails {
                    dedupe.take_back();
                    for (n, before) in group.drain(..).rev() {
                        match before {
                            Some(at) => taken.insert(n, at),
                            None => taken.remove(&n),
                        };
                    }
                } else if ends {
                    dedupe.keep();
                    group.clear();
                }
            }
        }
    }
}
