//! The header of a key-list file, version 2: fixed places, little-endian, its own sum last. Everything else hangs off it. What
//! differs in version 1 is in `v1.rs`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::sections::{SECTIONS_AT, Sections, follow, records_at};
use super::sink::BLOCK;
use super::v1;
use crate::types::Millis;
use crate::{Error, Result};

/// Newest version that this program writes and reads.
pub const FORMAT_VERSION: u32 = 2;

/// First bytes of each file. The line ending shows damage by text-mode transfers.
pub(super) const MAGIC: [u8; 8] = *b"WEIRKL\r\n";
/// Reads as this number only where bytes are in the expected order.
const ENDIAN: u32 = 0x0102_0304;
/// Size of the header.
pub(super) const HEADER: usize = 4096;
/// Where the header's own sum stands: XXH3-64 of all bytes before it.
const SUM_AT: usize = HEADER - 8;
/// Sections start at multiples of this; their lengths include the padding.
pub(super) const ALIGN: usize = 64;
/// Bytes of an index bucket: seven slots and a sum.
pub(super) const BUCKET: usize = 64;
/// Slots of a bucket.
pub(super) const SLOTS: usize = 7;
/// Bytes of a row of `parts`.
pub(super) const PART: usize = 32;
/// Least and greatest stride of records; multiples of 8.
pub(super) const LEAST_STRIDE: u32 = 16;
pub(super) const MOST_STRIDE: u32 = 16 << 10;
/// Longest vector of a key.
pub const MAX_VECTOR: u32 = 4096;
/// Where the first name starts; each name has a length byte and 64 bytes of room.
const NAMES_AT: usize = 512;

/// What keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Text.
    #[default]
    String,
    /// 64-bit numbers.
    U64,
}

/// How scores are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreCodec {
    /// 16 bits between the least and the greatest score of the list; the header states the greatest error made.
    #[default]
    Affine,
    /// `f32`, bit for bit.
    Exact,
}

/// How a key's record is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// A perfect hash with its pilots in the file: one line of pilots, then the record.
    #[default]
    Perfect,
    /// Open addressing in buckets of seven slots: what is used where no perfect hash can be made (two keys with the same hash).
    Open,
}

/// What the first 4 KiB of a file say.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Format version.
    pub version: u32,
    /// Namespace the table belongs to.
    pub namespace: String,
    /// Name of the table.
    pub name: String,
    /// What keys are.
    pub keys: KeyKind,
    /// How scores are stored.
    pub scores: ScoreCodec,
    /// How far the source had come; not when the file was written.
    pub watermark: Millis,
    /// Hash of what the builder calls its schema; 0 where there is none.
    pub schema_hash: u64,
    /// This shard's number, from 0.
    pub shard: u32,
    /// Number of shards.
    pub shards: u32,
    /// Seed of the key hash.
    pub seed: u64,
    /// Number of lists.
    pub lists: u64,
    /// Number of places in all lists.
    pub entries: u64,
    /// Number of items in the dictionary.
    pub items: u32,
    /// Greatest difference between a score as given and as stored.
    pub score_error: f32,
    /// Length of the whole file in bytes.
    pub file_length: u64,
    /// The header's own sum; covers the sums of all sections, so it stands for the whole content.
    pub sum: u64,
    /// How a key's record is found.
    pub index: IndexKind,
    /// Bits of an item's number in a list.
    pub item_bits: u32,
    /// Bytes from one record to the next; 0 in version 1, where records follow one another.
    pub stride: u32,
    /// Places for records; a perfect hash leaves some empty.
    pub slots: u64,
    /// Numbers in the vector of a key; 0 where keys have none.
    pub vector: u32,
    /// For a delta: the header sum of the generation that it was built for. `None` for a whole table.
    pub base: Option<u64>,
    /// Lists that go on, or stand, in the overflow section.
    pub overflowing: u64,
    pub(super) parts: u32,
    pub(super) buckets: u64,
    pub(super) sections: Sections,
}

impl Header {
    /// Name of the generation that this file is: watermark and content.
    #[must_use]
    pub fn generation(&self) -> String {
        generation_name(self.watermark, self.sum)
    }

    pub(super) fn encode(&mut self) -> [u8; HEADER] {
        let mut out = [0u8; HEADER];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &self.version.to_le_bytes());
        put(12, &ENDIAN.to_le_bytes());
        put(16, &self.file_length.to_le_bytes());
        put(24, &self.watermark.to_le_bytes());
        put(32, &self.schema_hash.to_le_bytes());
        put(40, &self.seed.to_le_bytes());
        put(48, &self.lists.to_le_bytes());
        put(56, &self.entries.to_le_bytes());
        put(64, &self.slots.to_le_bytes());
        put(72, &self.items.to_le_bytes());
        put(76, &self.shard.to_le_bytes());
        put(80, &self.shards.to_le_bytes());
        put(84, &self.score_error.to_le_bytes());
        put(88, &[self.keys as u8, self.scores as u8, self.index as u8, self.item_bits as u8]);
        put(92, &self.stride.to_le_bytes());
        put(96, &self.parts.to_le_bytes());
        put(100, &self.vector.to_le_bytes());
        put(104, &[u8::from(self.base.is_some())]);
        put(112, &self.base.unwrap_or(0).to_le_bytes());
        put(120, &self.buckets.to_le_bytes());
        put(128, &self.overflowing.to_le_bytes());
        for (slot, name) in [&self.namespace, &self.name].into_iter().enumerate() {
            // Names are at most 64 bytes: `config::check_name`.
            put(NAMES_AT + 128 * slot, &[name.len() as u8]);
            put(NAMES_AT + 128 * slot + 1, name.as_bytes());
        }
        for (slot, (_, section)) in self.sections.named().into_iter().enumerate() {
            put(SECTIONS_AT + 32 * slot, &section.encode());
        }
        self.sum = xxh3_64(&out[..SUM_AT]);
        out[SUM_AT..].copy_from_slice(&self.sum.to_le_bytes());
        out
    }

    /// Reads and checks the header of a file that is `file` bytes long.
    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let corrupt = |offset: usize, detail: String| Error::Corrupt {
            path: path.to_owned(),
            section: "header".to_owned(),
            offset: offset as u64,
            detail,
        };
        let Some(head) = bytes.get(..HEADER) else {
            let detail = format!("expected at least {HEADER} bytes, found {}", bytes.len());
            return Err(corrupt(bytes.len(), detail));
        };
        if head[..8] != MAGIC {
            return Err(corrupt(0, "not a key-list file (its first 8 bytes differ)".to_owned()));
        }
        let version = u32_at(head, 8);
        if version > FORMAT_VERSION {
            return Err(Error::Newer { path: path.to_owned(), found: version, known: FORMAT_VERSION });
        }
        let sum = u64_at(head, SUM_AT);
        let found = xxh3_64(&head[..SUM_AT]);
        if sum != found {
            return Err(corrupt(SUM_AT, format!("expected sum {sum:016x}, found {found:016x}")));
        }
        let tag = u32_at(head, 12);
        if tag != ENDIAN {
            let detail = format!("expected the byte order {ENDIAN:08x} (little-endian), found {tag:08x}");
            return Err(corrupt(12, detail));
        }
        if version == 0 {
            return Err(corrupt(8, format!("expected version 1 to {FORMAT_VERSION}, found 0")));
        }
        let fields = if version == 1 { v1::fields(head) } else { Self::fields(head) };
        let header = fields
            .filter(|header| head[..SUM_AT] == header.clone().encode()[..SUM_AT] || version == 1)
            .ok_or_else(|| corrupt(0, "a field has a value that this version never writes".to_owned()))?;
        if header.file_length != bytes.len() as u64 {
            let detail = format!("expected a file of {} bytes, found {}", header.file_length, bytes.len());
            return Err(corrupt(16, detail));
        }
        let sections = if version == 1 { v1::check_sections(&header) } else { header.check_sections() };
        sections.map_err(|detail| corrupt(SECTIONS_AT, detail))?;
        Ok(header)
    }

    /// The fields that both versions have, at the same places; what only version 2 has is left empty.
    pub(super) fn shared_fields(head: &[u8]) -> Option<Self> {
        let name = |slot: usize| {
            let at = NAMES_AT + 128 * slot;
            let bytes = head.get(at + 1..at + 1 + usize::from(head[at]).min(64))?;
            String::from_utf8(bytes.to_vec()).ok()
        };
        Some(Self {
            version: u32_at(head, 8),
            namespace: name(0)?,
            name: name(1)?,
            keys: match head[88] {
                0 => KeyKind::String,
                1 => KeyKind::U64,
                _ => return None,
            },
            scores: match head[89] {
                0 => ScoreCodec::Affine,
                1 => ScoreCodec::Exact,
                _ => return None,
            },
            watermark: u64_at(head, 24) as i64,
            schema_hash: u64_at(head, 32),
            seed: u64_at(head, 40),
            lists: u64_at(head, 48),
            entries: u64_at(head, 56),
            items: u32_at(head, 72),
            shard: u32_at(head, 76),
            shards: u32_at(head, 80),
            score_error: f32::from_bits(u32_at(head, 84)),
            file_length: u64_at(head, 16),
            sum: u64_at(head, SUM_AT),
            index: IndexKind::Open,
            item_bits: 32,
            stride: 0,
            slots: 0,
            vector: 0,
            base: None,
            overflowing: 0,
            parts: 0,
            buckets: 0,
            sections: Sections::default(),
        })
    }

    fn fields(head: &[u8]) -> Option<Self> {
        Some(Self {
            index: match head[90] {
                0 => IndexKind::Perfect,
                1 => IndexKind::Open,
                _ => return None,
            },
            item_bits: Some(u32::from(head[91])).filter(|bits| (1..=32).contains(bits))?,
            stride: Some(u32_at(head, 92))
                .filter(|s| (LEAST_STRIDE..=MOST_STRIDE).contains(s) && s % 8 == 0)?,
            slots: u64_at(head, 64),
            parts: u32_at(head, 96),
            vector: Some(u32_at(head, 100)).filter(|width| *width <= MAX_VECTOR)?,
            base: match head[104] {
                0 => None,
                1 => Some(u64_at(head, 112)),
                _ => return None,
            },
            buckets: u64_at(head, 120),
            overflowing: u64_at(head, 128),
            sections: Sections::decode(head),
            ..Self::shared_fields(head)?
        })
    }

    /// Sections follow one another without gaps from where records start to the end of the file, and have the lengths that the
    /// other fields ask for.
    fn check_sections(&self) -> std::result::Result<(), String> {
        let sections = &self.sections;
        follow(&sections.named(), records_at(sections.records.length), self.file_length)?;
        let padded = |length: u128| length.next_multiple_of(ALIGN as u128);
        let lines = match self.index {
            IndexKind::Perfect => u128::from(sections.index.length),
            IndexKind::Open => u128::from(self.buckets) * BUCKET as u128,
        };
        let blocks: u64 = sections.summed().map(|(_, section)| section.length.div_ceil(BLOCK as u64)).sum();
        let wanted = [
            ("records", padded(u128::from(self.slots) * u128::from(self.stride)), sections.records),
            ("index", lines, sections.index),
            ("parts", padded(u128::from(self.parts) * PART as u128), sections.parts),
            ("blocks", padded(u128::from(blocks) * 8), sections.blocks),
        ];
        for (name, length, section) in wanted {
            if length != u128::from(section.length) {
                return Err(format!("section {name}: expected {length} bytes, found {}", section.length));
            }
        }
        let searchable = match self.index {
            IndexKind::Perfect => self.parts > 0 && self.buckets == 0,
            IndexKind::Open => self.buckets > 0 && self.parts == 0,
        };
        if !searchable || self.lists > self.slots || self.shard >= self.shards {
            return Err("counts of lists, slots, parts, buckets or shards do not fit each other".to_owned());
        }
        Ok(())
    }
}

/// `<watermark as 20261120T031500Z>-<8 hex of the content's hash>`.
#[must_use]
pub fn generation_name(watermark: Millis, sum: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(watermark)
        .map_or_else(|_| watermark.to_string(), |t| t.strftime("%Y%m%dT%H%M%SZ").to_string());
    format!("{time}-{:08x}", sum >> 32)
}

/// Little-endian `u32` at a place that the caller knows to exist; 0 elsewhere.
#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    four.map_or(0, u32::from_le_bytes)
}

/// Little-endian `u64` at a place that the caller knows to exist; 0 elsewhere.
#[inline]
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    eight.map_or(0, u64::from_le_bytes)
}

/// The next multiple of `align`, a power of two.
pub(super) fn align_up(at: usize, align: usize) -> usize {
    (at + align - 1) & !(align - 1)
}
