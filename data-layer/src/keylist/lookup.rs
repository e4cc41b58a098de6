//! From a key to its record: the perfect hash, or open addressing. Every record, line of pilots and bucket that an answer rests
//! on is checked; of a key that is not there, all that says so.

use super::format::{BUCKET, IndexKind, PART, SLOTS, u32_at, u64_at};
use super::list::List;
use super::perfect::{self, Part};
use super::record::{self, Next, Record};
use super::table::Table;
use super::{Key, hash, map, v1};
use crate::Result;

/// Pilots of a line; its sum follows them.
pub(super) const LINE_PILOTS: usize = 60;
/// Bytes of a line of pilots.
pub(super) const LINE: usize = 64;
/// Keys from asking for a pilot to using it.
const TO_RECORD: usize = 8;
/// Keys from asking for a record to reading it.
const TO_READ: usize = 12;
/// More than both together.
const RING: usize = 32;
/// Keys whose memory is asked for ahead of use, where there is open addressing.
const WAVE: usize = 32;

/// Where a key's pilot is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pilot {
    /// The key's hash, mixed again.
    mixed: u64,
    part: u32,
    /// Byte of the index.
    at: usize,
}

/// Where a key's record should be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub slot: u64,
    /// The byte of the index that says so.
    pilot: usize,
}

impl Table {
    /// The rows of `parts`, checked: each part's slots and pilots are within the file.
    pub(super) fn read_parts(&self) -> std::result::Result<Vec<Part>, String> {
        if self.header.index == IndexKind::Open {
            // No part: `check_sections`.
            return Ok(Vec::new());
        }
        let rows = self.section(self.header.sections.parts).chunks_exact(PART);
        let lines = self.header.sections.index.length / LINE as u64;
        let (mut slots, mut next_line) = (0u64, 0u64);
        let mut parts = Vec::with_capacity(self.header.parts as usize);
        for row in rows.take(self.header.parts as usize) {
            let part = Part {
                first_slot: u64_at(row, 0),
                slots: u32_at(row, 8),
                first_line: u32_at(row, 12),
                buckets: u32_at(row, 16),
                seed: u32_at(row, 20),
            };
            let follows = part.first_slot == slots && u64::from(part.first_line) == next_line;
            slots = slots.saturating_add(u64::from(part.slots));
            next_line += u64::from(part.buckets).div_ceil(LINE_PILOTS as u64);
            if !follows || part.slots == 0 || part.buckets == 0 || next_line > lines {
                return Err(format!("part {} does not follow the one before", parts.len()));
            }
            parts.push(part);
        }
        if parts.len() != self.header.parts as usize || slots != self.header.slots {
            return Err(format!("expected {} slots in all parts, found {slots}", self.header.slots));
        }
        Ok(parts)
    }

    /// The list of a key.
    pub(super) fn find(&self, key: Key<'_>) -> Result<Option<List<'_>>> {
        if self.header.version == 1 {
            return v1::find(self, key);
        }
        if self.header.index == IndexKind::Open {
            return Ok(self.find_open(key, hash::of(key))?.map(|record| record.list));
        }
        let place = self.place(self.pilot(hash::of(key)));
        self.ask_for_record(place.slot);
        self.list_at(key, place)
    }

    /// The record of a key, with the rest of its list.
    pub(super) fn find_record(&self, key: Key<'_>, hash: u64) -> Result<Option<Record<'_>>> {
        match self.header.index {
            IndexKind::Perfect => {
                let place = self.place(self.pilot(hash));
                self.ask_for_record(place.slot);
                self.find_at(key, place)
            }
            IndexKind::Open => self.find_open(key, hash),
        }
    }

    #[inline(always)]
    pub(super) fn pilot(&self, hash: u64) -> Pilot {
        let part = perfect::part_of(hash, self.header.parts);
        let mixed = perfect::remix(hash);
        // A file that is searched has as many parts as its header says, at least one: `read_parts`.
        let Part { first_line, buckets, .. } = self.parts[part as usize];
        let bucket = perfect::bucket_with(mixed, buckets) as usize;
        // Each line has its sum behind its pilots.
        let at = first_line as usize * LINE + bucket + bucket / LINE_PILOTS * (LINE - LINE_PILOTS);
        Pilot { mixed, part, at }
    }

    #[inline(always)]
    pub(super) fn place(&self, Pilot { mixed, part, at }: Pilot) -> Place {
        let Part { first_slot, slots, seed, .. } = self.parts[part as usize];
        let pilot = self.index().get(at).copied().unwrap_or(0);
        let slot = perfect::slot_with(mixed, perfect::spread(pilot, seed), slots);
        Place { slot: first_slot + u64::from(slot), pilot: at }
    }

    /// The list of a key at its place.
    #[inline(always)]
    fn list_at(&self, key: Key<'_>, place: Place) -> Result<Option<List<'_>>> {
        let at = place.slot as usize * self.layout.stride;
        let bytes = self.records().get(at..).unwrap_or(&[]);
        let usual = record::usual(&self.layout, bytes, record::inside(place.slot), key);
        if usual.is_some() { Ok(usual) } else { self.otherwise(key, place) }
    }

    /// A list that goes on in the overflow, a key that is not there, or damage.
    #[inline(never)]
    pub(super) fn otherwise(&self, key: Key<'_>, place: Place) -> Result<Option<List<'_>>> {
        Ok(self.find_at(key, place)?.map(|record| record.list))
    }

    fn find_at(&self, key: Key<'_>, place: Place) -> Result<Option<Record<'_>>> {
        let record = self.whole_record(place.slot)?;
        if is(record.key, key) && record.occupied {
            return Ok(Some(record));
        }
        self.check_line(place.pilot / LINE * LINE)?;
        Ok(None)
    }

    /// A line of pilots has its sum: a key that was not found where it points is not in the table.
    #[cold]
    pub(super) fn check_line(&self, line: usize) -> Result<()> {
        let bytes = self.index().get(line..line + LINE).unwrap_or(&[]);
        let (pilots, sum) = bytes.split_at(bytes.len().min(LINE_PILOTS));
        if hash::sum(pilots) ^ (line / LINE) as u32 == u32_at(sum, 0) {
            return Ok(());
        }
        let at = self.header.sections.index.offset + line as u64;
        Err(self.corrupt("index", at, "the sum of a line of pilots differs".to_owned()))
    }

    fn find_open(&self, key: Key<'_>, hash: u64) -> Result<Option<Record<'_>>> {
        let mut bucket = hash::bucket(hash, self.header.buckets);
        for _ in 0..self.header.buckets {
            let (slots, full) = self.bucket(bucket)?;
            for slot in slots.chunks_exact(8).map(|s| u64_at(s, 0)) {
                if let Some(slot) = candidate(slot, hash) {
                    self.ask_for_record(slot);
                    let record = self.whole_record(slot)?;
                    if is(record.key, key) && record.occupied {
                        return Ok(Some(record));
                    }
                }
            }
            if !full {
                return Ok(None);
            }
            bucket = (bucket + 1) % self.header.buckets;
        }
        Ok(None)
    }

    /// The slots of a bucket, and whether all are taken.
    pub(super) fn bucket(&self, bucket: u64) -> Result<(&[u8], bool)> {
        let at = bucket as usize * BUCKET;
        let bytes = self.index().get(at..at + BUCKET).unwrap_or(&[]);
        let (slots, sum) = bytes.split_at(bytes.len().min(SLOTS * 8));
        // In version 1 a bucket does not know its place.
        let place = if self.header.version == 1 { 0 } else { bucket };
        if xxhash_rust::xxh3::xxh3_64(slots) ^ place != u64_at(sum, 0) {
            let at = self.header.sections.index.offset + at as u64;
            return Err(self.corrupt("index", at, "the sum of a bucket differs".to_owned()));
        }
        Ok((slots, u64_at(slots, (SLOTS - 1) * 8) != 0))
    }

    /// The record in a slot, with what of it stands in the overflow.
    pub(super) fn whole_record(&self, slot: u64) -> Result<Record<'_>> {
        let bytes = self.slot(slot);
        let record = record::read(&self.layout, bytes, record::inside(slot)).map_err(|wrong| {
            let offset = self.header.sections.records.offset.saturating_add(slot * self.layout.stride as u64);
            self.corrupt("records", offset, wrong.to_owned())
        })?;
        if record.next == Next::Nothing { Ok(record) } else { self.beyond(record) }
    }

    fn beyond<'a>(&'a self, mut record: Record<'a>) -> Result<Record<'a>> {
        let overflow = self.header.sections.overflow;
        let wrong = |at: u64, detail: &str| {
            self.corrupt("overflow", overflow.offset.saturating_add(at), detail.to_owned())
        };
        let from = |at: u64| usize::try_from(at).ok().and_then(|at| self.overflow().get(at..)).unwrap_or(&[]);
        match record.next {
            Next::Nothing => {}
            Next::Tail { at, count } => {
                let tail = record::read_tail(&self.layout, from(at), record::outside(at), count);
                record.list.tail = tail.map_err(|w| wrong(at, w))?;
            }
            Next::Record { at } => {
                let whole = record::read(&self.layout, from(at), record::outside(at));
                record = whole.map_err(|w| wrong(at, w))?;
                if record.next != Next::Nothing || !record.occupied {
                    return Err(wrong(at, "a record in the overflow points elsewhere"));
                }
            }
        }
        record.next = Next::Nothing;
        Ok(record)
    }

    #[inline]
    pub(super) fn slot(&self, slot: u64) -> &[u8] {
        let at = slot as usize * self.layout.stride;
        self.records().get(at..at + self.layout.stride).unwrap_or(&[])
    }

    /// Asks for all lines of a record.
    #[inline(always)]
    pub(super) fn ask_for_record(&self, slot: u64) {
        let at = slot as usize * self.layout.stride;
        let records = self.records();
        (0..self.ahead).for_each(|line| map::prefetch(records, at + line * 64));
    }

    /// The lists of many keys, in a pipeline: pilots, records, and what overflows are asked for some keys before they are used.
    pub(super) fn find_many<'a, 'k, K: Copy>(
        &'a self,
        keys: &[K],
        key_of: impl Fn(K) -> Option<Key<'k>>,
        mut each: impl FnMut(usize, Result<Option<List<'a>>>),
    ) {
        if self.header.version == 1 || self.header.index == IndexKind::Open {
            return self.find_many_open(keys, key_of, each);
        }
        self.in_turn(
            keys.len(),
            |at| key_of(keys[at]).map_or(0, hash::of),
            |at, place| match key_of(keys[at]) {
                Some(key) => each(at, self.list_at(key, place)),
                None => each(at, Ok(None)),
            },
        );
    }

    /// Calls `read` with each of so many keys, in order, when its record is at hand. One step hashes a key, finds the record of one
    /// before it, and reads that of one before that: memory is never idle.
    #[inline(always)]
    pub(super) fn in_turn(
        &self,
        keys: usize,
        hash: impl Fn(usize) -> u64,
        mut read: impl FnMut(usize, Place),
    ) {
        let overflows = self.header.sections.overflow.length > 0;
        let mut pilots = [Pilot::default(); RING];
        let mut places = [Place::default(); RING];
        for step in 0..keys + TO_RECORD + TO_READ {
            if step < keys {
                let pilot = self.pilot(hash(step));
                map::prefetch(self.index(), pilot.at);
                pilots[step % RING] = pilot;
            }
            if let Some(at) = step.checked_sub(TO_RECORD).filter(|at| *at < keys) {
                let place = self.place(pilots[at % RING]);
                self.ask_for_record(place.slot);
                places[at % RING] = place;
            }
            if overflows && let Some(at) = step.checked_sub(TO_RECORD + TO_READ / 2).filter(|at| *at < keys) {
                self.ask_for_overflow(places[at % RING].slot);
            }
            if let Some(at) = step.checked_sub(TO_RECORD + TO_READ) {
                read(at, places[at % RING]);
            }
        }
    }

    /// Asks for the start of what a record has in the overflow.
    fn ask_for_overflow(&self, slot: u64) {
        if let Some(at) = record::peek(&self.layout, self.slot(slot)) {
            (0..4).for_each(|line| map::prefetch(self.overflow(), at as usize + line * 64));
        }
    }

    fn find_many_open<'a, 'k, K: Copy>(
        &'a self,
        keys: &[K],
        key_of: impl Fn(K) -> Option<Key<'k>>,
        mut each: impl FnMut(usize, Result<Option<List<'a>>>),
    ) {
        let old = self.header.version == 1;
        let hash = |key: Key<'_>| if old { v1::hash(key, self.header.seed) } else { hash::of(key) };
        for (number, keys) in keys.chunks(WAVE).enumerate() {
            let mut hashes = [0u64; WAVE];
            for (hashed, key) in hashes.iter_mut().zip(keys) {
                *hashed = key_of(*key).map_or(0, hash);
                map::prefetch(self.index(), hash::bucket(*hashed, self.header.buckets) as usize * BUCKET);
            }
            for hash in &hashes[..keys.len()] {
                let bucket = hash::bucket(*hash, self.header.buckets) as usize * BUCKET;
                let slots = self.index().get(bucket..bucket + SLOTS * 8).unwrap_or(&[]).chunks_exact(8);
                if let Some(slot) = slots.into_iter().find_map(|slot| candidate(u64_at(slot, 0), *hash)) {
                    // In version 1 slots say where the record is, in units of 8 bytes.
                    if old {
                        let at = (slot as usize + 1) * 8;
                        (0..self.ahead).for_each(|line| map::prefetch(&self.map, at + line * 64));
                    } else {
                        self.ask_for_record(slot);
                    }
                }
            }
            for (at, key) in keys.iter().enumerate() {
                let found = key_of(*key).map_or(Ok(None), |key| self.find(key));
                each(number * WAVE + at, found);
            }
        }
    }
}

/// The record's slot that an index slot points to, where it is taken and its 24 bits are those of the hash.
#[inline]
fn candidate(slot: u64, hash: u64) -> Option<u64> {
    // Damaged slots come here, too, so that 0 records ahead of the first is possible.
    if slot >> 40 == hash & 0xff_ffff { (slot & 0xff_ffff_ffff).checked_sub(1) } else { None }
}

#[inline]
fn is(stored: &[u8], key: Key<'_>) -> bool {
    match key {
        Key::U64(number) => stored == number.to_le_bytes(),
        Key::Str(text) => stored == text.as_bytes(),
    }
}
