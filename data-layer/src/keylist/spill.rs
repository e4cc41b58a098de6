//! Where lists go that do not fit into memory: runs in the order of hashes, in one file that has no name, and the way back, part
//! by part (external merge sort; Knuth, The Art of Computer Programming 3, 5.4). A file without a name is gone when the process is,
//! however it ends.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::pending::{Form, HEAD, Lists, hash, words};
use crate::{Error, Result};

/// Bytes that are written at once.
const WRITE: usize = 1 << 20;
/// Words of a row of a run's table: hash (two words), words of the list.
const ROW: usize = 3;
/// Words that are read at once from a run, least and most.
const READ: (usize, usize) = (4 << 10, 256 << 10);

/// Runs of lists on disk.
#[derive(Debug)]
pub(super) struct Spill {
    folder: PathBuf,
    file: Option<File>,
    runs: Vec<Run>,
    end: u64,
}

/// Where a run's lists start, and its table of hashes, and where it ends.
#[derive(Debug, Clone, Copy)]
struct Run {
    lists: u64,
    hashes: u64,
    end: u64,
}

/// A file without a name.
///
/// # Errors
/// What the system said, of the folder.
pub(super) fn scratch(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder)).map_err(said(folder))
}

/// What the system said of scratch space in this folder.
pub(super) fn said(folder: &Path) -> impl FnOnce(std::io::Error) -> Error {
    Error::io(folder.join("(scratch space of a build)"))
}

impl Spill {
    /// Nothing yet; a file is made in the folder when it is needed.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, file: None, runs: Vec::new(), end: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Writes all lists as a run. They stay in memory until cleared.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&mut self, lists: &mut Lists) -> Result<()> {
        let mut places = lists.take_places();
        places.sort_unstable_by_key(|place| place.hash);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(scratch(&self.folder)?),
        };
        let start = self.end;
        let mut at = start;
        let written = (|| {
            let mut out = BufWriter::with_capacity(WRITE, file);
            for (number, place) in places.iter().enumerate() {
                if let Some(next) = places.get(number + 4) {
                    lists.ask(next);
                }
                let list = words::bytes(lists.words(place));
                out.write_all(list)?;
                at += list.len() as u64;
            }
            for place in &places {
                let row = [place.hash as u32, (place.hash >> 32) as u32, lists.words(place).len() as u32];
                out.write_all(words::bytes(&row))?;
            }
            out.flush()
        })();
        written.map_err(said(&self.folder))?;
        self.end = at + places.len() as u64 * ROW as u64 * 4;
        self.runs.push(Run { lists: start, hashes: at, end: self.end });
        Ok(())
    }

    /// The hash of every list and its words.
    ///
    /// # Errors
    /// What the system said.
    pub fn hashes(&self, each: &mut dyn FnMut(u64, u32)) -> Result<()> {
        let Some(mut file) = self.file.as_ref() else { return Ok(()) };
        let mut buffer = vec![0u32; READ.1 / ROW * ROW];
        for run in &self.runs {
            let mut left = (run.end - run.hashes) as usize / 4;
            file.seek(SeekFrom::Start(run.hashes)).map_err(said(&self.folder))?;
            while left > 0 {
                let most = left.min(buffer.len());
                let rows = &mut buffer[..most];
                file.read_exact(words::bytes_mut(rows)).map_err(said(&self.folder))?;
                left -= rows.len();
                rows.chunks_exact(ROW).for_each(|row| each(hash(row), row[2]));
            }
        }
        Ok(())
    }

    /// The runs from their starts, to be read in about so many bytes of memory.
    pub fn cursors(&self, memory: usize) -> Vec<Cursor> {
        let room = (memory / size_of::<u32>() / self.runs.len().max(1)).clamp(READ.0, READ.1);
        let cursor = |run: &Run| Cursor { at: run.lists, end: run.hashes, room, buffer: Vec::new(), from: 0 };
        self.runs.iter().map(cursor).collect()
    }

    /// Gives the words of the next lists of all runs, run by run, for as long as their hashes are `within`.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(
        &self,
        cursors: &mut [Cursor],
        form: Form,
        within: &dyn Fn(u64) -> bool,
        each: &mut dyn FnMut(&[u32]),
    ) -> Result<()> {
        let Some(file) = self.file.as_ref() else { return Ok(()) };
        for cursor in cursors {
            while let Some(head) = cursor.peek(file, HEAD).map_err(|error| said(&self.folder)(error))? {
                if !within(hash(head)) {
                    break;
                }
                let length = form.length(head);
                if let Some(list) = cursor.peek(file, length).map_err(|error| said(&self.folder)(error))? {
                    each(list);
                }
                cursor.from += length;
            }
        }
        Ok(())
    }
}

/// A place in a run, and what was read from there on.
#[derive(Debug)]
pub(super) struct Cursor {
    at: u64,
    end: u64,
    room: usize,
    buffer: Vec<u32>,
    from: usize,
}

impl Cursor {
    /// Where it is.
    pub fn mark(&self) -> u64 {
        self.at - (self.buffer.len() - self.from) as u64 * 4
    }

    /// Goes back to where it was.
    pub fn go_back(&mut self, mark: u64) {
        self.at = mark;
        self.buffer.clear();
        self.from = 0;
    }

    /// The next words; `None` at the end of the run.
    fn peek(&mut self, mut file: &File, words: usize) -> std::io::Result<Option<&[u32]>> {
        if self.buffer.len() - self.from < words {
            self.buffer.drain(..self.from);
            self.from = 0;
            let filled = self.buffer.len();
            let more = self.room.max(words).saturating_sub(filled);
            let more = more.min(((self.end - self.at) / 4) as usize);
            self.buffer.resize(filled + more, 0);
            file.seek(SeekFrom::Start(self.at))?;
            file.read_exact(words::bytes_mut(&mut self.buffer[filled..]))?;
            self.at += more as u64 * 4;
        }
        Ok(self.buffer.get(self.from..self.from + words))
    }
}
