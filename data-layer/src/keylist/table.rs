//! An open key-list file: look-up of one key and of many, with every bucket and record checked as it is read.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::format::{
    BUCKET, HEADER, Header, KeyKind, RECORD_ALIGN, SLOTS, ScoreCodec, Section, Statistics, align_up, u32_at,
    u64_at,
};
use super::list::List;
use super::map::Mapped;
use super::{Key, map};
use crate::{Error, Result};

/// How much is checked when a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Every sum, and that every list can be found and decoded. Reads the whole file.
    Full,
    /// The header, the dictionary and the statistics; buckets and records are checked as they are read.
    Header,
}

/// Keys whose memory is asked for ahead of use by [`Table::multi_get`].
const WAVE: usize = 32;
/// Most cache lines of one record that are asked for ahead.
const AHEAD_LINES: usize = 32;

/// One generation of one table.
#[derive(Debug)]
pub struct Table {
    map: Mapped,
    path: PathBuf,
    header: Header,
    statistics: Statistics,
    ahead: usize,
}

/// A record with its key, size and list.
struct Found<'a> {
    key: Key<'a>,
    size: usize,
    list: List<'a>,
}

impl Table {
    /// Maps and checks a file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with section and byte, [`Error::Newer`], or what the system said.
    pub fn open(path: impl AsRef<Path>, verify: Verify) -> Result<Self> {
        let path = path.as_ref();
        let map = map::map(path)?;
        let header = Header::decode(&map, path)?;
        let mean = (header.sections.records.length / header.lists.max(1)) as usize;
        let ahead = mean.div_ceil(64).clamp(1, AHEAD_LINES);
        let mut table = Self { map, path: path.to_owned(), header, statistics: Statistics::default(), ahead };
        let sections = table.header.sections;
        for (name, section) in sections.named() {
            if verify == Verify::Full || matches!(name, "dictionary" | "statistics") {
                table.check_sum(name, section)?;
            }
        }
        table.check_dictionary()?;
        let statistics = table.section(sections.statistics);
        let end = statistics.iter().position(|b| *b == 0).unwrap_or(statistics.len());
        table.statistics = serde_json::from_slice(&statistics[..end])
            .map_err(|e| table.corrupt("statistics", sections.statistics.offset, e.to_string()))?;
        if verify == Verify::Full {
            table.check_records()?;
        }
        Ok(table)
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether the file lost bytes since it was opened, because somebody truncated it. A list that was read and used before this
    /// says `false` was right to its end; after `true`, read it again, or don't trust it.
    #[must_use]
    pub fn lost_bytes(&self) -> bool {
        self.map.lost()
    }

    /// Counts and ranges.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Number of different items.
    #[must_use]
    pub fn dictionary_len(&self) -> u32 {
        self.header.items
    }

    /// The id of an item by its number in this file; empty for a number that the file does not have.
    #[must_use]
    pub fn dictionary(&self, index: u32) -> &str {
        self.dictionary_bytes(index).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("")
    }

    /// The list of a key; `None` where the table has none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the bucket or the record is damaged.
    pub fn get(&self, key: &str) -> Result<Option<List<'_>>> {
        let Some(key) = Key::of_kind(key, self.header.keys) else { return Ok(None) };
        self.find(key, hash(key, self.header.seed))
    }

    /// The lists of many keys: `each` is called once per key, in order, with the key's place. Faster than as many
    /// [`Table::get`]s, because the memory of several keys is on its way at once.
    pub fn multi_get<'a>(&'a self, keys: &[&str], each: &mut dyn FnMut(usize, Result<Option<List<'a>>>)) {
        let mut wave: [Option<(Key<'_>, u64)>; WAVE] = [None; WAVE];
        for (number, keys) in keys.chunks(WAVE).enumerate() {
            for (slot, text) in wave.iter_mut().zip(keys) {
                *slot = Key::of_kind(text, self.header.keys).map(|key| (key, hash(key, self.header.seed)));
                if let Some((_, hash)) = slot {
                    map::prefetch(&self.map, self.bucket_at(*hash));
                }
            }
            for (_, hash) in wave.iter().take(keys.len()).flatten() {
                self.ask_for_record(*hash);
            }
            for (at, slot) in wave.iter().take(keys.len()).enumerate() {
                let found = slot.map_or(Ok(None), |(key, hash)| self.find(key, hash));
                each(number * WAVE + at, found);
            }
        }
    }

    /// Every key with its list, in the order of keys.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Key<'_>, List<'_>)>> {
        let mut at = HEADER;
        (0..self.header.lists).map(move |_| {
            let found = self.record(at)?;
            at += found.size;
            Ok((found.key, found.list))
        })
    }

    fn find(&self, key: Key<'_>, hash: u64) -> Result<Option<List<'_>>> {
        let mut bucket = self.bucket_at(hash);
        for _ in 0..self.header.buckets {
            let (slots, full) = self.bucket(bucket)?;
            for slot in slots.chunks_exact(8).map(|s| u64_at(s, 0)) {
                if slot != 0 && slot_matches(slot, hash) {
                    let found = self.record(record_of(slot))?;
                    if found.key == key {
                        return Ok(Some(found.list));
                    }
                }
            }
            if !full {
                return Ok(None);
            }
            bucket = self.bucket_after(bucket);
        }
        Ok(None)
    }

    /// Asks for the lines of the record that the first matching slot of the home bucket points to.
    fn ask_for_record(&self, hash: u64) {
        let bucket = self.bucket_at(hash);
        let Some(slots) = self.map.get(bucket..bucket + SLOTS * 8) else { return };
        let slots = slots.chunks_exact(8).map(|s| u64_at(s, 0));
        if let Some(slot) = slots.into_iter().find(|slot| *slot != 0 && slot_matches(*slot, hash)) {
            let at = record_of(slot);
            (0..self.ahead).for_each(|line| map::prefetch(&self.map, at + line * 64));
        }
    }

    fn bucket_at(&self, hash: u64) -> usize {
        let number = bucket_number(hash, self.header.buckets);
        self.header.sections.index.offset as usize + number as usize * BUCKET
    }

    fn bucket_after(&self, at: usize) -> usize {
        let index = self.header.sections.index;
        let next = at + BUCKET;
        if next as u64 >= index.offset + index.length { index.offset as usize } else { next }
    }

    /// The slots of a bucket, and whether all are taken.
    fn bucket(&self, at: usize) -> Result<(&[u8], bool)> {
        let bytes = self.map.get(at..at + BUCKET).unwrap_or(&[]);
        let (slots, sum) = bytes.split_at(bytes.len().min(SLOTS * 8));
        if xxh3_64(slots) != u64_at(sum, 0) {
            return Err(self.corrupt("index", at as u64, "the sum of a bucket differs".to_owned()));
        }
        Ok((slots, u64_at(slots, (SLOTS - 1) * 8) != 0))
    }

    /// The record at a byte of the file, its sum checked.
    fn record(&self, at: usize) -> Result<Found<'_>> {
        let damaged = |detail: &str| self.corrupt("records", at as u64, detail.to_owned());
        let section = self.header.sections.records;
        let end = (section.offset + section.length) as usize;
        if at < HEADER || at >= end || !at.is_multiple_of(RECORD_ALIGN) {
            return Err(damaged("no record starts here"));
        }
        let bytes = &self.map[at..end];
        let shape = RecordShape::read(bytes, &self.header).ok_or_else(|| damaged("a length is too large"))?;
        let record = bytes.get(..shape.size).ok_or_else(|| damaged("a length is too large"))?;
        if record_sum(&record[4..]) != u32_at(record, 0) {
            return Err(damaged("the sum of a record differs"));
        }
        let key = match self.header.keys {
            KeyKind::U64 => Key::U64(u64_at(record, 8)),
            KeyKind::String => {
                let text = std::str::from_utf8(&record[10..10 + shape.key]);
                Key::Str(text.map_err(|_| damaged("a key is not UTF-8"))?)
            }
        };
        let items = &record[shape.items..shape.scores];
        let affine = self.header.scores == ScoreCodec::Affine;
        let parameter = |from: usize| f32::from_bits(u32_at(record, from));
        let (least, step) =
            if affine { (parameter(shape.items - 8), parameter(shape.items - 4)) } else { (0.0, 0.0) };
        let scores = &record[shape.scores..shape.end];
        Ok(Found {
            key,
            size: shape.size,
            list: List { items, scores, codec: self.header.scores, least, step },
        })
    }

    fn section(&self, section: Section) -> &[u8] {
        let (start, length) = (section.offset as usize, section.length as usize);
        self.map.get(start..start + length).unwrap_or(&[])
    }

    fn check_sum(&self, name: &str, section: Section) -> Result<()> {
        let found = xxh3_64(self.section(section));
        if found == section.sum {
            return Ok(());
        }
        let detail = format!("expected sum {:016x}, found {found:016x}", section.sum);
        Err(self.corrupt(name, section.offset, detail))
    }

    /// Every id of the dictionary is where it should be, in order, and may be an id.
    fn check_dictionary(&self) -> Result<()> {
        let mut before: Option<&str> = None;
        for index in 0..self.header.items {
            let text = self.dictionary_bytes(index).and_then(|b| std::str::from_utf8(b).ok());
            let good = text.filter(|t| crate::types::id::check(t).is_ok() && before.is_none_or(|b| b < *t));
            if good.is_none() {
                let offset = self.header.sections.dictionary.offset;
                return Err(self.corrupt(
                    "dictionary",
                    offset,
                    format!("entry {index} is no id, or out of order"),
                ));
            }
            before = good;
        }
        Ok(())
    }

    fn dictionary_bytes(&self, index: u32) -> Option<&[u8]> {
        if index >= self.header.items {
            return None;
        }
        let section = self.section(self.header.sections.dictionary);
        let texts = (self.header.items as usize + 1) * 4;
        let at = index as usize * 4;
        let (from, to) = (u32_at(section, at) as usize, u32_at(section, at + 4) as usize);
        section.get(texts..)?.get(from..to)
    }

    /// Every record decodes, names known items, and is what the index finds for its key.
    fn check_records(&self) -> Result<()> {
        let mut entries = 0;
        let at = HEADER as u64;
        for found in self.iter() {
            let (key, list) = found?;
            let same = self.find(key, hash(key, self.header.seed))?;
            if same.is_none_or(|same| !std::ptr::eq(same.items.as_ptr(), list.items.as_ptr())) {
                return Err(self.corrupt("index", at, format!("key {key} is not found where it stands")));
            }
            if list.iter().any(|(item, score)| item >= self.header.items || !score.is_finite()) {
                return Err(self.corrupt("records", at, format!("key {key} names an unknown item")));
            }
            entries += list.len() as u64;
        }
        if entries != self.header.entries {
            let detail = format!("expected {} places in lists, found {entries}", self.header.entries);
            return Err(self.corrupt("records", at, detail));
        }
        Ok(())
    }

    fn corrupt(&self, section: &str, offset: u64, detail: String) -> Error {
        Error::Corrupt { path: self.path.clone(), section: section.to_owned(), offset, detail }
    }
}

/// Places within a record, from its start.
struct RecordShape {
    key: usize,
    items: usize,
    scores: usize,
    end: usize,
    size: usize,
}

impl RecordShape {
    fn read(record: &[u8], header: &Header) -> Option<Self> {
        let count = u32_at(record, 4);
        let key = u16::from_le_bytes(record.get(8..10)?.try_into().ok()?);
        Self::of(count as usize, usize::from(key), header.keys, header.scores)
    }

    fn of(count: usize, key: usize, keys: KeyKind, scores: ScoreCodec) -> Option<Self> {
        let (key, after_key) = match keys {
            KeyKind::U64 => (8, 16),
            KeyKind::String => (key, align_up(10 + key, 4)),
        };
        let (parameters, width) = match scores {
            ScoreCodec::Affine => (8, 2),
            ScoreCodec::Exact => (0, 4),
        };
        let items = after_key + parameters;
        let scores = items.checked_add(count.checked_mul(4)?)?;
        let end = scores.checked_add(count.checked_mul(width)?)?;
        Some(Self { key, items, scores, end, size: align_up(end, RECORD_ALIGN) })
    }
}

/// Bytes of a record of this shape.
pub(super) fn record_size(count: usize, key: usize, keys: KeyKind, scores: ScoreCodec) -> Option<usize> {
    RecordShape::of(count, key, keys, scores).map(|shape| shape.size)
}

/// Hash of a key: XXH3-64, seeded, of its text or of its 8 little-endian bytes.
pub(super) fn hash(key: Key<'_>, seed: u64) -> u64 {
    match key {
        Key::U64(number) => xxh3_64_with_seed(&number.to_le_bytes(), seed),
        Key::Str(text) => xxh3_64_with_seed(text.as_bytes(), seed),
    }
}

/// The 32 bits that stand first in a record: the low half of XXH3-64 of the rest.
pub(super) fn record_sum(rest: &[u8]) -> u32 {
    xxh3_64(rest) as u32
}

/// Home bucket of a hash: its upper bits, scaled.
pub(super) fn bucket_number(hash: u64, buckets: u64) -> u64 {
    ((u128::from(hash) * u128::from(buckets)) >> 64) as u64
}

/// A slot: the low 24 bits of the hash above the record's place in units of 8 bytes (40 bits; never 0, for the header is there).
pub(super) fn slot(hash: u64, record: usize) -> Option<u64> {
    let place = (record / RECORD_ALIGN) as u64;
    (place < 1 << 40).then_some(hash << 40 | place)
}

fn slot_matches(slot: u64, hash: u64) -> bool {
    slot >> 40 == hash & 0xff_ffff
}

fn record_of(slot: u64) -> usize {
    (slot & 0xff_ffff_ffff) as usize * RECORD_ALIGN
}
