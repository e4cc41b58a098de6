//! Checking a file beyond what a look-up reads: at open, whole, and block by block in the background.

use xxhash_rust::xxh3::xxh3_64;

use super::format::{HEADER, IndexKind, u64_at};
use super::lookup::LINE;
use super::sections::Section;
use super::sink::{BLOCK, sum_of_sums};
use super::table::Table;
use super::{Key, KeyKind, map, v1};
use crate::Result;

/// A block: its section, its place in the file, and the sum it should have.
struct Block<'a> {
    section: &'static str,
    at: u64,
    bytes: &'a [u8],
    sum: u64,
}

impl Table {
    /// What [`super::Verify::Open`] promises, and what look-ups need.
    pub(super) fn check_open(&mut self) -> Result<()> {
        let sections = self.header.sections;
        if self.header.version == 1 {
            v1::check_sums(self, &["dictionary", "statistics"])?;
        } else {
            self.check_tree()?;
            for block in self.blocks().filter(|b| matches!(b.section, "parts" | "dictionary" | "statistics"))
            {
                self.check_block(&block)?;
            }
            let parts = self.read_parts();
            self.parts = parts.map_err(|detail| self.corrupt("parts", sections.parts.offset, detail))?;
        }
        self.check_dictionary()?;
        let statistics = self.section(sections.statistics);
        let end = statistics.iter().position(|b| *b == 0).unwrap_or(statistics.len());
        self.statistics = serde_json::from_slice(&statistics[..end])
            .map_err(|e| self.corrupt("statistics", sections.statistics.offset, e.to_string()))?;
        Ok(())
    }

    /// What [`super::Verify::Full`] promises on top of that.
    pub(super) fn check_full(&self) -> Result<()> {
        map::whole(&self.map);
        if self.header.version == 1 {
            v1::check_sums(self, &["records", "index"])?;
        } else {
            self.scrub(&mut |_, _| true)?;
        }
        self.check_lists()
    }

    /// Checks the bytes of the whole file against their sums, 64 KiB at a time: for finding, in the background, what decayed on the
    /// disk. `each` is told bytes done and bytes in all before the first and after each block, and may pause; `false` stops. In
    /// version 1 a block is a section.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] with section and byte of the first damaged block.
    pub fn scrub(&self, each: &mut dyn FnMut(u64, u64) -> bool) -> Result<()> {
        let of = self.header.file_length;
        let mut done = HEADER as u64;
        if !each(0, of) {
            return Ok(());
        }
        if self.header.version == 1 {
            for (name, section) in self.header.sections.named() {
                v1::check_sums(self, &[name])?;
                done += section.length;
                if section.length > 0 && !each(done, of) {
                    return Ok(());
                }
            }
            return Ok(());
        }
        let gap = self.map.get(HEADER..self.header.sections.records.offset as usize).unwrap_or(&[]);
        if let Some(at) = gap.iter().position(|byte| *byte != 0) {
            let detail = "expected zeros between header and records".to_owned();
            return Err(self.corrupt("header", (HEADER + at) as u64, detail));
        }
        done += gap.len() as u64;
        self.check_tree()?;
        for block in self.blocks() {
            self.check_block(&block)?;
            done += block.bytes.len() as u64;
            if !each(done, of) {
                return Ok(());
            }
        }
        let last = done + self.header.sections.blocks.length;
        each(last, of);
        Ok(())
    }

    /// The header's sums of `blocks` and of each section's part of it fit.
    fn check_tree(&self) -> Result<()> {
        let blocks = self.header.sections.blocks;
        let bytes = self.section(blocks);
        let wrong = |name: &str, at: u64, expected: u64, found: u64| {
            Err(self.corrupt(name, at, format!("expected sum {expected:016x}, found {found:016x}")))
        };
        let found = xxh3_64(bytes);
        if found != blocks.sum {
            return wrong("blocks", blocks.offset, blocks.sum, found);
        }
        let mut sums = bytes.chunks_exact(8).map(|eight| u64_at(eight, 0));
        for (name, section) in self.header.sections.summed() {
            let found = sum_of_sums(sums.by_ref().take(section.length.div_ceil(BLOCK as u64) as usize));
            if found != section.sum {
                return wrong(name, section.offset, section.sum, found);
            }
        }
        Ok(())
    }

    fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        let sums = self.section(self.header.sections.blocks).chunks_exact(8).map(|eight| u64_at(eight, 0));
        let of_section = |(name, section): (&'static str, Section)| {
            let offsets = (section.offset..).step_by(BLOCK);
            offsets.zip(self.section(section).chunks(BLOCK)).map(move |(at, bytes)| (name, at, bytes))
        };
        let bytes = self.header.sections.summed().flat_map(of_section);
        bytes.zip(sums).map(|((section, at, bytes), sum)| Block { section, at, bytes, sum })
    }

    fn check_block(&self, block: &Block<'_>) -> Result<()> {
        let found = xxh3_64(block.bytes);
        if found == block.sum {
            return Ok(());
        }
        let detail =
            format!("expected sum {:016x} of {} bytes, found {found:016x}", block.sum, block.bytes.len());
        Err(self.corrupt(block.section, block.at, detail))
    }

    /// Every id of the dictionary is where it should be, in order, and may be an id.
    fn check_dictionary(&self) -> Result<()> {
        let mut before: Option<&str> = None;
        for index in 0..self.header.items {
            let text = self.dictionary_bytes(index).and_then(|b| std::str::from_utf8(b).ok());
            let good = text.filter(|t| crate::types::id::check(t).is_ok() && before.is_none_or(|b| b < *t));
            if good.is_none() {
                let offset = self.header.sections.dictionary.offset;
                let detail = format!("entry {index} is no id, or out of order");
                return Err(self.corrupt("dictionary", offset, detail));
            }
            before = good;
        }
        Ok(())
    }

    /// Every list decodes, names known items, and is what a look-up of its key finds.
    fn check_lists(&self) -> Result<()> {
        let at = self.header.sections.records.offset;
        let (mut entries, mut lists) = (0, 0);
        for found in self.iter() {
            let (key, list) = found?;
            let same = self.find(key)?;
            if same.is_none_or(|same| !std::ptr::eq(same.head.start(), list.head.start())) {
                return Err(self.corrupt("index", at, format!("key {key} is not found where it stands")));
            }
            let mut known = true;
            list.chunks(&mut |items, scores| {
                known &= items.iter().all(|item| *item < self.header.items);
                known &= scores.iter().all(|score| score.is_finite());
            });
            if !known || !may_be(key) {
                return Err(self.corrupt("records", at, format!("key {key} names an unknown item")));
            }
            entries += list.len() as u64;
            lists += 1;
        }
        if (entries, lists) != (self.header.entries, self.header.lists) {
            let (e, l) = (self.header.entries, self.header.lists);
            let detail = format!("expected {e} places in {l} lists, found {entries} in {lists}");
            return Err(self.corrupt("records", at, detail));
        }
        if self.header.version > 1 && self.header.index == IndexKind::Perfect {
            let lines = self.index().len() / LINE;
            (0..lines).try_for_each(|line| self.check_line(line * LINE))?;
        }
        Ok(())
    }
}

fn may_be(key: Key<'_>) -> bool {
    match key {
        Key::U64(_) => true,
        Key::Str(text) => Key::of_kind(text, KeyKind::String).is_some(),
    }
}
