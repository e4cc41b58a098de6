//! Reads the records of a log folder in order, as bytes, and tells a torn tail from corruption. Never writes, takes no lock:
//! it may run beside a live writer. Not for following one: that is `cursor.rs`'s.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::format::Stream;
use super::mark::Mark;
use super::segment::{EntryRef, Opened, Segment, corrupt};
use crate::types::{Millis, Partition};
use crate::{Error, Result};

/// One record as bytes of its own; its sum has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Version of the record; says how the payload is written.
    pub version: u8,
    /// What the payload is.
    pub kind: u8,
    /// Partition of the person concerned, or 0.
    pub partition: Partition,
    /// Number in the log; the last of those that it spans.
    pub sequence: u64,
    /// How many numbers of the log it stands for, as in [`EntryRef`].
    pub span: u64,
    /// When the server took it.
    pub received_ms: Millis,
    /// See `format.rs`.
    pub payload: Vec<u8>,
    /// First sequence of its segment, which names the file.
    pub segment: u64,
    /// Where in that file it begins.
    pub offset: u64,
}

impl Entry {
    /// The same without bytes of its own.
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        let Self { version, kind, partition, sequence, span, received_ms, segment, offset, .. } = *self;
        let payload = &self.payload;
        EntryRef { version, kind, partition, sequence, span, received_ms, payload, segment, offset }
    }
}

impl From<EntryRef<'_>> for Entry {
    fn from(entry: EntryRef<'_>) -> Self {
        let EntryRef { version, kind, partition, sequence, span, received_ms, payload, segment, offset } =
            entry;
        let payload = payload.to_vec();
        Self { version, kind, partition, sequence, span, received_ms, payload, segment, offset }
    }
}

/// Where the good bytes of the newest segment end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The newest segment.
    pub path: PathBuf,
    /// Bytes up to the end of its last whole record.
    pub good: u64,
    /// Bytes it has.
    pub len: u64,
    /// Whether whole records lie behind the good bytes: parts of a group that a power loss tore in the middle.
    pub holds_records: bool,
    /// Bytes that were synced once, at least: more than are good where the file has become shorter since.
    pub synced: u64,
}

/// Iterator over the records of one folder.
#[derive(Debug)]
pub struct Entries {
    folder: PathBuf,
    stream: Stream,
    waiting: VecDeque<(u64, PathBuf)>,
    /// Whether the last segment that waits is the newest of the log, and so may have a torn tail.
    to_the_end: bool,
    open: Option<Box<Segment>>,
    producer: Option<u64>,
    /// Sequence of the last record read; 0 before the first.
    last: u64,
    /// Bytes of the newest segment that its mark vouched for before it was opened.
    synced: u64,
    tail: Option<Tail>,
    failed: bool,
}

/// Segments of a folder with the sequence their names say, oldest first; none where there is no folder.
///
/// # Errors
/// [`Error::Io`].
pub fn segments(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(folder)(e)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry.map_err(Error::io(folder))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".seg"));
        if let Some(first) = number.and_then(|n| n.parse().ok()) {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

impl Entries {
    /// The records of `folder` with a sequence of at least `from`. Segments that end before it are not opened.
    ///
    /// # Errors
    /// [`Error::Io`]; an absent folder is an empty log.
    pub fn open(folder: &Path, stream: Stream, from: u64) -> Result<Self> {
        let mut waiting: VecDeque<_> = segments(folder)?.into();
        while waiting.get(1).is_some_and(|(first, _)| *first <= from) {
            waiting.pop_front();
        }
        Ok(Self::over(folder, stream, waiting, true))
    }

    /// The records of one segment that is sealed.
    #[must_use]
    pub fn sealed(folder: &Path, stream: Stream, first: u64, path: &Path) -> Self {
        Self::over(folder, stream, [(first, path.to_owned())].into(), false)
    }

    /// The records of some segments that follow each other; `newest` says that the last of them is the newest of the log.
    pub(super) fn over(
        folder: &Path,
        stream: Stream,
        waiting: VecDeque<(u64, PathBuf)>,
        newest: bool,
    ) -> Self {
        let last = waiting.front().map_or(0, |(first, _)| first.saturating_sub(1));
        let (folder, to_the_end) = (folder.to_owned(), newest);
        let (open, producer, synced, tail, failed) = (None, None, 0, None, false);
        Self { folder, stream, waiting, to_the_end, open, producer, last, synced, tail, failed }
    }

    /// Identity of the log, once a segment has been opened.
    #[must_use]
    pub fn producer(&self) -> Option<u64> {
        self.producer
    }

    /// Sequence of the last record read; 0 before the first.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.last
    }

    /// Where the newest segment ends, once everything was read.
    #[must_use]
    pub fn tail(&self) -> Option<&Tail> {
        self.tail.as_ref()
    }

    /// The next record, without bytes of its own: quicker than the iterator.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Newer`], [`Error::Io`]; after one nothing follows.
    pub fn next_ref(&mut self) -> Result<Option<EntryRef<'_>>> {
        if self.failed {
            return Ok(None);
        }
        let advanced = self.advance();
        self.failed = advanced.is_err();
        Ok(if advanced? { self.open.as_ref().map(|segment| segment.entry()) } else { None })
    }

    /// Moves to the next record; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        loop {
            if self.open.is_none() && !self.next_segment()? {
                return Ok(false);
            }
            let newest = self.to_the_end && self.waiting.is_empty();
            let Some(segment) = &mut self.open else { return Ok(false) };
            if segment.at == segment.len {
                self.close(newest, false);
                continue;
            }
            match segment.advance(self.last)? {
                Ok(last) => {
                    self.last = last;
                    return Ok(true);
                }
                // It was on the disk, and may have been acknowledged.
                Err(detail) if newest && (segment.at + 1..=segment.len).contains(&self.synced) => {
                    return Err(corrupt(&segment.path, "record", segment.at, detail));
                }
                // A group that was being written when the process died: nobody was told of it.
                Err(_) if newest && !segment.whole_record_follows(self.last)? => self.close(true, false),
                // The same where the system died too, and had put some pages of the group on the disk and others not.
                Err(_) if newest && segment.never_synced(&self.folder) => self.close(true, true),
                Err(detail) => {
                    return Err(corrupt(&segment.path, "record", segment.at, detail));
                }
            }
        }
    }

    fn close(&mut self, newest: bool, holds_records: bool) {
        let closed = self.open.take();
        if newest {
            let synced = self.synced;
            self.tail = closed.map(|s| Tail { path: s.path, good: s.at, len: s.len, holds_records, synced });
        }
    }

    /// Opens the next segment; `false` where there is none with a whole header.
    fn next_segment(&mut self) -> Result<bool> {
        let Some((first, path)) = self.waiting.pop_front() else { return Ok(false) };
        let newest = self.to_the_end && self.waiting.is_empty();
        // Before it is opened: what the mark vouches for by then can be read.
        let mark = newest.then(|| Mark::read(&self.folder)).flatten();
        let segment = match Segment::open(path.clone(), newest)? {
            Opened::Open(segment) => segment,
            Opened::Torn(len) => {
                self.tail = Some(Tail { path, good: 0, len, holds_records: false, synced: 0 });
                return Ok(false);
            }
        };
        let header = segment.header;
        let of_it = |mark: &Mark| (mark.producer, mark.first) == (header.producer, header.first);
        self.synced = mark.filter(of_it).map_or(0, |mark| mark.len);
        let expected = (self.stream, self.last + 1, self.producer.unwrap_or(header.producer));
        if (header.stream, header.first, header.producer) != expected || first != header.first {
            let detail = format!(
                "expected {:?} from record {} of log {:016x}, found {:?} from record {} of log {:016x}; \
                 a segment is missing, or from another log",
                expected.0, expected.1, expected.2, header.stream, header.first, header.producer
            );
            return Err(corrupt(&path, "header", 0, detail));
        }
        self.producer = Some(header.producer);
        self.open = Some(segment);
        Ok(true)
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_ref().map(|entry| entry.map(Entry::from)).transpose()
    }
}
