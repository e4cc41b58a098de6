//! Reads the records of a log folder in order, as bytes, and tells a torn tail from corruption. Never writes, takes no lock:
//! it may run beside a live writer.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::format::{
    HeaderError, MOST_PAYLOAD, RECORD_HEADER, RECORD_VERSION, RecordHeader, SEGMENT_HEADER, SEGMENT_VERSION,
    SegmentHeader, Stream,
};
use super::mark::Mark;
use crate::types::{Millis, Partition};
use crate::{Error, Result};

/// One record as bytes; its sum has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the payload is.
    pub kind: u8,
    /// Partition of the person concerned, or 0.
    pub partition: Partition,
    /// Number in the log.
    pub sequence: u64,
    /// When the server took it.
    pub received_ms: Millis,
    /// JSON.
    pub payload: Vec<u8>,
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
}

/// Iterator over the records of one folder.
#[derive(Debug)]
pub struct Entries {
    folder: PathBuf,
    stream: Stream,
    waiting: VecDeque<(u64, PathBuf)>,
    open: Option<Segment>,
    producer: Option<u64>,
    /// Sequence of the last record read; 0 before the first.
    last: u64,
    tail: Option<Tail>,
    failed: bool,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    header: SegmentHeader,
    file: BufReader<File>,
    at: u64,
    /// Length when it was opened; what a writer adds later is for a later read.
    len: u64,
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
        let last = waiting.front().map_or(0, |(first, _)| first.saturating_sub(1));
        let folder = folder.to_owned();
        Ok(Self { folder, stream, waiting, open: None, producer: None, last, tail: None, failed: false })
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

    fn read(&mut self) -> Result<Option<Entry>> {
        loop {
            if self.open.is_none() && !self.next_segment()? {
                return Ok(None);
            }
            let newest = self.waiting.is_empty();
            let Some(segment) = &mut self.open else { return Ok(None) };
            if segment.at == segment.len {
                self.close(newest, false);
                continue;
            }
            match segment.record(self.last)? {
                Ok(entry) => {
                    self.last = entry.sequence;
                    return Ok(Some(entry));
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
            self.tail = closed.map(|s| Tail { path: s.path, good: s.at, len: s.len, holds_records });
        }
    }

    /// Opens the next segment; `false` where there is none with a whole header.
    fn next_segment(&mut self) -> Result<bool> {
        let Some((first, path)) = self.waiting.pop_front() else { return Ok(false) };
        let mut file = File::open(&path).map_err(Error::io(&path))?;
        let len = file.metadata().map_err(Error::io(&path))?.len();
        let torn = |path| Some(Tail { path, good: 0, len, holds_records: false });
        if len < SEGMENT_HEADER as u64 {
            if self.waiting.is_empty() {
                self.tail = torn(path);
                return Ok(false);
            }
            return Err(corrupt(&path, "header", 0, format!("expected {SEGMENT_HEADER} bytes, found {len}")));
        }
        let mut bytes = [0; SEGMENT_HEADER];
        file.read_exact(&mut bytes).map_err(Error::io(&path))?;
        // The file had its length before a power loss, but not yet its bytes, and nothing was ever behind them.
        if bytes == [0; SEGMENT_HEADER] && len == SEGMENT_HEADER as u64 && self.waiting.is_empty() {
            self.tail = torn(path);
            return Ok(false);
        }
        let header = SegmentHeader::decode(&bytes).map_err(|error| match error {
            HeaderError::Corrupt(detail) => corrupt(&path, "header", 0, detail),
            HeaderError::Newer(found) => Error::Newer { path: path.clone(), found, known: SEGMENT_VERSION },
        })?;
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
        let file = BufReader::with_capacity(1 << 18, file);
        self.open = Some(Segment { path, header, file, at: SEGMENT_HEADER as u64, len });
        Ok(true)
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl Segment {
    /// Reads the record at `at` and moves on; the inner error says why there is none.
    fn record(&mut self, last: u64) -> Result<std::result::Result<Entry, String>> {
        let left = self.len - self.at;
        if left < RECORD_HEADER as u64 {
            return Ok(Err(format!("expected a record of at least {RECORD_HEADER} bytes, found {left}")));
        }
        let mut bytes = [0; RECORD_HEADER];
        self.file.read_exact(&mut bytes).map_err(Error::io(&self.path))?;
        let header = RecordHeader::decode(&bytes);
        let size = (RECORD_HEADER + header.len) as u64;
        if header.len > MOST_PAYLOAD || size > left {
            return Ok(Err(format!("expected a payload within the file, found one of {} bytes", header.len)));
        }
        let mut payload = vec![0; header.len];
        self.file.read_exact(&mut payload).map_err(Error::io(&self.path))?;
        if !header.fits(&bytes, &payload) {
            return Ok(Err(format!("its sum {:016x} does not fit its bytes", header.sum)));
        }
        if header.version > RECORD_VERSION {
            let (found, known) = (u32::from(header.version), u32::from(RECORD_VERSION));
            return Err(Error::Newer { path: self.path.clone(), found, known });
        }
        if header.sequence != last + 1 {
            let detail = format!("expected record {}, found record {}", last + 1, header.sequence);
            return Err(corrupt(&self.path, "record", self.at, detail));
        }
        self.at += size;
        let RecordHeader { kind, partition, sequence, received_ms, .. } = header;
        Ok(Ok(Entry { kind, partition, sequence, received_ms, payload }))
    }

    /// Whether the bad record at `at` lies behind all that was synced. Then everything behind it does too.
    fn never_synced(&self, folder: &Path) -> bool {
        let SegmentHeader { producer, first, .. } = self.header;
        Mark::read(folder).is_some_and(|m| (m.producer, m.first) == (producer, first) && m.len <= self.at)
    }

    /// Whether a whole record lies anywhere behind the bad one at `at`; then that one is not a torn tail.
    fn whole_record_follows(&mut self, last: u64) -> Result<bool> {
        let mut rest = vec![0; (self.len - self.at) as usize];
        self.file.seek(SeekFrom::Start(self.at)).map_err(Error::io(&self.path))?;
        self.file.read_exact(&mut rest).map_err(Error::io(&self.path))?;
        let most = last.saturating_add(rest.len() as u64);
        Ok((1..rest.len().saturating_sub(RECORD_HEADER - 1)).any(|at| {
            let (Some(bytes), after) = (rest[at..].first_chunk(), &rest[at + RECORD_HEADER..]) else {
                return false;
            };
            let header = RecordHeader::decode(bytes);
            let plausible = (last + 1..=most).contains(&header.sequence) && header.len <= after.len();
            plausible && header.fits(bytes, &after[..header.len])
        }))
    }
}

fn corrupt(path: &Path, section: &str, offset: u64, detail: String) -> Error {
    Error::Corrupt { path: path.to_owned(), section: section.to_owned(), offset, detail }
}
