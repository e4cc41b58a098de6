//! Counts and ranges of a table, kept in its file for `stat` and for the publish gate, and the tally that makes them.

use serde::{Deserialize, Serialize};

/// Which quantiles of the scores are kept.
pub const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Upper bits of a score (as ordered bits) that tell its cell in the sketch: cells are at most 1/128 of their score wide.
const CELL_BITS: u32 = 16;

/// Counts and ranges of a table, for `stat` and for the publish gate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// Lists, empty ones included.
    pub lists: u64,
    /// Places in all lists.
    pub entries: u64,
    /// Different items.
    pub items: u64,
    /// Lists without items.
    pub empty_lists: u64,
    /// Length of the longest list.
    pub longest: u64,
    /// Least score; 0 where there are no entries.
    pub least_score: f32,
    /// Greatest score; 0 where there are no entries.
    pub greatest_score: f32,
    /// Greatest difference between a score as given and as stored.
    pub score_error: f32,
    /// Mean length of all lists, empty ones included; 0 where there are none. Absent from version-1 files: 0 there.
    pub mean_length: f64,
    /// Lists by length: the first number counts empty ones, the one at place i those of 2^(i-1) to 2^i - 1 places. Empty in
    /// version-1 files.
    pub lengths: Vec<u64>,
    /// The scores at [`QUANTILES`] of all places, each within 1/128 of the exact one. Empty in version-1 files and where there
    /// are no places.
    pub score_quantiles: Vec<f32>,
}

/// Counts lists one by one; what it says depends on the lists only, not on their order.
#[derive(Debug)]
pub(super) struct Tally {
    statistics: Statistics,
    cells: Vec<u64>,
}

impl Tally {
    pub fn new() -> Self {
        Self { statistics: Statistics::default(), cells: vec![0; 1 << CELL_BITS] }
    }

    /// Counts a list; `error` is the greatest difference between a score as given and as stored.
    pub fn list(&mut self, scores: &[f32], error: f32) {
        let counts = &mut self.statistics;
        let length = scores.len() as u64;
        if let (Some(least), Some(greatest)) =
            (scores.iter().copied().reduce(f32::min), scores.iter().copied().reduce(f32::max))
        {
            let first = counts.entries == 0;
            counts.least_score = if first { least } else { counts.least_score.min(least) };
            counts.greatest_score = if first { greatest } else { counts.greatest_score.max(greatest) };
        } else {
            counts.empty_lists += 1;
        }
        counts.lists += 1;
        counts.entries += length;
        counts.longest = counts.longest.max(length);
        counts.score_error = counts.score_error.max(error);
        let cell = (u64::BITS - length.leading_zeros()) as usize;
        if counts.lengths.len() <= cell {
            counts.lengths.resize(cell + 1, 0);
        }
        counts.lengths[cell] += 1;
        for score in scores {
            self.cells[(ordered(*score) >> (u32::BITS - CELL_BITS)) as usize] += 1;
        }
    }

    /// The counts, with the number of items in the dictionary.
    pub fn finish(&self, items: u64) -> Statistics {
        let mut counts = self.statistics.clone();
        counts.items = items;
        if counts.lists > 0 {
            counts.mean_length = counts.entries as f64 / counts.lists as f64;
        }
        if counts.entries > 0 {
            let quantile = |share: f64| {
                let mut before = ((counts.entries - 1) as f64 * share) as u64;
                let cell = self.cells.iter().position(|cell| {
                    let here = before < *cell;
                    before = before.saturating_sub(if here { 0 } else { *cell });
                    here
                });
                let middle = ((cell.unwrap_or(0) as u32) << CELL_BITS) | 1 << (CELL_BITS - 1);
                from_ordered(middle).clamp(counts.least_score, counts.greatest_score)
            };
            counts.score_quantiles = QUANTILES.map(quantile).to_vec();
        }
        // A zero is a zero: which of the two came first must not show.
        counts.least_score += 0.0;
        counts.greatest_score += 0.0;
        counts
    }
}

/// Bits that order as the scores do.
fn ordered(score: f32) -> u32 {
    let bits = score.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn from_ordered(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}
