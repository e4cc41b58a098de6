//! Reading version 1, which earlier programs wrote: records one after another in the order of keys, found by open addressing. Not
//! for writing it.

use super::sections::{Section, Sections, follow};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::format::{BUCKET, HEADER, Header, KeyKind, ScoreCodec, align_up, u32_at, u64_at};
use super::list::{List, Op, Run};
use super::table::Table;
use super::{Key, hash};
use crate::Result;

/// Records start at multiples of this.
const RECORD_ALIGN: usize = 8;

/// The fields of a header.
pub(super) fn fields(head: &[u8]) -> Option<Header> {
    Some(Header {
        buckets: u64_at(head, 64),
        sections: Sections {
            records: Section::decode(head, 0),
            index: Section::decode(head, 1),
            dictionary: Section::decode(head, 2),
            statistics: Section::decode(head, 3),
            ..Sections::default()
        },
        ..Header::shared_fields(head)?
    })
}

/// Sections follow one another, and the index has the buckets that the header says.
pub(super) fn check_sections(header: &Header) -> std::result::Result<(), String> {
    let all = header.sections.named();
    let here = [all[0], all[2], all[4], all[5]];
    follow(&here, HEADER as u64, header.file_length)?;
    let buckets = header.sections.index.length / BUCKET as u64;
    if header.buckets == 0 || header.buckets != buckets {
        return Err(format!("expected {buckets} buckets, found {}", header.buckets));
    }
    Ok(())
}

/// Every section has its sum.
pub(super) fn check_sums(table: &Table, names: &[&str]) -> Result<()> {
    for (name, section) in table.header.sections.named() {
        let found = xxh3_64(table.section(section));
        if names.contains(&name) && section.length > 0 && found != section.sum {
            let detail = format!("expected sum {:016x}, found {found:016x}", section.sum);
            return Err(table.corrupt(name, section.offset, detail));
        }
    }
    Ok(())
}

/// A record with its key, size and list.
pub(super) struct Found<'a> {
    pub key: Key<'a>,
    pub size: usize,
    pub list: List<'a>,
}

/// Hash of a key: XXH3-64, seeded, of its text or of its 8 little-endian bytes.
pub(super) fn hash(key: Key<'_>, seed: u64) -> u64 {
    match key {
        Key::U64(number) => xxh3_64_with_seed(&number.to_le_bytes(), seed),
        Key::Str(text) => xxh3_64_with_seed(text.as_bytes(), seed),
    }
}

/// The list of a key.
pub(super) fn find<'a>(table: &'a Table, key: Key<'_>) -> Result<Option<List<'a>>> {
    let hash = hash(key, table.header.seed);
    let mut bucket = hash::bucket(hash, table.header.buckets);
    for _ in 0..table.header.buckets {
        let (slots, full) = table.bucket(bucket)?;
        for slot in slots.chunks_exact(8).map(|s| u64_at(s, 0)) {
            if slot != 0 && slot >> 40 == hash & 0xff_ffff {
                let found = record(table, (slot & 0xff_ffff_ffff) as usize * RECORD_ALIGN)?;
                if found.key == key {
                    return Ok(Some(found.list));
                }
            }
        }
        if !full {
            return Ok(None);
        }
        bucket = (bucket + 1) % table.header.buckets;
    }
    Ok(None)
}

/// The record at a byte of the file, its sum checked.
pub(super) fn record(table: &Table, at: usize) -> Result<Found<'_>> {
    let damaged = |detail: &str| table.corrupt("records", at as u64, detail.to_owned());
    let section = table.header.sections.records;
    let end = (section.offset + section.length) as usize;
    if at < HEADER || at >= end || !at.is_multiple_of(RECORD_ALIGN) {
        return Err(damaged("no record starts here"));
    }
    let bytes = table.map.get(at..end).ok_or_else(|| damaged("the file is too short"))?;
    let shape = RecordShape::read(bytes, &table.header).ok_or_else(|| damaged("a length is too large"))?;
    let record = bytes.get(..shape.size).ok_or_else(|| damaged("a length is too large"))?;
    if hash::sum(&record[4..]) != u32_at(record, 0) {
        return Err(damaged("the sum of a record differs"));
    }
    let key = match table.header.keys {
        KeyKind::U64 => Key::U64(u64_at(record, 8)),
        KeyKind::String => {
            let text = std::str::from_utf8(&record[10..10 + shape.key]);
            Key::Str(text.map_err(|_| damaged("a key is not UTF-8"))?)
        }
    };
    let affine = table.header.scores == ScoreCodec::Affine;
    let parameter = |from: usize| f32::from_bits(u32_at(record, from));
    let (least, step) =
        if affine { (parameter(shape.items - 8), parameter(shape.items - 4)) } else { (0.0, 0.0) };
    let head = Run::new(&record[shape.items..], shape.scores - shape.items, shape.count);
    let codec = table.header.scores;
    let list = List::new(head, 32, codec, (least, step), Op::Replace);
    Ok(Found { key, size: shape.size, list })
}

/// Places within a record, from its start.
struct RecordShape {
    count: usize,
    key: usize,
    items: usize,
    scores: usize,
    size: usize,
}

impl RecordShape {
    fn read(record: &[u8], header: &Header) -> Option<Self> {
        let count = u32_at(record, 4) as usize;
        let key = u16::from_le_bytes(record.get(8..10)?.try_into().ok()?);
        let (key, after_key) = match header.keys {
            KeyKind::U64 => (8, 16),
            KeyKind::String => (usize::from(key), align_up(10 + usize::from(key), 4)),
        };
        let (parameters, width) = match header.scores {
            ScoreCodec::Affine => (8, 2),
            ScoreCodec::Exact => (0, 4),
        };
        let items = after_key + parameters;
        let scores = items.checked_add(count.checked_mul(4)?)?;
        let end = scores.checked_add(count.checked_mul(width)?)?;
        Some(Self { count, key, items, scores, size: align_up(end, RECORD_ALIGN) })
    }
}
