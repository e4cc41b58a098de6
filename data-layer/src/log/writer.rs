//! Appends records to the newest segment of a folder: buffered, then written and synced a group at a time. After a failure it cuts
//! off what nobody was told of and goes on by itself as soon as the disk lets it. One writer per folder; the lock is `lock.rs`'s.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::entries::{Entries, Tail, segments};
#[cfg(test)]
use super::failing;
use super::format::{SEGMENT_HEADER, SegmentHeader, Stream, encode_record};
use super::growth::Growth;
use super::mark::{Mark, Marker};
use super::segment::path_of;
use crate::types::time::DAY;
use crate::types::{Millis, Partition};
use crate::{Error, Result};

/// A segment this long is sealed, and the next group starts a new one.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Appends to one log folder.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    header: SegmentHeader,
    path: PathBuf,
    file: File,
    marker: Marker,
    growth: Arc<Growth>,
    /// What is written to the segment.
    written: End,
    /// What of that is on the disk.
    synced: End,
    /// Sequence of the last record that is buffered.
    last: u64,
    buffer: Vec<u8>,
    /// Newest day, in UTC, of a record of the segment or the buffer.
    day: Millis,
    /// Whether the buffer begins another day than the segment has.
    turned: bool,
    /// Why the segment may hold other bytes than it should, and behind what.
    broken: Option<(String, End)>,
    segment_bytes: u64,
}

/// Where something ends.
#[derive(Debug, Clone, Copy)]
struct End {
    /// Bytes of the segment.
    len: u64,
    /// Sequence of the last record.
    sequence: u64,
}

impl Writer {
    /// Opens a folder for appending, making it where there is none, and cuts a torn tail off, with a warning. `producer` is
    /// the identity a new log gets; an old one keeps its own.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`] for damage before the tail, [`Error::Newer`].
    pub fn open(folder: &Path, stream: Stream, namespace: &str, producer: u64) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let newest = segments(folder)?.last().map_or(0, |(first, _)| *first);
        let mut entries = Entries::open(folder, stream, newest)?;
        let mut day = Millis::MIN;
        while let Some(entry) = entries.next_ref()? {
            day = day.max(entry.received_ms.div_euclid(DAY));
        }
        let producer = match entries.producer() {
            Some(known) => known,
            // Only the newest segment was made and never got its header: an older one tells.
            None => {
                let mut all = Entries::open(folder, stream, 0)?;
                all.next().transpose()?;
                all.producer().unwrap_or(producer)
            }
        };
        let namespace = xxh3_64(namespace.as_bytes());
        let last = entries.last_sequence();
        let header = SegmentHeader { stream, producer, first: last + 1, namespace };
        let (header, (path, file, len)) = match entries.tail() {
            Some(tail) if tail.good >= SEGMENT_HEADER as u64 => {
                let header = SegmentHeader { first: newest, ..header };
                (header, (tail.path.clone(), cut(tail)?, tail.good))
            }
            other => {
                if let Some(tail) = other {
                    tracing::warn!(path = %tail.path.display(), "removing a segment that has no header yet");
                    std::fs::remove_file(&tail.path).map_err(Error::io(&tail.path))?;
                }
                sync_parents(folder)?;
                (header, create(folder, &header)?)
            }
        };
        let mark = Mark { producer, first: header.first, len };
        let (marker, growth) = (Marker::open(folder, &mark)?, Arc::new(Growth::new(mark)));
        let (folder, buffer) = (folder.to_owned(), Vec::new());
        let written = End { len, sequence: last };
        let (synced, broken, segment_bytes, turned) = (written, None, SEGMENT_BYTES, false);
        Ok(Self {
            folder,
            header,
            path,
            file,
            marker,
            growth,
            written,
            synced,
            last,
            buffer,
            day,
            turned,
            broken,
            segment_bytes,
        })
    }

    /// The same with shorter segments, for tests.
    #[must_use]
    pub fn with_segment_bytes(self, segment_bytes: u64) -> Self {
        Self { segment_bytes, ..self }
    }

    /// Identity of this log.
    #[must_use]
    pub fn producer(&self) -> u64 {
        self.header.producer
    }

    /// What tells followers in this process how far the log is on the disk.
    #[must_use]
    pub fn growth(&self) -> Arc<Growth> {
        Arc::clone(&self.growth)
    }

    /// Sequence with which the newest segment begins; those before it are sealed.
    #[must_use]
    pub fn segment(&self) -> u64 {
        self.header.first
    }

    /// Sequence of the last record, written or buffered; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Sequence of the last record that is on the disk; 0 before the first.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.synced.sequence
    }

    /// Bytes that wait for [`Writer::flush`].
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Buffers a record and gives it its sequence.
    pub fn append(&mut self, kind: u8, partition: Partition, received_ms: Millis, payload: &[u8]) -> u64 {
        self.last += 1;
        let day = received_ms.div_euclid(DAY);
        if day > self.day {
            self.turned |= self.day != Millis::MIN;
            self.day = day;
        }
        encode_record(&mut self.buffer, kind, partition, self.last, received_ms, payload);
        self.last
    }

    /// Forgets what was buffered.
    pub fn discard(&mut self) {
        self.buffer.clear();
        self.last = self.written.sequence;
    }

    /// Writes what is buffered, and starts a new segment first where this one is full. On an error nothing of what was buffered is
    /// in the log, and it may be tried again: what an earlier failure left behind is cut off first.
    ///
    /// # Errors
    /// [`Error::Io`]; a full disk is told by its kind, `StorageFull`.
    pub fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let result = self.mend().and_then(|()| self.rotate()).and_then(|()| {
            self.write().map_err(|error| {
                if let Err(second) = self.cut(self.written) {
                    self.broken = Some((format!("{error}, then {second}"), self.written));
                }
                failed(&self.path, error)
            })
        });
        if let Err(error) = result {
            self.discard();
            return Err(error);
        }
        self.written.len += self.buffer.len() as u64;
        self.written.sequence = self.last;
        self.buffer.clear();
        Ok(())
    }

    /// Waits until everything written is on the disk. After a failure nobody knows what is, so all that was written since the
    /// last success is given up: its sequences are given again.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&mut self) -> Result<()> {
        if self.broken.is_none() && self.synced.len == self.written.len {
            return Ok(());
        }
        self.mend()?;
        self.settle(false).map_err(|error| self.give_up(error))?;
        self.synced = self.written;
        self.mark();
        Ok(())
    }

    /// Writes what is buffered.
    fn write(&mut self) -> std::io::Result<()> {
        #[cfg(test)]
        failing::check_writing(&self.path)?;
        self.file.write_all(&self.buffer)
    }

    /// Cuts off what is behind an end.
    fn cut(&self, end: End) -> std::io::Result<()> {
        #[cfg(test)]
        failing::check_writing(&self.path)?;
        self.file.set_len(end.len)
    }

    /// Waits until what was written is on the disk, with all that is known of the file where it became shorter.
    fn settle(&self, shorter: bool) -> std::io::Result<()> {
        #[cfg(test)]
        failing::check(&self.path)?;
        if shorter { self.file.sync_all() } else { self.file.sync_data() }
    }

    /// Cuts off what a failure left behind the bytes that are good.
    fn mend(&mut self) -> Result<()> {
        let Some((why, good)) = self.broken.take() else { return Ok(()) };
        let End { len, sequence } = good;
        if let Err(error) = self.cut(good) {
            self.broken = Some((why, good));
            return Err(failed(&self.path, error));
        }
        self.settle(true).map_err(|error| self.give_up(error))?;
        tracing::warn!(path = %self.path.display(), why, len, sequence, "the log goes on behind an earlier failure");
        Ok(())
    }

    /// After a sync that failed nobody knows what is on the disk: all since the one before it will be cut off.
    fn give_up(&mut self, error: std::io::Error) -> Error {
        self.broken = Some((error.to_string(), self.synced));
        self.written = self.synced;
        self.discard();
        failed(&self.path, error)
    }

    fn mark(&mut self) {
        let SegmentHeader { producer, first, .. } = self.header;
        let mark = Mark { producer, first, len: self.synced.len };
        self.marker.set(&mark);
        self.growth.set(mark);
    }

    /// Writes and syncs what is buffered and starts a new segment, unless this one has no record yet.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn seal(&mut self) -> Result<()> {
        self.flush()?;
        self.mend()?;
        self.turn(true)
    }

    fn rotate(&mut self) -> Result<()> {
        self.turn(self.written.len >= self.segment_bytes || self.turned)
    }

    fn turn(&mut self, full: bool) -> Result<()> {
        if !full || self.written.len <= SEGMENT_HEADER as u64 {
            return Ok(());
        }
        self.sync()?;
        let header = SegmentHeader { first: self.written.sequence + 1, ..self.header };
        (self.path, self.file, self.written.len) = create(&self.folder, &header)?;
        self.synced = self.written;
        self.header = header;
        self.turned = false;
        self.mark();
        Ok(())
    }
}

/// Says of a full disk what to do about it.
fn failed(path: &Path, error: std::io::Error) -> Error {
    let said = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let text = format!("{error}; free some, or move [log].dir: the log goes on by itself");
            std::io::Error::new(error.kind(), text)
        }
        _ => error,
    };
    Error::io(path)(said)
}

/// Levels that a new log makes at most: the log, the namespace, the stream; their names are on the disk before an event is.
const LEVELS: usize = 3;

/// Syncs the folders that hold the names of a folder that was just made.
fn sync_parents(folder: &Path) -> Result<()> {
    for parent in folder.ancestors().skip(1).take(LEVELS) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        // One that may not be opened was not made here.
        if let Ok(opened) = File::open(parent) {
            opened.sync_all().map_err(Error::io(parent))?;
        }
    }
    Ok(())
}

/// Makes a segment that is on the disk, name and header, before anything is appended to it.
fn create(folder: &Path, header: &SegmentHeader) -> Result<(PathBuf, File, u64)> {
    let path = path_of(folder, header.first);
    let make = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        file.write_all(&header.encode())?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(file)
    };
    match make() {
        Ok(file) => Ok((path, file, SEGMENT_HEADER as u64)),
        Err(error) => {
            // A half-made one would be in the way of the next try.
            if error.kind() != ErrorKind::AlreadyExists {
                let _ = std::fs::remove_file(&path);
            }
            Err(failed(&path, error))
        }
    }
}

/// Opens a segment for appending after its good bytes, and puts those on the disk: a process that was killed may have left
/// records there that it never synced, and whoever sends one of them again is told that it is safe.
fn cut(tail: &Tail) -> Result<File> {
    let path = &tail.path;
    let mut file = OpenOptions::new().read(true).append(true).open(path).map_err(Error::io(path))?;
    if tail.good < tail.synced {
        let (expected, found) = (tail.synced, tail.good);
        tracing::error!(path = %path.display(), expected, found, "the segment has lost bytes that were synced: what was acknowledged is gone");
    }
    if tail.good < tail.len {
        let (offset, bytes) = (tail.good, tail.len - tail.good);
        tracing::warn!(path = %path.display(), offset, bytes, "cutting off a torn tail");
        if tail.holds_records {
            keep(&mut file, tail)?;
        }
        file.set_len(tail.good).map_err(Error::io(path))?;
    }
    file.sync_all().map_err(Error::io(path))?;
    Ok(file)
}

/// Keeps bytes that are cut off although whole records are among them, beside the segment.
fn keep(file: &mut File, tail: &Tail) -> Result<()> {
    let path = tail.path.with_extension(format!("{}.torn", tail.good));
    tracing::warn!(path = %path.display(), "it holds whole records, of a group that was never acknowledged; keeping it");
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(tail.good)).map_err(Error::io(&tail.path))?;
    file.read_to_end(&mut bytes).map_err(Error::io(&tail.path))?;
    std::fs::write(&path, bytes).map_err(Error::io(&path))
}
