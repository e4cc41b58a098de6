//! Counting what is read, per table. Not for times: those are the stages'.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{EachList, ReadLists};
use crate::live::Scored;
use crate::{Error, Result};

/// What was read of one table since the process started. Outlives generations.
#[derive(Debug, Default)]
pub struct Counts {
    found: AtomicU64,
    absent: AtomicU64,
    corrupt: AtomicU64,
    late: AtomicU64,
    failed: AtomicU64,
    entries: AtomicU64,
}

/// [`Counts`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Keys with a list.
    pub found: u64,
    /// Keys without one.
    pub absent: u64,
    /// Keys whose record is damaged.
    pub corrupt: u64,
    /// Keys for which there was no time.
    pub late: u64,
    /// Keys that could not be read for another reason.
    pub failed: u64,
    /// Places of lists that were handed over.
    pub entries: u64,
}

impl Counts {
    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Tally {
            found: read(&self.found),
            absent: read(&self.absent),
            corrupt: read(&self.corrupt),
            late: read(&self.late),
            failed: read(&self.failed),
            entries: read(&self.entries),
        }
    }

    fn add(&self, tally: Tally) {
        for (counter, by) in [
            (&self.found, tally.found),
            (&self.absent, tally.absent),
            (&self.corrupt, tally.corrupt),
            (&self.late, tally.late),
            (&self.failed, tally.failed),
            (&self.entries, tally.entries),
        ] {
            // Most are 0 most of the time, and each add takes the line away from other threads.
            if by > 0 {
                counter.fetch_add(by, Ordering::Relaxed);
            }
        }
    }
}

impl Tally {
    /// Keys asked for.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.found + self.absent + self.corrupt + self.late + self.failed
    }

    fn note(&mut self, found: std::result::Result<Option<usize>, &Error>) {
        match found {
            Ok(Some(entries)) => {
                self.found += 1;
                self.entries += entries as u64;
            }
            Ok(None) => self.absent += 1,
            Err(Error::Corrupt { .. }) => self.corrupt += 1,
            Err(Error::Late { .. }) => self.late += 1,
            Err(_) => self.failed += 1,
        }
    }
}

/// Counts what passes through it.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a, L> {
    inner: L,
    counts: &'a Counts,
}

impl<'a, L: ReadLists> Counted<'a, L> {
    /// Counts what `inner` reads.
    pub fn new(inner: L, counts: &'a Counts) -> Self {
        Self { inner, counts }
    }
}

impl<L: ReadLists> ReadLists for Counted<'_, L> {
    fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        // Added up first: one trip to the shared counters per call.
        let mut tally = Tally::default();
        self.inner.lists(keys, at_most, &mut |at, found| {
            tally.note(found.as_ref().map(|list| list.map(<[Scored]>::len)));
            each(at, found);
        });
        self.counts.add(tally);
    }

    fn list(&self, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        let before = out.len();
        let found = self.inner.list(key, at_most, out);
        let mut tally = Tally::default();
        tally.note(found.as_ref().map(|known| known.then_some(out.len() - before)));
        self.counts.add(tally);
        found
    }
}
