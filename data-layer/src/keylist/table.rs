//! An open key-list file: what it says of itself, its lists and its vectors. How they are found is in `lookup.rs`.

use std::path::{Path, PathBuf};

use super::format::{HEADER, Header, KeyKind, u32_at};
use super::list::List;
use super::map::Mapped;
use super::perfect::Part;
use super::record::{self, Layout, Record};
use super::sections::Section;
use super::statistics::Statistics;
use super::{Key, hash, map, v1};
use crate::{Error, Result};

/// How much is checked when a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Every sum, and that every list can be found and decoded. Reads the whole file.
    Full,
    /// The header, the sums of all blocks against it, parts, dictionary and statistics: milliseconds, whatever the number of
    /// lists. Pilots, buckets and records are checked as they are read.
    Open,
}

/// Most cache lines of one record that are asked for ahead.
const AHEAD_LINES: usize = 64;

/// One generation of one table.
#[derive(Debug)]
pub struct Table {
    pub(super) map: Mapped,
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) statistics: Statistics,
    pub(super) layout: Layout,
    pub(super) parts: Vec<Part>,
    /// Cache lines of a record.
    pub(super) ahead: usize,
    /// Whether lists are as `quick.rs` reads them.
    pub(super) quick: bool,
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
        let layout = Layout {
            keys: header.keys,
            scores: header.scores,
            bits: header.item_bits,
            vector: header.vector,
            stride: header.stride as usize,
        };
        let mean = match header.stride {
            0 => (header.sections.records.length / header.lists.max(1)) as usize,
            stride => stride as usize,
        };
        // Records start at multiples of 8, so most reach into one line more.
        let ahead = (mean + if mean.is_multiple_of(64) { 0 } else { 56 }).div_ceil(64).clamp(1, AHEAD_LINES);
        let (statistics, parts) = (Statistics::default(), Vec::new());
        let mut table =
            Self { map, path: path.to_owned(), header, statistics, layout, parts, ahead, quick: false };
        table.quick = table.is_quick();
        table.check_open()?;
        if verify == Verify::Full {
            table.check_full()?;
        }
        Ok(table)
    }

    /// What a file says of itself, and nothing more: one page of it is read.
    ///
    /// # Errors
    /// As [`Table::open`], of the header alone.
    pub fn header_of(path: impl AsRef<Path>) -> Result<Header> {
        let path = path.as_ref();
        Header::decode(&map::map(path)?, path)
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

    /// The list of a key as text; `None` where the table has none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the record is damaged, or what says that there is none.
    pub fn get(&self, key: &str) -> Result<Option<List<'_>>> {
        Key::of_kind(key, self.header.keys).map_or(Ok(None), |key| self.find(key))
    }

    /// The list of a key. A key of the other kind than the table's is not there.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn get_key<'k>(&self, key: impl Into<Key<'k>>) -> Result<Option<List<'_>>> {
        let key = key.into();
        if self.has_kind(key) { self.find(key) } else { Ok(None) }
    }

    /// The lists of many keys: `each` is called once per key, in order, with the key's place. Faster than as many
    /// [`Table::get`]s, because the memory of several keys is on its way at once.
    pub fn multi_get<'a>(&'a self, keys: &[&str], each: &mut dyn FnMut(usize, Result<Option<List<'a>>>)) {
        self.find_many(keys, |text| Key::of_kind(text, self.header.keys), each);
    }

    /// [`Table::multi_get`] by keys as they are stored: `u64`, `&str` or [`Key`]. Faster than by text where keys are numbers.
    pub fn multi_get_keys<'a, 'k, K: Into<Key<'k>> + Copy>(
        &'a self,
        keys: &[K],
        each: impl FnMut(usize, Result<Option<List<'a>>>),
    ) {
        self.find_many(keys, |key| Some(key.into()).filter(|key| self.has_kind(*key)), each);
    }

    /// Puts the vector of a key in the place of what is in `out`; `false`, and nothing in it, where the key or its vector is not
    /// there.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn vector<'k>(&self, key: impl Into<Key<'k>>, out: &mut Vec<f32>) -> Result<bool> {
        out.clear();
        let key = key.into();
        if !self.has_kind(key) || self.header.vector == 0 {
            return Ok(false);
        }
        let Some(record) = self.find_record(key, hash::of(key))? else { return Ok(false) };
        record::numbers(record.vector, out);
        Ok(!out.is_empty())
    }

    /// Every key with its list, in an order that is the same for the same file and means nothing.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Key<'_>, List<'_>)>> {
        let count = if self.header.version == 1 { self.header.lists } else { self.header.slots };
        let mut at = HEADER;
        (0..count).filter_map(move |slot| {
            if self.header.version == 1 {
                let found = v1::record(self, at);
                at += found.as_ref().map_or(0, |found| found.size);
                return Some(found.map(|found| (found.key, found.list)));
            }
            let record = match self.whole_record(slot) {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            };
            record.occupied.then(|| Ok((self.key_of(&record, slot)?, record.list)))
        })
    }

    /// The key of a record that is taken.
    pub(super) fn key_of<'a>(&self, record: &Record<'a>, slot: u64) -> Result<Key<'a>> {
        match self.header.keys {
            KeyKind::U64 => Ok(Key::U64(super::format::u64_at(record.key, 0))),
            KeyKind::String => std::str::from_utf8(record.key).map(Key::Str).map_err(|_| {
                let at = self.header.sections.records.offset + slot * u64::from(self.header.stride);
                self.corrupt("records", at, "a key is not UTF-8".to_owned())
            }),
        }
    }

    #[inline]
    fn has_kind(&self, key: Key<'_>) -> bool {
        matches!((key, self.header.keys), (Key::U64(_), KeyKind::U64) | (Key::Str(_), KeyKind::String))
    }

    #[inline]
    pub(super) fn records(&self) -> &[u8] {
        self.section(self.header.sections.records)
    }

    #[inline]
    pub(super) fn overflow(&self) -> &[u8] {
        self.section(self.header.sections.overflow)
    }

    #[inline]
    pub(super) fn index(&self) -> &[u8] {
        self.section(self.header.sections.index)
    }

    #[inline]
    pub(super) fn section(&self, section: Section) -> &[u8] {
        let (start, length) = (section.offset as usize, section.length as usize);
        self.map.get(start..start + length).unwrap_or(&[])
    }

    pub(super) fn dictionary_bytes(&self, index: u32) -> Option<&[u8]> {
        if index >= self.header.items {
            return None;
        }
        let section = self.section(self.header.sections.dictionary);
        let texts = (self.header.items as usize + 1) * 4;
        let at = index as usize * 4;
        let (from, to) = (u32_at(section, at) as usize, u32_at(section, at + 4) as usize);
        section.get(texts..)?.get(from..to)
    }

    #[cold]
    pub(super) fn corrupt(&self, section: &str, offset: u64, detail: String) -> Error {
        Error::Corrupt { path: self.path.clone(), section: section.to_owned(), offset, detail }
    }
}
