//! What the machine itself can do: reads at random places of a mapped file, without any store. No store can be faster for the same bytes.

use std::path::Path;

use anyhow::Result;
use memmap2::Mmap;

use crate::data::{mix, touch};
use crate::kernel::pages;
use crate::store::Pages;

const LINE: usize = 64;
/// Blocks on their way at once; more than the machine has line buffers for, so that they never run dry.
const WAVE: usize = 16;

/// A mapped file of random bytes.
pub struct Reads(Mmap);

impl Reads {
    /// Maps a file, all pages in memory.
    pub fn of(path: &Path) -> Result<Self> {
        Ok(Self(pages::map(path, Pages::Warm)?))
    }

    /// Reads of 64-byte lines that don't wait for each other.
    #[must_use]
    pub fn lines(&self, seed: u64, count: usize) -> u64 {
        let lines = (self.0.len() / LINE) as u64;
        (0..count as u64).fold(0u64, |sum, n| sum.wrapping_add(self.word(place(seed ^ n, lines) * LINE)))
    }

    /// Reads of lines whose place is known only from the line before.
    #[must_use]
    pub fn dependent(&self, seed: u64, count: usize) -> u64 {
        let lines = (self.0.len() / LINE) as u64;
        (0..count as u64).fold(seed, |sum, _| self.word(place(sum, lines) * LINE) ^ mix(sum))
    }

    /// Blocks of so many bytes, aligned to 8, every line of them asked for ahead, every byte touched.
    #[must_use]
    pub fn blocks(&self, seed: u64, count: usize, bytes: usize) -> u64 {
        let places = ((self.0.len() - bytes) / 8) as u64;
        let at = |n: u64| place(seed ^ n, places) * 8;
        let mut sum = 0u64;
        let mut ahead = [0usize; WAVE];
        for (n, slot) in ahead.iter_mut().enumerate() {
            *slot = at(n as u64);
            self.ask_for(*slot, bytes);
        }
        for n in 0..count {
            let slot = &mut ahead[n % WAVE];
            sum = sum.wrapping_add(touch(&self.0[*slot..*slot + bytes]));
            *slot = at((n + WAVE) as u64);
            self.ask_for(*slot, bytes);
        }
        sum
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    fn ask_for(&self, at: usize, bytes: usize) {
        let first = at / LINE * LINE;
        for line in (first..at + bytes).step_by(LINE) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: prefetching reads nothing that could be seen and faults nowhere; the place lies within the map.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(self.0.as_ptr().wrapping_add(line).cast());
            }
            #[cfg(not(target_arch = "x86_64"))]
            let _ = line;
        }
    }
}

fn place(n: u64, places: u64) -> usize {
    ((u128::from(mix(n)) * u128::from(places)) >> 64) as usize
}
