//! Groups rows by key in bounded memory: what does not fit is sorted and written as a run, and the runs are merged (external
//! merge sort; Knuth, The Art of Computer Programming 3, 5.4). Not for anything that must outlive the process: its files have no names.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::{Error, Result};

/// One row: an item under a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    /// Number of the item.
    pub item: u32,
    /// Its rank; 0 where there are none.
    pub rank: i64,
    /// Number of the row or line.
    pub number: u64,
    /// Its score; NaN where there is none.
    score: f64,
}

/// Bytes of an entry in a run.
const ENTRY: usize = 28;
/// Most bytes of a key in a run.
const MAX_KEY: usize = 256;
/// Bytes that are written at once.
const WRITE: usize = 256 << 10;
/// Bytes that are read at once from a run, least and most.
const READ: (usize, usize) = (4 << 10, 64 << 10);
/// What an entry costs in memory, sorting included, about; and a key beyond its text.
const COSTS: (usize, usize) = (48, 96);

impl Entry {
    /// An entry; a score is finite.
    pub fn new(item: u32, score: Option<f64>, rank: i64, number: u64) -> Self {
        Self { item, rank, number, score: score.unwrap_or(f64::NAN) }
    }

    /// The score, where there is one.
    pub fn score(&self) -> Option<f64> {
        (!self.score.is_nan()).then_some(self.score)
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        out.write_all(&self.item.to_le_bytes())?;
        out.write_all(&self.rank.to_le_bytes())?;
        out.write_all(&self.number.to_le_bytes())?;
        out.write_all(&self.score.to_le_bytes())
    }

    fn read(from: &mut impl Read) -> std::io::Result<Self> {
        let mut bytes = [0u8; ENTRY];
        from.read_exact(&mut bytes)?;
        let eight = |at: usize| {
            let mut part = [0u8; 8];
            part.copy_from_slice(&bytes[at..at + 8]);
            part
        };
        Ok(Self {
            item: u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            rank: i64::from_le_bytes(eight(4)),
            number: u64::from_le_bytes(eight(12)),
            score: f64::from_le_bytes(eight(20)),
        })
    }
}

/// Takes rows in any order and gives them back by key.
#[derive(Debug)]
pub(super) struct Sorter {
    scratch: PathBuf,
    memory: usize,
    held: usize,
    keys: FxHashMap<Box<str>, u32>,
    /// Entries with the number of their key.
    entries: Vec<(u32, Entry)>,
    /// All runs, one after the other.
    file: Option<File>,
    /// Where each run is.
    runs: Vec<Range<u64>>,
}

/// Takes a key and all its entries, in no order.
pub(super) type EachKey<'a> = dyn FnMut(&str, &mut [Entry]) -> Result<()> + 'a;

impl Sorter {
    /// Holds about `memory` bytes of rows; the rest goes to unnamed files in `scratch`.
    pub fn new(scratch: &Path, memory: usize) -> Self {
        Self {
            scratch: scratch.to_owned(),
            memory,
            held: 0,
            keys: FxHashMap::default(),
            entries: Vec::new(),
            file: None,
            runs: Vec::new(),
        }
    }

    /// Takes a row.
    pub fn push(&mut self, key: &str, entry: Entry) -> Result<()> {
        let number = match self.keys.get(key) {
            Some(number) => *number,
            None => {
                let number = self.keys.len() as u32;
                self.keys.insert(key.into(), number);
                self.held += key.len() + COSTS.1;
                number
            }
        };
        self.entries.push((number, entry));
        self.held += COSTS.0;
        if self.held > self.memory || self.keys.len() == u32::MAX as usize {
            self.spill()?;
        }
        Ok(())
    }

    /// The texts of the keys in order, and the entries sorted alike.
    fn sorted(&mut self) -> (Vec<Box<str>>, Vec<(u32, Entry)>) {
        let keys = std::mem::take(&mut self.keys);
        let mut entries = std::mem::take(&mut self.entries);
        let mut texts: Vec<(Box<str>, u32)> = keys.into_iter().collect();
        texts.sort_unstable();
        let mut places = vec![0u32; texts.len()];
        for ((_, old), new) in texts.iter().zip(0u32..) {
            places[*old as usize] = new;
        }
        entries.iter_mut().for_each(|(key, _)| *key = places[*key as usize]);
        entries.sort_unstable_by_key(|(key, entry)| (*key, entry.number));
        self.held = 0;
        (texts.into_iter().map(|(text, _)| text).collect(), entries)
    }

    fn spill(&mut self) -> Result<()> {
        let (keys, entries) = self.sorted();
        let start = self.runs.last().map_or(0, |run| run.end);
        let written = (|| {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile_in(&self.scratch)?),
            };
            let mut out = BufWriter::with_capacity(WRITE, file);
            for group in entries.chunk_by(|a, b| a.0 == b.0) {
                let key = group.first().and_then(|(key, _)| keys.get(*key as usize)).map_or("", |key| key);
                out.write_all(&(key.len() as u16).to_le_bytes())?;
                out.write_all(key.as_bytes())?;
                out.write_all(&(group.len() as u32).to_le_bytes())?;
                group.iter().try_for_each(|(_, entry)| entry.write(&mut out))?;
            }
            out.flush()?;
            out.get_mut().stream_position()
        })();
        let end = written.map_err(|error| said(&self.scratch, error))?;
        self.runs.push(start..end);
        Ok(())
    }

    /// Gives all rows, key by key, each key once.
    pub fn finish(mut self, each: &mut EachKey<'_>) -> Result<()> {
        let mut group: Vec<Entry> = Vec::new();
        if self.runs.is_empty() {
            let (keys, entries) = self.sorted();
            for rows in entries.chunk_by(|a, b| a.0 == b.0) {
                group.clear();
                group.extend(rows.iter().map(|(_, entry)| *entry));
                let key = rows.first().and_then(|(key, _)| keys.get(*key as usize)).map_or("", |key| key);
                each(key, &mut group)?;
            }
            return Ok(());
        }
        self.spill()?;
        let Some(file) = self.file else { return Ok(()) };
        let io = |error| said(&self.scratch, error);
        let room = (self.memory / self.runs.len()).clamp(READ.0, READ.1);
        let mut runs: Vec<Run<'_>> =
            self.runs.into_iter().map(|range| Run::new(&file, range, room)).collect();
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.key().map_err(io)?.map(|key| Reverse((key, number))));
        }
        while let Some(Reverse((key, number))) = heads.pop() {
            group.clear();
            let mut next = Some(number);
            while let Some(number) = next.take() {
                // A head names one of the runs.
                let Some(run) = runs.get_mut(number) else { break };
                run.entries(&mut group).map_err(io)?;
                heads.extend(run.key().map_err(io)?.map(|key| Reverse((key, number))));
                if heads.peek().is_some_and(|Reverse((other, _))| *other == key) {
                    next = heads.pop().map(|Reverse((_, number))| number);
                }
            }
            each(&key, &mut group)?;
        }
        Ok(())
    }
}

/// What the system said of scratch space.
fn said(folder: &Path, error: std::io::Error) -> Error {
    Error::io(folder.join("(scratch space of a build)"))(error)
}

/// A sorted run, read again.
struct Run<'f> {
    from: BufReader<Piece<'f>>,
}

/// A piece of a file, whoever else reads in it.
struct Piece<'f> {
    file: &'f File,
    range: Range<u64>,
}

impl Read for Piece<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min((self.range.end - self.range.start) as usize);
        self.file.seek(SeekFrom::Start(self.range.start))?;
        let read = self.file.read(&mut out[..most])?;
        self.range.start += read as u64;
        Ok(read)
    }
}

impl<'f> Run<'f> {
    fn new(file: &'f File, range: Range<u64>, room: usize) -> Self {
        Self { from: BufReader::with_capacity(room, Piece { file, range }) }
    }

    /// The next key; `None` at the end.
    fn key(&mut self) -> std::io::Result<Option<Box<str>>> {
        let mut length = [0u8; 2];
        match self.from.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut bytes = [0u8; MAX_KEY];
        let length = usize::from(u16::from_le_bytes(length)).min(MAX_KEY);
        self.from.read_exact(&mut bytes[..length])?;
        let text = std::str::from_utf8(&bytes[..length])
            .map_err(|e| std::io::Error::new(ErrorKind::InvalidData, e))?;
        Ok(Some(text.into()))
    }

    /// The entries of the key that was read.
    fn entries(&mut self, out: &mut Vec<Entry>) -> std::io::Result<()> {
        let mut count = [0u8; 4];
        self.from.read_exact(&mut count)?;
        (0..u32::from_le_bytes(count)).try_for_each(|_| {
            out.push(Entry::read(&mut self.from)?);
            Ok(())
        })
    }
}
