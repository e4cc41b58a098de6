//! A deadline over reading: looked at between blocks of keys. What it comes too late for is left out, and each such key says so. Not
//! for what can hang in the middle of one block; that belongs on a thread of its own.

use super::{EachList, ReadLists};
use crate::live::Scored;
use crate::{Error, Result};

/// Keys read between two looks at the deadline: as many as a table has on their way at once.
pub const BLOCK: usize = 32;

/// Reads until a deadline has passed.
#[derive(Clone, Copy)]
pub struct Timed<'a, L> {
    inner: L,
    passed: &'a dyn Fn() -> bool,
}

impl<'a, L: ReadLists> Timed<'a, L> {
    /// Reads from `inner` as long as `passed` says no. The clock is the caller's.
    pub fn new(inner: L, passed: &'a dyn Fn() -> bool) -> Self {
        Self { inner, passed }
    }
}

impl<L: ReadLists> ReadLists for Timed<'_, L> {
    fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        for (number, block) in keys.chunks(BLOCK).enumerate() {
            let first = number * BLOCK;
            if (self.passed)() {
                (first..keys.len()).for_each(|at| each(at, Err(late(first, keys.len()))));
                return;
            }
            self.inner.lists(block, at_most, &mut |at, found| each(first + at, found));
        }
    }

    fn list(&self, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        if (self.passed)() {
            return Err(late(0, 1));
        }
        self.inner.list(key, at_most, out)
    }
}

fn late(read: usize, of: usize) -> Error {
    Error::Late { read, of }
}

impl<L: std::fmt::Debug> std::fmt::Debug for Timed<'_, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Timed({:?})", self.inner)
    }
}
