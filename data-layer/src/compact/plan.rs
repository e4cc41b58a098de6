//! Which records of which segments may go: a bit for each record of a segment that may lose some, found by looking through the log as often as memory asks
//! for. Segments are known again by what their files are, so that one that was written anew meanwhile is left alone.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::scan::{PARTS, Scan};
use crate::config::Priorities;
use crate::log::{Entries, Stream, format, record};
use crate::{Error, Result};

/// Kinds of records that say something here.
const TOLD: [u8; 6] = [1, 2, format::IDENTIFY, 7, 8, 10];

/// A sealed segment.
#[derive(Debug)]
pub(super) struct Sealed {
    pub first: u64,
    pub path: PathBuf,
    /// What its file was when it was looked through.
    file: Option<[u64; 4]>,
}

impl Sealed {
    pub(super) fn new((first, path): (u64, PathBuf)) -> Self {
        Self { first, path, file: None }
    }

    /// Whether it is still the file that was looked through.
    pub(super) fn is_same(&self) -> bool {
        self.file.is_some() && file(&self.path).is_ok_and(|now| Some(now) == self.file)
    }
}

fn file(path: &Path) -> std::io::Result<[u64; 4]> {
    let data = std::fs::metadata(path)?;
    Ok([data.ino(), data.len(), data.mtime() as u64, data.mtime_nsec() as u64])
}

/// A bit for each record of some segments.
#[derive(Debug, Default)]
pub(super) struct Marks {
    segments: Vec<Vec<u64>>,
}

impl Marks {
    pub(super) fn mark(&mut self, (segment, record): (u32, u32)) {
        let (segment, record) = (segment as usize, record as usize);
        if self.segments.len() <= segment {
            self.segments.resize_with(segment + 1, Vec::new);
        }
        let bits = &mut self.segments[segment];
        if bits.len() <= record / 64 {
            bits.resize(record / 64 + 1, 0);
        }
        bits[record / 64] |= 1 << (record % 64);
    }

    /// Whether any record of a segment may go.
    pub(super) fn any(&self, segment: usize) -> bool {
        self.segments.get(segment).is_some_and(|bits| !bits.is_empty())
    }

    /// Whether the n-th record of a segment may go.
    pub(super) fn has(&self, segment: usize, record: usize) -> bool {
        let bits = self.segments.get(segment).and_then(|bits| bits.get(record / 64));
        bits.is_some_and(|bits| bits >> (record % 64) & 1 == 1)
    }
}

/// Finds what may go from the first `candidates` of all sealed segments of a log that begins with its first record. `rest` is called between segments, and
/// says whether to stop; `None` then. At most `most` items and people are followed at once.
///
/// # Errors
/// Those of reading the log.
pub(super) fn find(
    folder: &Path,
    all: &mut [Sealed],
    candidates: usize,
    sources: &Priorities,
    most: usize,
    rest: &mut dyn FnMut() -> bool,
) -> Result<Option<Marks>> {
    for segment in &mut all[..candidates] {
        segment.file = Some(file(&segment.path).map_err(Error::io(&segment.path))?);
    }
    let mut marks = Marks::default();
    let mut from = 0;
    while from < PARTS {
        let mut scan = Scan::new(from..PARTS, most, candidates as u32, sources, &mut marks);
        for (segment, Sealed { first, path, .. }) in (0..).zip(all.iter()) {
            let mut entries = Entries::sealed(folder, Stream::Events, *first, path);
            let mut number = 0;
            while let Some(entry) = entries.next_ref()? {
                if TOLD.contains(&(entry.kind & !format::PAST)) {
                    scan.take((segment, number), &entry, &record(entry, folder)?.event);
                }
                number += 1;
            }
            if rest() {
                return Ok(None);
            }
        }
        from = scan.parts.end;
    }
    Ok(Some(marks))
}
