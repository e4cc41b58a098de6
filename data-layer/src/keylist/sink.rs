//! Where a file's sections go as they are made: written in order, padded, and summed block by block. Not for reading them.

use std::io::{Result, Write};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::format::ALIGN;
use super::sections::Section;

/// Bytes that one sum of the `blocks` section covers; blocks start at the start of each section.
pub(super) const BLOCK: usize = 64 << 10;

/// Writes end at multiples of this, but for the last: a file system with large folios then keeps the file in huge pages from the
/// start, and a reader, who jumps from record to record, looks up far fewer addresses.
const HUGE: usize = 2 << 20;

/// Writes sections one after another. Holds eight bytes per block written, and what is not yet worth a write.
pub(super) struct Sink<W> {
    out: W,
    waiting: Vec<u8>,
    at: u64,
    start: u64,
    state: Box<Xxh3>,
    filled: usize,
    sums: Vec<u64>,
    first: usize,
}

impl<W: Write> Sink<W> {
    /// Goes on at byte `at` of the file, which starts the first section.
    pub fn new(out: W, at: u64) -> Self {
        let (waiting, state) = (Vec::with_capacity(HUGE), Box::new(Xxh3::new()));
        Self { out, waiting, at, start: at, state, filled: 0, sums: Vec::new(), first: 0 }
    }

    /// Appends to the section.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(bytes)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (block, after) = rest.split_at(rest.len().min(BLOCK - self.filled));
            rest = after;
            if block.len() == BLOCK {
                self.sums.push(xxh3_64(block));
                continue;
            }
            self.state.update(block);
            self.filled += block.len();
            if self.filled == BLOCK {
                self.close_block();
            }
        }
        Ok(())
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = HUGE - (self.at % HUGE as u64) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.waiting.extend_from_slice(now);
            self.at += now.len() as u64;
            if now.len() == room {
                self.out.write_all(&self.waiting)?;
                self.waiting.clear();
            }
            bytes = later;
        }
        Ok(())
    }

    /// Pads the section and ends it; the next one starts here.
    ///
    /// # Errors
    /// What the system said.
    pub fn end(&mut self) -> Result<Section> {
        let padding = self.at.next_multiple_of(ALIGN as u64) - self.at;
        self.write(&[0; ALIGN][..padding as usize])?;
        if self.filled > 0 {
            self.close_block();
        }
        let section = Section {
            offset: self.start,
            length: self.at - self.start,
            sum: sum_of_sums(self.sums[self.first..].iter().copied()),
        };
        self.first = self.sums.len();
        self.start = self.at;
        Ok(section)
    }

    /// Writes the sums of all blocks as the last section, whose own sum is that of its bytes.
    ///
    /// # Errors
    /// What the system said.
    pub fn blocks(mut self) -> Result<(W, Section)> {
        let mut bytes: Vec<u8> = self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        self.put(&bytes)?;
        self.out.write_all(&self.waiting)?;
        let section = Section { offset: self.start, length: bytes.len() as u64, sum: xxh3_64(&bytes) };
        Ok((self.out, section))
    }

    fn close_block(&mut self) {
        self.sums.push(self.state.digest());
        self.state.reset();
        self.filled = 0;
    }
}

/// A section's sum: XXH3-64 of its blocks' sums, eight bytes each.
pub(super) fn sum_of_sums(sums: impl Iterator<Item = u64>) -> u64 {
    let mut state = Xxh3::new();
    sums.for_each(|sum| state.update(&sum.to_le_bytes()));
    state.digest()
}
