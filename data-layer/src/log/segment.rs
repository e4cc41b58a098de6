//! Reads one segment, record by record, through a block of memory, without an allocation for each. Not for the order of segments
//! or for what to make of a bad record: that is `entries.rs`'s and `cursor.rs`'s.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::format::{
    self, HeaderError, MOST_PAYLOAD, NEWEST_VERSION, RECORD_HEADER, RecordHeader, SEGMENT_HEADER,
    SEGMENT_VERSION, SegmentHeader,
};
use super::mark::Mark;
use crate::types::{Millis, Partition};
use crate::{Error, Result};

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 18;

/// One record as bytes; its sum has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// Version of the record; says how the payload is written.
    pub version: u8,
    /// What the payload is.
    pub kind: u8,
    /// Partition of the person concerned, or 0.
    pub partition: Partition,
    /// Number in the log; the last of those that it spans.
    pub sequence: u64,
    /// How many numbers of the log it stands for: 1, but for what many erased or compacted records have become.
    pub span: u64,
    /// When the server took it.
    pub received_ms: Millis,
    /// See `format.rs`.
    pub payload: &'a [u8],
    /// First sequence of its segment, which names the file.
    pub segment: u64,
    /// Where in that file it begins.
    pub offset: u64,
}

impl EntryRef<'_> {
    /// Appends the record as it was read.
    pub(crate) fn encode_again(&self, out: &mut Vec<u8>) {
        let Self { version, kind, partition, sequence, received_ms, payload, span, .. } = *self;
        if span > 1 {
            return format::encode_gap(out, sequence + 1 - span, span, received_ms);
        }
        format::encode_version(out, version, kind, partition, sequence, received_ms, payload);
    }
}

/// A segment that is open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub header: SegmentHeader,
    file: File,
    /// Where the next record begins.
    pub at: u64,
    /// How far may be read.
    pub len: u64,
    /// What has been read and not been used: `buffer[start..]` begins at `at`.
    buffer: Vec<u8>,
    start: usize,
    /// The record before `at`, in the buffer, and how many it stands for.
    record: RecordHeader,
    span: u64,
}

/// Why a segment could not be opened.
pub(super) enum Opened {
    /// It could.
    Open(Box<Segment>),
    /// It has no whole header yet, and so many bytes.
    Torn(u64),
}

/// File of the segment that begins with a sequence.
#[must_use]
pub fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.seg"))
}

impl Segment {
    /// Opens a segment and reads its header. `newest` says that none follows: then a header that is not whole is no damage.
    pub(super) fn open(path: PathBuf, newest: bool) -> Result<Opened> {
        let mut file = File::open(&path).map_err(Error::io(&path))?;
        let len = file.metadata().map_err(Error::io(&path))?.len();
        if len < SEGMENT_HEADER as u64 {
            if newest {
                return Ok(Opened::Torn(len));
            }
            return Err(corrupt(&path, "header", 0, format!("expected {SEGMENT_HEADER} bytes, found {len}")));
        }
        let mut bytes = [0; SEGMENT_HEADER];
        file.read_exact(&mut bytes).map_err(Error::io(&path))?;
        // The file had its length before a power loss, but not yet its bytes, and nothing was ever behind them.
        if bytes == [0; SEGMENT_HEADER] && len == SEGMENT_HEADER as u64 && newest {
            return Ok(Opened::Torn(len));
        }
        let header = SegmentHeader::decode(&bytes).map_err(|error| match error {
            HeaderError::Corrupt(detail) => corrupt(&path, "header", 0, detail),
            HeaderError::Newer(found) => Error::Newer { path: path.clone(), found, known: SEGMENT_VERSION },
        })?;
        let at = SEGMENT_HEADER as u64;
        let (buffer, record) = (Vec::new(), RecordHeader::decode(&[0; RECORD_HEADER]));
        Ok(Opened::Open(Box::new(Self { path, header, file, at, len, buffer, start: 0, record, span: 1 })))
    }

    /// Takes what was written since for readable, up to `most`.
    pub(super) fn grow(&mut self, most: u64) -> Result<()> {
        let len = self.file.metadata().map_err(Error::io(&self.path))?.len();
        self.len = len.min(most).max(self.at);
        Ok(())
    }

    /// Takes nothing behind `at` for readable, and forgets what was read of it.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.len = self.at;
        self.buffer.clear();
        self.start = 0;
        self.file.seek(SeekFrom::Start(self.at)).map(drop).map_err(Error::io(&self.path))
    }

    /// Reads the record at `at`, which follows the one with the sequence `last`, and moves on; its last sequence. The inner error says why
    /// there is none.
    pub(super) fn advance(&mut self, last: u64) -> Result<std::result::Result<u64, String>> {
        let left = self.len - self.at;
        if left < RECORD_HEADER as u64 {
            return Ok(Err(format!("expected a record of at least {RECORD_HEADER} bytes, found {left}")));
        }
        self.fill(RECORD_HEADER)?;
        let mut bytes = [0; RECORD_HEADER];
        bytes.copy_from_slice(&self.buffer[self.start..self.start + RECORD_HEADER]);
        let header = RecordHeader::decode(&bytes);
        let size = RECORD_HEADER + header.len;
        if header.len > MOST_PAYLOAD || size as u64 > left {
            return Ok(Err(format!("expected a payload within the file, found one of {} bytes", header.len)));
        }
        self.fill(size)?;
        let summed = &self.buffer[self.start + 12..self.start + size];
        if xxh3_64(summed) != header.sum {
            return Ok(Err(format!("its sum {:016x} does not fit its bytes", header.sum)));
        }
        if header.version > NEWEST_VERSION {
            let (found, known) = (u32::from(header.version), u32::from(NEWEST_VERSION));
            return Err(Error::Newer { path: self.path.clone(), found, known });
        }
        if header.sequence != last + 1 {
            let detail = format!("expected record {}, found record {}", last + 1, header.sequence);
            return Err(corrupt(&self.path, "record", self.at, detail));
        }
        let payload = &self.buffer[self.start + RECORD_HEADER..self.start + size];
        let span = format::span(header.version, header.kind, payload);
        self.span = span.map_err(|detail| corrupt(&self.path, "record", self.at, detail))?;
        let Some(end) = last.checked_add(self.span) else {
            return Err(corrupt(&self.path, "record", self.at, "its gap has no end".to_owned()));
        };
        self.at += size as u64;
        self.start += size;
        self.record = header;
        Ok(Ok(end))
    }

    /// The record that [`Segment::advance`] has just read.
    pub(super) fn entry(&self) -> EntryRef<'_> {
        let RecordHeader { version, kind, partition, sequence, received_ms, len, .. } = self.record;
        let payload = &self.buffer[self.start - len..self.start];
        let (segment, offset, span) = (self.header.first, self.at - (RECORD_HEADER + len) as u64, self.span);
        let entry =
            EntryRef { version, kind, partition, sequence, span, received_ms, payload, segment, offset };
        if kind != format::GAP {
            return entry;
        }
        // To readers it is as if there were one of the records that say nothing, and the others were passed over.
        EntryRef { kind: format::VOID, sequence: sequence + span - 1, payload: &[], ..entry }
    }

    /// Whether the bad record at `at` lies behind all that was synced. Then everything behind it does too.
    pub(super) fn never_synced(&self, folder: &Path) -> bool {
        let SegmentHeader { producer, first, .. } = self.header;
        Mark::read(folder).is_some_and(|m| (m.producer, m.first) == (producer, first) && m.len <= self.at)
    }

    /// Whether a whole record lies anywhere behind the bad one at `at`; then that one is not a torn tail.
    pub(super) fn whole_record_follows(&mut self, last: u64) -> Result<bool> {
        let mut rest = vec![0; (self.len - self.at) as usize];
        self.file.seek(SeekFrom::Start(self.at)).map_err(Error::io(&self.path))?;
        self.file.read_exact(&mut rest).map_err(Error::io(&self.path))?;
        self.buffer.clear();
        self.start = 0;
        self.file.seek(SeekFrom::Start(self.at)).map_err(Error::io(&self.path))?;
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

    /// Makes sure that so many bytes from `at` on are in the buffer. They must lie before `len`.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let have = self.buffer.len() - self.start;
        if have >= wanted {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let whole = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        self.buffer.resize(wanted.max(BLOCK).min(whole), 0);
        self.file.read_exact(&mut self.buffer[have..]).map_err(Error::io(&self.path))
    }
}

/// The record that begins at an offset of a sealed segment, as [`EntryRef::offset`] said of it. `buffer` holds its bytes.
///
/// # Errors
/// [`Error::Corrupt`] where no whole record begins there, [`Error::Io`].
pub(crate) fn entry_at<'a>(
    (file, path): (&File, &Path),
    segment: u64,
    offset: u64,
    buffer: &'a mut Vec<u8>,
) -> Result<EntryRef<'a>> {
    let mut head = [0; RECORD_HEADER];
    file.read_exact_at(&mut head, offset).map_err(Error::io(path))?;
    let header = RecordHeader::decode(&head);
    buffer.resize(header.len.min(MOST_PAYLOAD), 0);
    file.read_exact_at(buffer, offset + RECORD_HEADER as u64).map_err(Error::io(path))?;
    if !header.fits(&head, buffer) {
        return Err(corrupt(path, "record", offset, "its sum does not fit its bytes".to_owned()));
    }
    let RecordHeader { version, kind, partition, sequence, received_ms, .. } = header;
    Ok(EntryRef {
        version,
        kind,
        partition,
        sequence,
        span: 1,
        received_ms,
        payload: buffer,
        segment,
        offset,
    })
}

/// What a segment that does not fit the log's own is told.
pub(super) fn corrupt(path: &Path, section: &str, offset: u64, detail: String) -> Error {
    Error::Corrupt { path: path.to_owned(), section: section.to_owned(), offset, detail }
}
