//! Files of events that another program writes, line by line, followed as a log agent does: through rotation by renaming and by
//! copying and truncating, and through a restart. Gives whole lines and remembers how far they were taken; who sends them is not
//! its business. A line may be given twice, when the program ends between its taking and the remembering: the log knows it again.

mod checkpoint;
mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

use checkpoint::Checkpoint;
use file::{Found, Tracked};

pub use file::Place;

/// Longest line that is followed; a longer one is left out, and said.
pub const MOST_LINE: usize = 8 << 20;
/// Times in a row that nothing is found in a file which was rotated away, before it is let go.
const PATIENCE: u32 = 4;

/// Some whole lines of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The lines, each with its end but for the last of a file that nobody writes any more.
    pub text: Vec<u8>,
    /// Which file, by the name under which it was found.
    pub path: PathBuf,
    /// Number of the first line in it, from 1.
    pub first_line: u64,
    /// What to remember once they were taken.
    place: Place,
    lines: u64,
    slot: u64,
}

/// Files that are followed.
#[derive(Debug)]
pub struct Follower {
    patterns: Vec<String>,
    checkpoint: Checkpoint,
    files: BTreeMap<u64, Tracked>,
    next_slot: u64,
    turn: u64,
    warnings: Vec<String>,
}

impl Follower {
    /// Follows the files that patterns name (`*`, `?`, `[…]`, `**`), from where a checkpoint says, else from their beginning. The checkpoint
    /// is locked while this lives.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a pattern or a checkpoint that can't be read, [`Error::Locked`] where another follower has it, [`Error::Io`].
    pub fn open(patterns: &[String], checkpoint: &Path) -> Result<Self> {
        for pattern in patterns {
            glob::Pattern::new(pattern).map_err(|e| {
                Error::invalid(pattern.clone(), format!("expected a pattern such as logs/*.ndjson: {e}"))
            })?;
        }
        let (checkpoint, places) = Checkpoint::open(checkpoint)?;
        let mut follower = Self {
            patterns: patterns.to_vec(),
            checkpoint,
            files: BTreeMap::new(),
            next_slot: 0,
            turn: 0,
            warnings: Vec::new(),
        };
        for (path, place) in places {
            match Tracked::again(&path, place) {
                Ok(file) => follower.add(file),
                Err(detail) => follower.warnings.push(detail),
            }
        }
        Ok(follower)
    }

    /// Some lines that were not taken yet, of at most so many bytes, but for one line that has more; `None` where there is nothing new.
    /// What was given and not [`Follower::done`] is given again.
    ///
    /// # Errors
    /// [`Error::Io`] where the checkpoint can't be written. A file that can't be read is a warning.
    pub fn next(&mut self, most: usize) -> Result<Option<Piece>> {
        self.look()?;
        let slots: Vec<u64> = self.files.keys().copied().collect();
        // Each in its turn, so that a large file does not hold up the others.
        let start = slots.iter().position(|slot| *slot > self.turn).unwrap_or(0);
        for slot in slots[start..].iter().chain(&slots[..start]) {
            let Some(file) = self.files.get_mut(slot) else { continue };
            let read = file.lines(most, &mut self.warnings);
            match read {
                Ok(Some(lines)) => {
                    self.turn = *slot;
                    return Ok(Some(Piece {
                        path: file.path().to_owned(),
                        first_line: file.line() + 1,
                        text: lines.text,
                        lines: lines.count,
                        place: lines.place,
                        slot: *slot,
                    }));
                }
                Ok(None) => {}
                Err(error) => self.warnings.push(format!("{}: {error}", file.path().display())),
            }
        }
        Ok(None)
    }

    /// Remembers that a piece was taken.
    ///
    /// # Errors
    /// [`Error::Io`] where the checkpoint can't be written; the piece may be given again after a restart.
    pub fn done(&mut self, piece: Piece) -> Result<()> {
        if let Some(file) = self.files.get_mut(&piece.slot) {
            file.advance(piece.place, piece.lines);
        }
        self.remember()
    }

    /// What went wrong since the last time, a sentence each.
    pub fn warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn add(&mut self, file: Tracked) {
        self.files.insert(self.next_slot, file);
        self.next_slot += 1;
    }

    fn remember(&mut self) -> Result<()> {
        let places: Vec<(PathBuf, Place)> =
            self.files.values().map(|file| (file.path().to_owned(), file.place())).collect();
        self.checkpoint.write(&places)
    }

    /// Finds new files, sees which were rotated, and lets go of those that ended.
    fn look(&mut self) -> Result<()> {
        let mut ended = Vec::new();
        let mut fresh = Vec::new();
        for (slot, file) in &mut self.files {
            match file.look() {
                Found::Here => {}
                Found::Rotated(idle) if idle < PATIENCE || !file.is_read() => {}
                Found::Rotated(_) => ended.push(*slot),
                // What was in it before is followed in its copy, where there is one.
                Found::Truncated => match file.copy() {
                    Some(copy) => fresh.push(copy),
                    None if file.was_read() => {}
                    None => self.warnings.push(format!(
                        "{}: was truncated, and no copy of it was found beside it; lines may be lost",
                        file.path().display()
                    )),
                },
            }
        }
        for slot in &ended {
            self.files.remove(slot);
        }
        let changed = !ended.is_empty() || !fresh.is_empty();
        for copy in fresh {
            if !self.files.values().any(|file| file.is(copy.identity())) {
                self.add(copy);
            }
        }
        let known = self.files.len();
        self.find();
        if changed || self.files.len() > known { self.remember() } else { Ok(()) }
    }

    /// Adds files that match and are not followed yet.
    fn find(&mut self) {
        for pattern in self.patterns.clone() {
            let Ok(paths) = glob::glob(&pattern) else { continue };
            for path in paths.filter_map(std::result::Result::ok) {
                let identity = match file::identity(&path) {
                    Ok(Some(identity)) => identity,
                    Ok(None) => continue,
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => {
                        self.warnings.push(format!("{}: {error}", path.display()));
                        continue;
                    }
                };
                if let Some(file) = self.files.values_mut().find(|file| file.is(identity)) {
                    // Renamed to where it is still looked for.
                    file.rename(&path);
                    continue;
                }
                match Tracked::new(&path) {
                    Ok(file) => self.begin(file),
                    Err(error) => self.warnings.push(format!("{}: {error}", path.display())),
                }
            }
        }
    }

    /// Begins to follow a file: from its beginning, or, where it is a copy of one that is followed, from where that one is.
    fn begin(&mut self, mut file: Tracked) {
        if file.is_read() {
            return;
        }
        let original = self.files.values().find(|known| file.is_like(known));
        if let Some(original) = original {
            // A copy that is still being made is looked at again.
            if !file.resume_at(&original.place()) {
                return;
            }
        }
        self.add(file);
    }
}
