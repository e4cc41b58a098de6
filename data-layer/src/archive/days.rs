//! The files of one segment: what came is written by the day on which it was received, in order of the log; what came by the lane of the past by the day on
//! which it happened, in order of event time. Not for where they go: `sealer.rs`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Read;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::rows;
use crate::log::format::{PAST, VOID};
use crate::log::segment::entry_at;
use crate::log::{Entries, Stream, record};
use crate::types::Millis;
use crate::types::time::DAY;
use crate::{Error, Result};

/// Different days of the past in one segment; with more, it is written by day of receipt as all else is, or there would be more files than rows in them.
const MOST_DAYS: usize = 1000;

/// Bytes that are read at a time to sum a file.
const BLOCK: usize = 1 << 20;

/// One file that was written.
#[derive(Debug)]
pub(super) struct File {
    /// Days since 1970.
    pub day: i64,
    /// Whether it holds the past.
    pub by_time: bool,
    pub draft: PathBuf,
    pub rows: u64,
}

/// What was written of a segment.
#[derive(Debug)]
pub(super) struct Written {
    pub files: Vec<File>,
    /// Its last sequence.
    pub last: u64,
    /// Receipt time of its newest record.
    pub newest_ms: Millis,
}

/// A record of the past: when it happened, its sequence, where it begins.
type Past = (Millis, u64, u64);

/// Writes the files of a sealed segment into a folder for drafts.
///
/// # Errors
/// Those of the log and of the files.
pub(super) fn write(
    folder: &Path,
    stream: Stream,
    (first, path): (u64, &Path),
    drafts: &Path,
) -> Result<Written> {
    let past = past(folder, stream, (first, path))?;
    let mut entries = Entries::sealed(folder, stream, first, path);
    let mut days: BTreeMap<i64, (rows::File, PathBuf)> = BTreeMap::new();
    let mut written = Written { files: Vec::new(), last: first.saturating_sub(1), newest_ms: Millis::MIN };
    while let Some(entry) = entries.next_ref()? {
        written.last = entry.sequence;
        written.newest_ms = written.newest_ms.max(entry.received_ms);
        if entry.kind == VOID || (past.is_some() && entry.kind & PAST != 0) {
            continue;
        }
        let day = entry.received_ms.div_euclid(DAY);
        let (file, _) = match days.entry(day) {
            Entry::Occupied(file) => file.into_mut(),
            Entry::Vacant(free) => {
                let draft = drafts.join(format!("{day}.parquet"));
                free.insert((rows::File::create(&draft, stream)?, draft))
            }
        };
        file.add(entry, folder)?;
    }
    for (day, (file, draft)) in days {
        written.files.push(File { day, by_time: false, draft, rows: file.finish()? });
    }
    if let Some(past) = &past {
        written.files.extend(write_past(folder, stream, (first, path), drafts, past)?);
    }
    Ok(written)
}

/// Where the past is in a segment; `None` where there is none, or of too many days.
fn past(folder: &Path, stream: Stream, (first, path): (u64, &Path)) -> Result<Option<Vec<Past>>> {
    if stream == Stream::Decisions {
        return Ok(None);
    }
    let mut entries = Entries::sealed(folder, stream, first, path);
    let mut found = Vec::new();
    while let Some(entry) = entries.next_ref()? {
        if entry.kind != VOID && entry.kind & PAST != 0 {
            found.push((rows::time_of(&record(entry, folder)?), entry.sequence, entry.offset));
        }
    }
    found.sort_unstable();
    let days = found.chunk_by(|a, b| day_of(a) == day_of(b)).count();
    Ok((1..=MOST_DAYS).contains(&days).then_some(found))
}

/// Writes the past, which is in order of time.
fn write_past(
    folder: &Path,
    stream: Stream,
    (first, path): (u64, &Path),
    drafts: &Path,
    past: &[Past],
) -> Result<Vec<File>> {
    let segment = std::fs::File::open(path).map_err(Error::io(path))?;
    let (mut files, mut buffer) = (Vec::new(), Vec::new());
    for of_day in past.chunk_by(|a, b| day_of(a) == day_of(b)) {
        let Some(day) = of_day.first().map(day_of) else { continue };
        let draft = drafts.join(format!("{day}.past.parquet"));
        let mut file = rows::File::create(&draft, stream)?;
        for (_, _, offset) in of_day {
            file.add(entry_at((&segment, path), first, *offset, &mut buffer)?, folder)?;
        }
        files.push(File { day, by_time: true, draft, rows: file.finish()? });
    }
    Ok(files)
}

fn day_of((time, ..): &Past) -> i64 {
    time.div_euclid(DAY)
}

/// Length and sum of a file, in 16 hex digits.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn sum_of(path: &Path) -> Result<(u64, String)> {
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    let (mut sum, mut part, mut bytes) = (Xxh3::new(), vec![0; BLOCK], 0);
    loop {
        let read = file.read(&mut part).map_err(Error::io(path))?;
        if read == 0 {
            return Ok((bytes, format!("{:016x}", sum.digest())));
        }
        sum.update(&part[..read]);
        bytes += read as u64;
    }
}
