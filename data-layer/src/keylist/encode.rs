//! The sections of a file, written one after another: records part by part, then all that hangs off them. `docs/formats.md` has
//! their layout. Holds a piece of the records and of the overflow, and the index; where lists come from is `assemble.rs`'s.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::format::{BUCKET, FORMAT_VERSION, HEADER, Header, IndexKind, PART, SLOTS, u64_at};
use super::lookup::{LINE, LINE_PILOTS};
use super::pending::{Lists, Place};
use super::perfect::{self, PART_KEYS};
use super::record::{self, Layout, Overflow};
use super::sections::{Sections, records_at};
use super::sink::Sink;
use super::spec::TableSpec;
use super::statistics::{Statistics, Tally};
use super::{Key, hash, spill};
use crate::{Error, Result};

/// Share of the slots of open addressing that are taken, at most: 3 of 4.
const LOAD: (u64, u64) = (3, 4);
/// The overflow may have this part of the budget; the rest of it waits on disk.
const OVERFLOW: usize = 8;
/// Bytes that are written at once, about.
const WRITE: usize = 1 << 20;
/// Lists whose memory is asked for ahead of use.
const AHEAD: usize = 4;

/// What is known of a file before its first record is written.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub layout: Layout,
    pub index: IndexKind,
    /// Lists of each part, in the order of parts; of open addressing: all lists as one.
    pub parts: Vec<u32>,
}

impl Plan {
    pub fn slots(&self) -> u64 {
        match self.index {
            IndexKind::Perfect => self.parts.iter().map(|keys| u64::from(perfect::shape(*keys).slots)).sum(),
            IndexKind::Open => self.parts.iter().map(|keys| u64::from(*keys)).sum(),
        }
    }

    fn records_at(&self) -> u64 {
        let length = self.slots() * self.layout.stride as u64;
        records_at(length.next_multiple_of(super::format::ALIGN as u64))
    }
}

/// Parts of so many lists.
pub(super) fn part_count(lists: u64) -> u32 {
    lists.div_ceil(PART_KEYS).max(1) as u32
}

/// The perfect hash of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Perfect {
    pub shape: perfect::Shape,
    seed: u32,
    pilots: Vec<u8>,
}

impl Perfect {
    /// `None` where hashes repeat, or are no hashes.
    pub fn of(hashes: &[u64]) -> Option<Self> {
        let (seed, pilots) = perfect::build(hashes)?;
        Some(Self { shape: perfect::shape(hashes.len() as u32), seed, pilots })
    }

    /// The slot of a hash within its part.
    pub fn slot(&self, hash: u64) -> u32 {
        let bucket = perfect::bucket(hash, self.shape.buckets) as usize;
        perfect::slot(hash, self.pilots[bucket], self.seed, self.shape.slots)
    }
}

/// Writes a file. Give it each part and its records, then [`Encoder::finish`].
pub(super) struct Encoder<'p, W> {
    plan: Plan,
    path: &'p Path,
    scratch: &'p Path,
    /// Bytes of the overflow that may be in memory.
    keep: usize,
    sink: Sink<W>,
    overflow: Overflow,
    /// What of the overflow is no longer in memory.
    spilled: Option<File>,
    /// Lines of pilots, or, of open addressing, the hash of each slot.
    pilots: Vec<u8>,
    hashes: Vec<u64>,
    rows: Vec<u8>,
    slots: u64,
    buffer: Vec<u8>,
}

impl<'p, W: Write> Encoder<'p, W> {
    /// Starts with zeros where the header will be; `path` is for errors only.
    ///
    /// # Errors
    /// What the system said.
    pub fn new(mut out: W, plan: Plan, path: &'p Path, spec: &'p TableSpec) -> Result<Self> {
        let at = plan.records_at();
        out.write_all(&vec![0; at as usize]).map_err(Error::io(path))?;
        Ok(Self {
            plan,
            path,
            scratch: &spec.scratch,
            keep: (spec.memory / OVERFLOW).max(WRITE),
            sink: Sink::new(out, at),
            overflow: Overflow::default(),
            spilled: None,
            pilots: Vec::new(),
            hashes: Vec::new(),
            rows: Vec::new(),
            slots: 0,
            buffer: Vec::new(),
        })
    }

    /// Starts the next part, of a perfect hash. Its records follow in the order of slots.
    pub fn start_part(&mut self, part: &Perfect) {
        let first_line = (self.pilots.len() / LINE) as u32;
        self.rows.extend_from_slice(&self.slots.to_le_bytes());
        for field in [part.shape.slots, first_line, part.shape.buckets, part.seed, 0, 0] {
            self.rows.extend_from_slice(&field.to_le_bytes());
        }
        self.lines(&part.pilots);
    }

    /// Writes the records of open addressing, in the order of `places`, which are in the order of hashes.
    ///
    /// # Errors
    /// As [`Encoder::records`].
    pub fn sorted(&mut self, lists: &Lists, places: &[Place], renumber: &[u32]) -> Result<()> {
        self.hashes.extend(places.iter().map(|place| place.hash));
        let order: Vec<u32> = (1..=places.len() as u32).collect();
        self.records(lists, places, &order, renumber)
    }

    /// Writes the records of the next slots; `order` has, for each slot, the number of its place from 1, or 0.
    ///
    /// # Errors
    /// A list that can't be stored, or what the system said.
    pub fn records(
        &mut self,
        lists: &Lists,
        places: &[Place],
        order: &[u32],
        renumber: &[u32],
    ) -> Result<()> {
        let stride = self.plan.layout.stride;
        let place_of = |number: u32| places.get((number as usize).wrapping_sub(1));
        let at_once = (WRITE / stride).max(1);
        let mut items = Vec::new();
        let mut ahead = order.iter().skip(AHEAD);
        for slots in order.chunks(at_once) {
            self.buffer.clear();
            self.buffer.resize(slots.len() * stride, 0);
            let strides = self.buffer.chunks_exact_mut(stride);
            for ((slot, number), out) in (self.slots..).zip(slots).zip(strides) {
                if let Some(place) = ahead.next().and_then(|number| place_of(*number)) {
                    lists.ask(place);
                }
                let Some(place) = place_of(*number) else {
                    record::vacant(out, slot);
                    continue;
                };
                let entry = lists.entry(place, renumber, &mut items);
                record::write(&self.plan.layout, &entry, slot, out, &mut self.overflow)
                    .map_err(|detail| of_key(entry.key, detail))?;
            }
            self.slots += slots.len() as u64;
            self.sink.write(&self.buffer).map_err(Error::io(self.path))?;
            self.spill()?;
        }
        Ok(())
    }

    /// Keeps the overflow out of memory where it is large.
    fn spill(&mut self) -> Result<()> {
        let overflow = &mut self.overflow;
        if overflow.bytes.len() < self.keep {
            return Ok(());
        }
        let file = match &mut self.spilled {
            Some(file) => file,
            none => none.insert(spill::scratch(self.scratch)?),
        };
        file.write_all(&overflow.bytes).map_err(spill::said(self.scratch))?;
        overflow.before += overflow.bytes.len() as u64;
        overflow.bytes.clear();
        Ok(())
    }

    /// Writes the whole overflow.
    fn overflow(&mut self) -> Result<()> {
        if let Some(file) = &mut self.spilled {
            file.rewind().map_err(spill::said(self.scratch))?;
            let mut left = self.overflow.before;
            self.buffer.resize(WRITE, 0);
            while left > 0 {
                let piece = &mut self.buffer[..left.min(WRITE as u64) as usize];
                file.read_exact(piece).map_err(spill::said(self.scratch))?;
                self.sink.write(piece).map_err(Error::io(self.path))?;
                left -= piece.len() as u64;
            }
        }
        self.sink.write(&self.overflow.bytes).map_err(Error::io(self.path))
    }

    fn lines(&mut self, pilots: &[u8]) {
        for line in pilots.chunks(LINE_PILOTS) {
            let start = self.pilots.len();
            self.pilots.extend_from_slice(line);
            self.pilots.resize(start + LINE_PILOTS, 0);
            let sum = hash::sum(&self.pilots[start..]) ^ (start / LINE) as u32;
            self.pilots.extend_from_slice(&sum.to_le_bytes());
        }
    }

    /// Writes what follows the records. Gives the bytes of the header, which belong in front, and the header.
    ///
    /// # Errors
    /// A dictionary too large for the format, or what the system said.
    pub fn finish<'i>(
        mut self,
        spec: &TableSpec,
        tally: &Tally,
        ids: impl Iterator<Item = &'i str> + Clone,
    ) -> Result<([u8; HEADER], Header, Statistics)> {
        let path = self.path;
        let failed = |error| Error::Io { path: path.to_owned(), source: error };
        let records = self.sink.end().map_err(failed)?;
        self.overflow()?;
        let sink = &mut self.sink;
        let overflow = sink.end().map_err(failed)?;
        let mut buckets = 0;
        if self.plan.index == IndexKind::Open {
            self.pilots = open_index(&self.hashes)?;
            buckets = (self.pilots.len() / BUCKET) as u64;
        }
        sink.write(&self.pilots).map_err(failed)?;
        let index = sink.end().map_err(failed)?;
        sink.write(&self.rows).map_err(failed)?;
        let parts = sink.end().map_err(failed)?;
        let items = dictionary(ids, &mut |bytes| sink.write(bytes).map_err(failed))?;
        let dictionary = sink.end().map_err(failed)?;
        let statistics = tally.finish(items.into());
        let text =
            serde_json::to_vec(&statistics).map_err(|e| Error::invalid("statistics", e.to_string()))?;
        sink.write(&text).map_err(failed)?;
        let text = sink.end().map_err(failed)?;
        let ((_, blocks), layout) = (self.sink.blocks().map_err(failed)?, self.plan.layout);
        let mut header = Header {
            version: FORMAT_VERSION,
            namespace: spec.namespace.clone(),
            name: spec.name.clone(),
            keys: layout.keys,
            scores: layout.scores,
            watermark: spec.watermark,
            schema_hash: spec.schema_hash,
            shard: spec.shard.0,
            shards: spec.shard.1,
            seed: 0,
            lists: statistics.lists,
            entries: statistics.entries,
            items,
            score_error: statistics.score_error,
            file_length: blocks.offset + blocks.length,
            sum: 0,
            index: self.plan.index,
            item_bits: layout.bits,
            stride: layout.stride as u32,
            slots: self.slots,
            vector: layout.vector,
            base: spec.delta,
            overflowing: self.overflow.lists,
            parts: (self.rows.len() / PART) as u32,
            buckets,
            sections: Sections { records, overflow, index, parts, dictionary, statistics: text, blocks },
        };
        let bytes = header.encode();
        Ok((bytes, header, statistics))
    }
}

fn of_key(key: Key<'_>, detail: String) -> Error {
    Error::invalid(format!("key {key}"), detail)
}

/// The open-addressing index: buckets of seven slots and a sum; a full bucket goes on in the next one. Record i has hash i.
fn open_index(hashes: &[u64]) -> Result<Vec<u8>> {
    if hashes.len() as u64 >= 1 << 40 {
        return Err(Error::invalid("table", "a file has less than 2^40 lists"));
    }
    let wanted = (hashes.len() as u64 * LOAD.1).div_ceil(LOAD.0);
    // One slot more than lists, so that a search for an absent key always meets a free slot.
    let buckets = wanted.max(hashes.len() as u64 + 1).div_ceil(SLOTS as u64);
    let mut table = vec![0; buckets as usize * BUCKET];
    for (record, hash) in (1u64..).zip(hashes) {
        let mut bucket = hash::bucket(*hash, buckets) as usize;
        let at = loop {
            let slots = (0..SLOTS).map(|slot| bucket * BUCKET + slot * 8);
            if let Some(free) = slots.into_iter().find(|at| u64_at(&table, *at) == 0) {
                break free;
            }
            bucket = (bucket + 1) % buckets as usize;
        };
        table[at..at + 8].copy_from_slice(&(hash << 40 | record).to_le_bytes());
    }
    for (number, bucket) in (0u64..).zip(table.chunks_exact_mut(BUCKET)) {
        let sum = xxh3_64(&bucket[..SLOTS * 8]) ^ number;
        bucket[SLOTS * 8..].copy_from_slice(&sum.to_le_bytes());
    }
    Ok(table)
}

/// The item dictionary: n + 1 offsets (`u32`), then the texts, sorted. Gives n.
fn dictionary<'i>(
    ids: impl Iterator<Item = &'i str> + Clone,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u32> {
    let (mut at, mut items) = (0u32, 0u32);
    let mut offsets = at.to_le_bytes().to_vec();
    for id in ids.clone() {
        at = at
            .checked_add(id.len() as u32)
            .ok_or_else(|| Error::invalid("dictionary", "all ids together must have less than 4 GiB"))?;
        items += 1;
        offsets.extend_from_slice(&at.to_le_bytes());
    }
    write(&offsets)?;
    for id in ids {
        write(id.as_bytes())?;
    }
    Ok(items)
}
