//! The sections of a file, written one after another: parts of records in the order of hashes, then all that hangs off them.
//! `docs/formats.md` has their layout. Holds one part's records, the overflow and the index; where lists come from is `build.rs`'s.

use std::io::Write;
use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::format::{
    BUCKET, FORMAT_VERSION, HEADER, Header, IndexKind, PART, SLOTS, Sections, records_at, u64_at,
};
use super::lookup::{LINE, LINE_PILOTS};
use super::perfect::{self, PART_KEYS};
use super::record::{self, Entry, Layout, Overflow};
use super::sink::Sink;
use super::spec::TableSpec;
use super::statistics::{Statistics, Tally};
use super::{Key, hash};
use crate::{Error, Result};

/// Share of the slots of open addressing that are taken, at most: 3 of 4.
const LOAD: (u64, u64) = (3, 4);
/// Records that are written at once where there are no parts.
const DENSE: usize = 4096;

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

/// Writes a file. Give it each part, then [`Encoder::finish`].
pub(super) struct Encoder<W> {
    plan: Plan,
    path: PathBuf,
    sink: Sink<W>,
    overflow: Overflow,
    tally: Tally,
    /// Lines of pilots, or, of open addressing, the hash of each slot.
    pilots: Vec<u8>,
    hashes: Vec<u64>,
    rows: Vec<u8>,
    slots: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Encoder<W> {
    /// Starts behind the header, for which the caller leaves [`HEADER`] bytes; `path` is for errors only.
    ///
    /// # Errors
    /// What the system said.
    pub fn new(mut out: W, plan: Plan, path: PathBuf) -> Result<Self> {
        let at = plan.records_at();
        let zeros = vec![0; at as usize - HEADER];
        out.write_all(&zeros).map_err(Error::io(&path))?;
        Ok(Self {
            plan,
            path,
            sink: Sink::new(out, at),
            overflow: Overflow::default(),
            tally: Tally::new(),
            pilots: Vec::new(),
            hashes: Vec::new(),
            rows: Vec::new(),
            slots: 0,
            buffer: Vec::new(),
        })
    }

    /// Writes the next part; `entry` gives the entry of each hash. `false`: there is no perfect hash, and the file has to be begun
    /// anew with open addressing.
    ///
    /// # Errors
    /// A list that can't be stored, or what the system said.
    pub fn part<'e>(&mut self, hashes: &[u64], entry: impl Fn(usize) -> Entry<'e>) -> Result<bool> {
        if self.plan.index == IndexKind::Open {
            self.hashes.extend_from_slice(hashes);
            for start in (0..hashes.len()).step_by(DENSE) {
                let count = DENSE.min(hashes.len() - start);
                self.clear(count);
                (0..count).try_for_each(|at| self.place(at, &entry(start + at)))?;
                self.flush(count)?;
            }
            return Ok(true);
        }
        let shape = perfect::shape(hashes.len() as u32);
        let Some((seed, pilots)) = perfect::build(hashes) else { return Ok(false) };
        let first_line = (self.pilots.len() / LINE) as u32;
        self.rows.extend_from_slice(&self.slots.to_le_bytes());
        for field in [shape.slots, first_line, shape.buckets, seed, 0, 0] {
            self.rows.extend_from_slice(&field.to_le_bytes());
        }
        self.clear(shape.slots as usize);
        let mut taken = vec![false; shape.slots as usize];
        for (at, hash) in hashes.iter().enumerate() {
            let pilot = pilots[perfect::bucket(*hash, shape.buckets) as usize];
            let slot = perfect::slot(*hash, pilot, seed, shape.slots) as usize;
            taken[slot] = true;
            self.place(slot, &entry(at))?;
        }
        let stride = self.plan.layout.stride;
        for (slot, _) in taken.iter().enumerate().filter(|(_, taken)| !**taken) {
            record::vacant(&mut self.buffer[slot * stride..(slot + 1) * stride]);
        }
        self.lines(&pilots);
        self.flush(shape.slots as usize)?;
        Ok(true)
    }

    fn clear(&mut self, slots: usize) {
        self.buffer.clear();
        self.buffer.resize(slots * self.plan.layout.stride, 0);
    }

    fn place(&mut self, slot: usize, entry: &Entry<'_>) -> Result<()> {
        let stride = self.plan.layout.stride;
        let out = &mut self.buffer[slot * stride..(slot + 1) * stride];
        let error = record::write(&self.plan.layout, entry, out, &mut self.overflow)
            .map_err(|detail| of_key(entry.key, detail))?;
        self.tally.list(entry.scores, error);
        Ok(())
    }

    fn lines(&mut self, pilots: &[u8]) {
        for line in pilots.chunks(LINE_PILOTS) {
            let start = self.pilots.len();
            self.pilots.extend_from_slice(line);
            self.pilots.resize(start + LINE_PILOTS, 0);
            let sum = hash::sum(&self.pilots[start..]);
            self.pilots.extend_from_slice(&sum.to_le_bytes());
        }
    }

    fn flush(&mut self, slots: usize) -> Result<()> {
        self.slots += slots as u64;
        self.sink.write(&self.buffer).map_err(Error::io(&self.path))
    }

    /// Writes what follows the records. Gives back the writer, the bytes of the header, which belong in front, and the header.
    ///
    /// # Errors
    /// A dictionary too large for the format, or what the system said.
    pub fn finish<'i>(
        mut self,
        spec: &TableSpec,
        ids: impl Iterator<Item = &'i str> + Clone,
    ) -> Result<(W, [u8; HEADER], Header, Statistics)> {
        let failed = |error| Error::Io { path: self.path.clone(), source: error };
        let sink = &mut self.sink;
        let records = sink.end().map_err(failed)?;
        sink.write(&self.overflow.bytes).map_err(failed)?;
        let overflow = sink.end().map_err(failed)?;
        let buckets = match self.plan.index {
            IndexKind::Perfect => 0,
            IndexKind::Open => {
                self.pilots = open_index(&self.hashes)?;
                (self.pilots.len() / BUCKET) as u64
            }
        };
        sink.write(&self.pilots).map_err(failed)?;
        let index = sink.end().map_err(failed)?;
        sink.write(&self.rows).map_err(failed)?;
        let parts = sink.end().map_err(failed)?;
        let items = dictionary(ids, &mut |bytes| sink.write(bytes).map_err(failed))?;
        let dictionary = sink.end().map_err(failed)?;
        let statistics = self.tally.finish(items.into());
        let text =
            serde_json::to_vec(&statistics).map_err(|e| Error::invalid("statistics", e.to_string()))?;
        sink.write(&text).map_err(failed)?;
        let text = sink.end().map_err(failed)?;
        let (out, blocks) = self.sink.blocks().map_err(failed)?;
        let layout = self.plan.layout;
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
        Ok((out, bytes, header, statistics))
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
    for bucket in table.chunks_exact_mut(BUCKET) {
        let sum = xxh3_64(&bucket[..SLOTS * 8]);
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
