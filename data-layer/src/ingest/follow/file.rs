//! One file that is followed: which it is, whatever it is called, and how far it was read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::MOST_LINE;

/// Bytes at the beginning of a file by which it is known again.
const HEAD: u64 = 4096;

/// A file as the system numbers it.
pub(super) type Identity = (u64, u64);

/// How far a file was taken, and how it is known again: by the system's number, and by its beginning, because numbers are given
/// again and contents are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    device: u64,
    inode: u64,
    /// Bytes that were taken.
    offset: u64,
    /// Lines that were taken.
    line: u64,
    /// XXH3-64 of the first `head_bytes` bytes.
    head: u64,
    head_bytes: u64,
}

/// What became of a file since the last look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Here,
    /// Its name is another file's, or nobody's; so many looks found nothing new in it.
    Rotated(u32),
    /// It is shorter than what was taken of it, or begins differently.
    Truncated,
}

/// Lines that were read and not taken yet.
#[derive(Debug)]
pub(super) struct Lines {
    pub text: Vec<u8>,
    pub count: u64,
    pub place: Place,
}

/// A file that is followed. It stays open, so that it can be read to its end after it was renamed or removed.
#[derive(Debug)]
pub(super) struct Tracked {
    path: PathBuf,
    file: File,
    place: Place,
    /// What was taken of it before it was truncated.
    before: Option<Place>,
    /// Looks since it was rotated that found nothing new.
    idle: u32,
    length: u64,
}

/// The number of a file; `None` for what is no file.
pub(super) fn identity(path: &Path) -> io::Result<Option<Identity>> {
    let about = std::fs::metadata(path)?;
    Ok(about.is_file().then(|| number(&about)))
}

fn number(about: &Metadata) -> Identity {
    (about.dev(), about.ino())
}

/// XXH3-64 of the first so many bytes; `None` where there are fewer.
fn head_of(file: &File, bytes: u64) -> io::Result<Option<u64>> {
    let mut head = vec![0; bytes.min(HEAD) as usize];
    match file.read_exact_at(&mut head, 0) {
        Ok(()) => Ok(Some(xxh3_64(&head))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

impl Tracked {
    /// A file from its beginning.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        let (device, inode) = number(&about);
        let place = Place { device, inode, offset: 0, line: 0, head: xxh3_64(&[]), head_bytes: 0 };
        Ok(Self { path: path.to_owned(), file, place, before: None, idle: 0, length: about.len() })
    }

    /// A file that was followed before, wherever it is now: under its name, or under another one beside it.
    ///
    /// # Errors
    /// A sentence where it is nowhere.
    pub(super) fn again(path: &Path, place: Place) -> Result<Self, String> {
        let at = |path: &Path| Self::new(path).ok().map(|file| Self { place, path: path.to_owned(), ..file });
        let same = |file: &Tracked| {
            file.number().is_ok_and(|found| found == (place.device, place.inode)) && file.begins_alike()
        };
        if let Some(file) = at(path).filter(&same) {
            return Ok(file);
        }
        if let Some(mut file) = beside(path).filter_map(|path| at(&path)).find(&same) {
            path.clone_into(&mut file.path);
            return Ok(file);
        }
        // Truncated while nobody looked: the same file with another beginning. Its copy is looked for by the first look.
        if let Some(file) =
            at(path).filter(|file| file.number().is_ok_and(|n| n == (place.device, place.inode)))
        {
            return Ok(file);
        }
        if let Some(mut copy) = find_copy(path, &place) {
            path.clone_into(&mut copy.path);
            return Ok(copy);
        }
        Err(format!(
            "{}: the file that was followed to byte {} is gone, and nothing beside it begins like it; lines may be lost",
            path.display(),
            place.offset
        ))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Lines that were taken.
    pub(super) fn line(&self) -> u64 {
        self.place.line
    }

    pub(super) fn is(&self, identity: Identity) -> bool {
        (self.place.device, self.place.inode) == identity
    }

    pub(super) fn identity(&self) -> Identity {
        (self.place.device, self.place.inode)
    }

    /// Notes that it has another name.
    pub(super) fn rename(&mut self, path: &Path) {
        if self.path != path {
            path.clone_into(&mut self.path);
        }
    }

    /// Whether it begins as another does, as far as either is known.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let bytes = self.length.min(other.place.head_bytes);
        bytes > 0
            && matches!((head_of(&self.file, bytes), head_of(&other.file, bytes)), (Ok(Some(a)), Ok(Some(b))) if a == b)
    }

    /// Goes on where its original was taken to; `false` where it is not that long.
    pub(super) fn resume_at(&mut self, original: &Place) -> bool {
        let long = self.length >= original.offset;
        if long {
            self.place = Place { device: self.place.device, inode: self.place.inode, ..*original };
        }
        long
    }

    /// Whether all of it was taken.
    pub(super) fn is_read(&self) -> bool {
        self.place.offset >= self.length
    }

    /// Whether all of it was taken before it was truncated, as far as was seen.
    pub(super) fn was_read(&self) -> bool {
        self.before.is_none_or(|before| before.offset >= self.length)
    }

    pub(super) fn advance(&mut self, place: Place, lines: u64) {
        self.place = Place { line: self.place.line + lines, ..place };
        self.idle = 0;
    }

    /// Sees what became of it.
    pub(super) fn look(&mut self) -> Found {
        let Ok(about) = self.file.metadata() else { return Found::Here };
        if about.len() < self.place.offset || !self.begins_alike() {
            let seen = self.length;
            self.before = Some(self.place);
            self.place = Place { offset: 0, line: 0, head: xxh3_64(&[]), head_bytes: 0, ..self.place };
            self.length = seen;
            return Found::Truncated;
        }
        if about.len() != self.length {
            (self.length, self.idle) = (about.len(), 0);
        }
        if identity(&self.path).is_ok_and(|named| named == Some(number(&about))) {
            self.idle = 0;
            return Found::Here;
        }
        self.idle += 1;
        Found::Rotated(self.idle)
    }

    /// What was in it before it was truncated, where it was copied to a file beside it.
    pub(super) fn copy(&self) -> Option<Self> {
        let before = self.before.filter(|before| before.head_bytes > 0)?;
        let copy = find_copy(&self.path, &before)?;
        (copy.length > before.offset).then(|| Self { path: self.path.clone(), ..copy })
    }

    /// Whole lines from where it was taken to; the rest, too, of a file that was rotated away some looks ago.
    pub(super) fn lines(&mut self, most: usize, warnings: &mut Vec<String>) -> io::Result<Option<Lines>> {
        let mut size = most.min(MOST_LINE);
        loop {
            let mut text = vec![0; size];
            let read = read_at_most(&self.file, &mut text, self.place.offset)?;
            text.truncate(read);
            if text.is_empty() {
                return Ok(None);
            }
            let ended = read < size;
            match text.iter().rposition(|byte| *byte == b'\n') {
                Some(last) => text.truncate(last + 1),
                None if ended && self.idle >= super::PATIENCE => {}
                None if ended => return Ok(None),
                None if size < MOST_LINE => {
                    size = MOST_LINE;
                    continue;
                }
                None => {
                    self.skip(warnings)?;
                    continue;
                }
            }
            let count = text.iter().filter(|byte| **byte == b'\n').count() as u64;
            let place = self.place_after(text.len() as u64)?;
            return Ok(Some(Lines { text, count, place }));
        }
    }

    /// Leaves out a line that is longer than any that is followed. Where it does not end yet, what there is of it.
    fn skip(&mut self, warnings: &mut Vec<String>) -> io::Result<()> {
        let (mut piece, mut offset) = (vec![0; 1 << 20], self.place.offset);
        let end = loop {
            let read = read_at_most(&self.file, &mut piece, offset)?;
            match piece[..read].iter().position(|byte| *byte == b'\n') {
                Some(at) => break offset + at as u64 + 1,
                None if read < piece.len() => break offset + read as u64,
                None => offset += read as u64,
            }
        };
        warnings.push(format!(
            "{}:{}: expected a line of at most {MOST_LINE} bytes, found {}; it is left out",
            self.path.display(),
            self.place.line + 1,
            end - self.place.offset
        ));
        self.place = Place { line: self.place.line + 1, ..self.place_after(end - self.place.offset)? };
        Ok(())
    }

    fn place_after(&self, bytes: u64) -> io::Result<Place> {
        let offset = self.place.offset + bytes;
        let mut place = Place { offset, ..self.place };
        if place.head_bytes < HEAD {
            place.head_bytes = offset.min(HEAD);
            place.head = head_of(&self.file, place.head_bytes)?.unwrap_or(place.head);
        }
        Ok(place)
    }

    fn number(&self) -> io::Result<Identity> {
        self.file.metadata().map(|about| number(&about))
    }

    fn begins_alike(&self) -> bool {
        head_of(&self.file, self.place.head_bytes).is_ok_and(|head| head == Some(self.place.head))
    }
}

/// Files in the same folder.
fn beside(path: &Path) -> impl Iterator<Item = PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path())
}

/// A file beside another that begins as that one did, and is at least as long as what was taken of it.
fn find_copy(path: &Path, before: &Place) -> Option<Tracked> {
    if before.head_bytes == 0 {
        return None;
    }
    beside(path)
        .filter_map(|path| Tracked::new(&path).ok())
        .filter(|file| !file.is((before.device, before.inode)) && file.length >= before.offset)
        .find_map(|mut file| (file.resume_at(before) && file.begins_alike()).then_some(file))
}

/// Fills a room as far as the file goes.
fn read_at_most(file: &File, room: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < room.len() {
        match file.read_at(&mut room[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
