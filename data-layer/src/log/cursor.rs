//! Follows a growing log: hands out each record once, when it is on the disk, without reading anything twice. Its place is a
//! [`Position`], which can be kept and gone on from. Not for a whole log at once: that is `entries.rs`'s, and `replay.rs`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entries::{Entry, segments};
use super::format::{Stream, VOID};
use super::growth::Growth;
use super::mark::Mark;
use super::record;
use super::segment::{Opened, Segment, corrupt, path_of};
use crate::types::{Position, Record};
use crate::{Error, Result};

/// How often another process's log is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A place in a log that grows.
#[derive(Debug)]
pub struct Cursor {
    folder: PathBuf,
    stream: Stream,
    segment: Option<Box<Segment>>,
    producer: u64,
    /// Sequence of the last record that was handed out.
    last: u64,
    growth: Option<Arc<Growth>>,
    /// The mark that was looked at last.
    seen: Option<Mark>,
}

impl Cursor {
    /// A cursor behind the record `after`; 0 is before the first. `growth` is that of the writer where it is in this process;
    /// otherwise the folder's mark is looked at. An absent folder is an empty log.
    #[must_use]
    pub fn new(folder: &Path, stream: Stream, after: u64, growth: Option<Arc<Growth>>) -> Self {
        let (folder, last) = (folder.to_owned(), after);
        Self { folder, stream, segment: None, producer: 0, last, growth, seen: None }
    }

    /// The place behind the last record that was handed out. The producer is 0 until the first one.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { producer: self.producer, sequence: self.last }
    }

    /// The next record that is on the disk; `None` where there is none yet.
    ///
    /// # Errors
    /// [`Error::NotFound`] where retention has removed it; [`Error::Corrupt`], [`Error::Newer`], [`Error::Io`]. It may be tried
    /// again.
    pub fn read(&mut self) -> Result<Option<Entry>> {
        loop {
            if self.segment.is_none() && !self.enter()? {
                return Ok(None);
            }
            let Some(segment) = &mut self.segment else { return Ok(None) };
            if segment.at == segment.len {
                let next = path_of(&self.folder, self.last + 1);
                // Looked for before the mark is: once it is there, nothing is added to this one any more.
                let sealed = next != segment.path && next.exists();
                self.seen = self.growth.as_ref().map(|g| g.mark()).or_else(|| Mark::read(&self.folder));
                segment.grow(readable(segment.header.first, sealed, self.seen))?;
                if segment.at == segment.len {
                    if !sealed {
                        return Ok(None);
                    }
                    self.segment = None;
                    continue;
                }
            }
            return match segment.advance(self.last)? {
                Ok(last) => {
                    self.last = last;
                    Ok(Some(segment.entry().into()))
                }
                // No mark vouches for it: it is being written.
                Err(_) if self.seen.is_none() => segment.stop().map(|()| None),
                Err(detail) => Err(corrupt(&segment.path, "record", segment.at, detail)),
            };
        }
    }

    /// The next event that is on the disk; records that were erased are passed over.
    ///
    /// # Errors
    /// As [`Cursor::read`]; [`Error::Corrupt`] for a payload that is no event of its kind.
    pub fn read_record(&mut self) -> Result<Option<Record>> {
        loop {
            match self.read()? {
                Some(entry) if entry.kind == VOID => {}
                entry => return entry.map(|entry| record(entry.as_ref(), &self.folder)).transpose(),
            }
        }
    }

    /// Waits until there may be more. Needs a tokio runtime with time where the log is another process's.
    pub async fn changed(&self) {
        match (&self.growth, self.seen) {
            (Some(growth), Some(seen)) if growth.changed(seen).await => {}
            _ => tokio::time::sleep(LOOK).await,
        }
    }

    /// Waits until there may be more, at most so long; `false` where nothing happened. Blocks the thread.
    pub fn wait(&mut self, at_most: Duration) -> bool {
        if let (Some(growth), Some(seen)) = (&self.growth, self.seen) {
            return growth.wait(seen, at_most);
        }
        let until = Instant::now() + at_most;
        loop {
            let mark = Mark::read(&self.folder);
            if mark.is_some() && mark != self.seen {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    /// Opens the segment that holds the next record and goes to it; `false` where there is none yet.
    fn enter(&mut self) -> Result<bool> {
        let next = self.last + 1;
        let all = segments(&self.folder)?;
        let at = all.partition_point(|(first, _)| *first <= next);
        let Some((_, path)) = at.checked_sub(1).and_then(|at| all.get(at)) else {
            return match all.first() {
                None => Ok(false),
                Some((first, _)) => Err(Error::NotFound {
                    what: "record",
                    name: format!("{next} of {}", self.folder.display()),
                    hint: format!(
                        "; the log begins with {first}, older ones were removed after [log] retention"
                    ),
                }),
            };
        };
        let mut segment = match Segment::open(path.clone(), at == all.len())? {
            Opened::Open(segment) => segment,
            Opened::Torn(_) => return Ok(false),
        };
        if segment.header.stream != self.stream
            || (self.producer != 0 && segment.header.producer != self.producer)
        {
            let detail = format!(
                "expected {:?} of log {:016x}, found {:?} of log {:016x}; the folder is another log's",
                self.stream, self.producer, segment.header.stream, segment.header.producer
            );
            return Err(corrupt(path, "header", 0, detail));
        }
        // What was handed out before is on the disk. Where it has become part of a gap, all of that has been passed.
        let mut passed = segment.header.first - 1;
        while passed < self.last {
            passed = match segment.advance(passed)? {
                Ok(last) => last,
                Err(detail) => return Err(corrupt(&segment.path, "record", segment.at, detail)),
            };
        }
        self.last = passed;
        self.producer = segment.header.producer;
        segment.stop()?;
        self.segment = Some(segment);
        Ok(true)
    }
}

/// Bytes of a segment that are on the disk for good.
fn readable(first: u64, sealed: bool, mark: Option<Mark>) -> u64 {
    match mark {
        Some(mark) if !sealed && mark.first == first => mark.len,
        Some(mark) if !sealed && mark.first < first => 0,
        _ => u64::MAX,
    }
}
