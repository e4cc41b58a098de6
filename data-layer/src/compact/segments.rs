//! A sealed segment written again without the records that may go: gaps stand for them, so that its sequences stay as they are. Not for how it takes
//! the place of the old one: that is `log/anew.rs`.

use std::path::Path;

use super::plan::{Marks, Sealed};
use crate::log::{Anew, Entries, EntryRef, Stream, format};
use crate::types::Millis;
use crate::{Error, Result};

/// Ending of a segment that is being written.
const DRAFT: &str = "compacting";
/// A segment is written again where that frees at least this share of it.
const LEAST_SHARE: u64 = 8;

/// What writing a segment again came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub records: u64,
    pub before: u64,
    pub after: u64,
}

/// Records that follow each other and say nothing any more.
#[derive(Debug, Default)]
struct Gap {
    first: u64,
    count: u64,
    received_ms: Millis,
}

impl Gap {
    fn add(&mut self, entry: &EntryRef<'_>) {
        if self.count == 0 {
            *self = Self { first: entry.sequence + 1 - entry.span, count: 0, received_ms: entry.received_ms };
        }
        self.count += entry.span;
        self.received_ms = self.received_ms.max(entry.received_ms);
    }

    /// Puts it behind what is there, and begins anew.
    fn end(&mut self, out: &mut Vec<u8>) {
        format::encode_gap(out, self.first, self.count, self.received_ms);
        self.count = 0;
    }
}

/// Writes a segment again, where that is worth it; `ended` says to stop. `None`: it is as it was.
///
/// # Errors
/// Those of the log; the segment is then as it was.
pub(super) fn rewrite(
    folder: &Path,
    number: usize,
    segment: &Sealed,
    marks: &Marks,
    ended: &dyn Fn() -> bool,
) -> Result<Option<Rewritten>> {
    let path = &segment.path;
    let before = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let (mut records, mut freed) = (0, 0);
    each(folder, segment, |at, entry| {
        if marks.has(number, at) {
            (records, freed) = (records + 1, freed + entry.payload.len() + format::RECORD_HEADER);
        }
        Ok(true)
    })?;
    if freed as u64 * LEAST_SHARE < before {
        return Ok(None);
    }
    let (mut anew, mut bytes, mut gap) = (Anew::begin(path, DRAFT)?, Vec::new(), Gap::default());
    let whole = each(folder, segment, |at, entry| {
        if entry.kind == format::VOID || marks.has(number, at) {
            gap.add(&entry);
            return Ok(!ended());
        }
        bytes.clear();
        gap.end(&mut bytes);
        entry.encode_again(&mut bytes);
        anew.put(&bytes).map(|()| !ended())
    })?;
    if !whole {
        return Ok(None);
    }
    bytes.clear();
    gap.end(&mut bytes);
    anew.put(&bytes)?;
    Ok(Some(Rewritten { records, before, after: anew.put_in_place()? }))
}

/// Gives each record of a segment with its number in it; `false` where it was told to stop.
fn each(
    folder: &Path,
    segment: &Sealed,
    mut each: impl FnMut(usize, EntryRef<'_>) -> Result<bool>,
) -> Result<bool> {
    let mut entries = Entries::sealed(folder, Stream::Events, segment.first, &segment.path);
    let mut at = 0;
    while let Some(entry) = entries.next_ref()? {
        if !each(at, entry)? {
            return Ok(false);
        }
        at += 1;
    }
    Ok(true)
}

/// Removes what a process that was killed left behind.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn sweep(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.extension().is_some_and(|ending| ending == DRAFT) {
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}
