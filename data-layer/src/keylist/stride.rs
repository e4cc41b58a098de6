//! How far records stand apart: chosen at build, from the sizes that records would have whole.

use super::format::{LEAST_STRIDE, MOST_STRIDE};

/// The stride that costs least: bytes of all records and of the overflow, and a penalty for each list that overflows, because it
/// costs one more wait for memory. `sizes[i]` counts the records of 8 × i bytes, the last those of any greater size.
pub(super) fn choose_stride(sizes: &Sizes, slots: u64) -> usize {
    let mut best = (u128::MAX, LEAST_STRIDE as usize);
    let mut beyond = sizes.records;
    let mut beyond_bytes = sizes.bytes;
    for (cell, count) in sizes.cells.iter().enumerate() {
        beyond -= count;
        beyond_bytes -= count * cell as u64 * 8;
        let stride = cell * 8;
        if stride < LEAST_STRIDE as usize {
            continue;
        }
        let inside = u128::from(slots) * stride as u128;
        let outside = u128::from(beyond_bytes) - u128::from(beyond) * stride as u128
            + u128::from(beyond) * (16 + OVERFLOW_COST);
        if inside + outside < best.0 {
            best = (inside + outside, stride);
        }
    }
    best.1
}

/// Bytes that one list in the overflow may cost: what a further wait for memory is held to be worth.
const OVERFLOW_COST: u128 = 128;

/// Sizes of whole records, in units of 8 bytes.
#[derive(Debug)]
pub(super) struct Sizes {
    cells: Vec<u64>,
    records: u64,
    bytes: u64,
}

impl Sizes {
    pub fn new() -> Self {
        let cells = MOST_STRIDE as usize / 8 + 1;
        Self { cells: vec![0; cells], records: 0, bytes: 0 }
    }

    /// Counts so many records of so many bytes.
    pub fn count(&mut self, whole: usize, records: u64) {
        let units = whole.div_ceil(8);
        self.records += records;
        self.bytes += units as u64 * 8 * records;
        if let Some(cell) = self.cells.get_mut(units) {
            *cell += records;
        }
    }
}
