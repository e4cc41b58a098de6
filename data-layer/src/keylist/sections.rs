//! The section table of a key-list file: where each section is, and the sum of its bytes. What is in a section is known elsewhere.

use super::format::{ALIGN, HEADER, u64_at};

/// Where the section table starts.
pub(super) const SECTIONS_AT: usize = 1024;

/// Where a section is, and the sum of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Section {
    pub offset: u64,
    pub length: u64,
    pub sum: u64,
}

/// The sections, in the order they stand in the file. Version 1 has no overflow, parts and blocks: their lengths are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sections {
    pub records: Section,
    pub overflow: Section,
    /// Pilots of the perfect hash, or buckets of the open one.
    pub index: Section,
    pub parts: Section,
    pub dictionary: Section,
    pub statistics: Section,
    pub blocks: Section,
}

impl Section {
    /// The entry of the section table at a place.
    pub fn decode(head: &[u8], slot: usize) -> Self {
        let at = SECTIONS_AT + 32 * slot;
        Self { offset: u64_at(head, at), length: u64_at(head, at + 8), sum: u64_at(head, at + 16) }
    }

    /// An entry of the section table; its last 8 bytes are zero.
    pub fn encode(self) -> [u8; 32] {
        let mut row = [0; 32];
        for (field, number) in row.chunks_exact_mut(8).zip([self.offset, self.length, self.sum]) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        row
    }
}

impl Sections {
    /// The section table of version 2.
    pub fn decode(head: &[u8]) -> Self {
        Self {
            records: Section::decode(head, 0),
            overflow: Section::decode(head, 1),
            index: Section::decode(head, 2),
            parts: Section::decode(head, 3),
            dictionary: Section::decode(head, 4),
            statistics: Section::decode(head, 5),
            blocks: Section::decode(head, 6),
        }
    }

    pub fn named(&self) -> [(&'static str, Section); 7] {
        [
            ("records", self.records),
            ("overflow", self.overflow),
            ("index", self.index),
            ("parts", self.parts),
            ("dictionary", self.dictionary),
            ("statistics", self.statistics),
            ("blocks", self.blocks),
        ]
    }

    /// All that `blocks` covers.
    pub fn summed(&self) -> impl Iterator<Item = (&'static str, Section)> {
        self.named().into_iter().take(6)
    }
}

/// Where records start in the file: on a huge page where they fill many.
pub(super) fn records_at(length: u64) -> u64 {
    if length >= 64 << 20 { 2 << 20 } else { HEADER as u64 }
}

/// Sections follow one another without gaps from `at` to the end of the file.
pub(super) fn follow(sections: &[(&'static str, Section)], mut at: u64, end: u64) -> Result<(), String> {
    for (name, section) in sections {
        if section.offset != at || section.length % ALIGN as u64 != 0 {
            return Err(format!("section {name}: expected offset {at}, found {}", section.offset));
        }
        at = at.checked_add(section.length).ok_or("sections are longer than any file")?;
    }
    if at != end {
        return Err(format!("sections end at {at}, the file at {end}"));
    }
    Ok(())
}
