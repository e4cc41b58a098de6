//! The parts of a key-list file as bytes: records, index, dictionary. `docs/formats.md` has their layout, `table.rs` reads them.

use xxhash_rust::xxh3::xxh3_64;

use super::Key;
use super::format::{ALIGN, BUCKET, KeyKind, SLOTS, ScoreCodec, Section, Statistics, align_up, u64_at};
use super::list::affine;
use super::table::{bucket_number, record_size, record_sum, slot};
use crate::{Error, Result};

/// Share of the slots that are taken, at most: 3 of 4.
const LOAD: (u64, u64) = (3, 4);

/// Pads what was written since `start`, and sums it.
pub(super) fn section(bytes: &mut Vec<u8>, start: usize) -> Section {
    bytes.resize(align_up(bytes.len(), ALIGN), 0);
    let written = &bytes[start..];
    Section { offset: start as u64, length: written.len() as u64, sum: xxh3_64(written) }
}

/// Appends one record; `docs/formats.md` has its layout.
pub(super) fn record(
    bytes: &mut Vec<u8>,
    key: Key<'_>,
    codec: ScoreCodec,
    items: &[u32],
    renumber: &[u32],
    scores: &[f32],
    statistics: &mut Statistics,
) -> Result<()> {
    let too_large = || Error::invalid(format!("key {key}"), "the record is too large");
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(items.len() as u32).to_le_bytes());
    let (kind, key_length) = match key {
        Key::U64(number) => {
            bytes.extend_from_slice(&number.to_le_bytes());
            (KeyKind::U64, 8)
        }
        Key::Str(text) => {
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes.resize(start + align_up(bytes.len() - start, 4), 0);
            (KeyKind::String, text.len())
        }
    };
    let least = scores.iter().copied().reduce(f32::min).unwrap_or(0.0);
    let greatest = scores.iter().copied().reduce(f32::max).unwrap_or(0.0);
    let step = ((f64::from(greatest) - f64::from(least)) / f64::from(u16::MAX)) as f32;
    if codec == ScoreCodec::Affine {
        bytes.extend_from_slice(&least.to_le_bytes());
        bytes.extend_from_slice(&step.to_le_bytes());
    }
    items.iter().for_each(|item| bytes.extend_from_slice(&renumber[*item as usize].to_le_bytes()));
    for score in scores {
        match codec {
            ScoreCodec::Exact => bytes.extend_from_slice(&score.to_le_bytes()),
            ScoreCodec::Affine => {
                let level = level(*score, least, step);
                let error = (affine(least, step, level) - score).abs();
                if !error.is_finite() {
                    let detail = "scores are too far apart for 16 bits; store them exactly (scores = exact)";
                    return Err(Error::invalid(format!("key {key}"), detail));
                }
                statistics.score_error = statistics.score_error.max(error);
                bytes.extend_from_slice(&level.to_le_bytes());
            }
        }
    }
    let size = record_size(items.len(), key_length, kind, codec).ok_or_else(too_large)?;
    bytes.resize(start + size, 0);
    let sum = record_sum(&bytes[start + 4..]);
    bytes[start..start + 4].copy_from_slice(&sum.to_le_bytes());
    count(statistics, items.len() as u64, least, greatest);
    Ok(())
}

/// The level nearest to a score. Monotone, so the order of a list survives.
fn level(score: f32, least: f32, step: f32) -> u16 {
    if step == 0.0 {
        return 0;
    }
    let level = (f64::from(score) - f64::from(least)) / f64::from(step);
    level.round().clamp(0.0, f64::from(u16::MAX)) as u16
}

fn count(statistics: &mut Statistics, length: u64, least: f32, greatest: f32) {
    let first = statistics.longest == 0;
    statistics.longest = statistics.longest.max(length);
    if length == 0 {
        statistics.empty_lists += 1;
    } else if first {
        (statistics.least_score, statistics.greatest_score) = (least, greatest);
    } else {
        statistics.least_score = statistics.least_score.min(least);
        statistics.greatest_score = statistics.greatest_score.max(greatest);
    }
}

/// Appends the open-addressing index: buckets of seven slots and a sum; a full bucket goes on in the next one.
pub(super) fn index(bytes: &mut Vec<u8>, places: &[(u64, usize)]) -> Result<()> {
    let slots_wanted = (places.len() as u64 * LOAD.1).div_ceil(LOAD.0);
    // One slot more than lists, so that a search for an absent key always meets a free slot.
    let buckets = slots_wanted.max(places.len() as u64 + 1).div_ceil(SLOTS as u64);
    let start = bytes.len();
    bytes.resize(start + buckets as usize * BUCKET, 0);
    let table = &mut bytes[start..];
    for (hash, place) in places {
        let entry = slot(*hash, *place)
            .ok_or_else(|| Error::invalid("table", "a file must be smaller than 8 TiB".to_owned()))?;
        let mut bucket = bucket_number(*hash, buckets) as usize;
        let at = loop {
            let slots = (0..SLOTS).map(|slot| bucket * BUCKET + slot * 8);
            if let Some(free) = slots.into_iter().find(|at| u64_at(table, *at) == 0) {
                break free;
            }
            bucket = (bucket + 1) % buckets as usize;
        };
        table[at..at + 8].copy_from_slice(&entry.to_le_bytes());
    }
    for bucket in table.chunks_exact_mut(BUCKET) {
        let sum = xxh3_64(&bucket[..SLOTS * 8]);
        bucket[SLOTS * 8..].copy_from_slice(&sum.to_le_bytes());
    }
    Ok(())
}

/// Appends the item dictionary: n + 1 offsets (`u32`), then the texts, sorted.
pub(super) fn dictionary(bytes: &mut Vec<u8>, ids: &[Box<str>]) -> Result<()> {
    let mut at = 0u32;
    bytes.extend_from_slice(&at.to_le_bytes());
    for id in ids {
        at = at
            .checked_add(id.len() as u32)
            .ok_or_else(|| Error::invalid("dictionary", "all ids together must have less than 4 GiB"))?;
        bytes.extend_from_slice(&at.to_le_bytes());
    }
    ids.iter().for_each(|id| bytes.extend_from_slice(id.as_bytes()));
    Ok(())
}
