//! `SYNCED`: how far the newest segment is known to be on the disk. It tells a group that a power loss tore in the middle, which
//! nobody was told of, from damage to what was acknowledged. Without it nothing is lost: the log then refuses more than it must.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::{Error, Result};

/// Name of the file, in the folder of a stream.
const FILE: &str = "SYNCED";
/// Producer, first sequence of the segment, length, sum: eight bytes each. One sector, so it is never torn itself.
const BYTES: usize = 32;

/// What the mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Identity of the log.
    pub producer: u64,
    /// First sequence of the segment it is about.
    pub first: u64,
    /// Bytes of that segment that were synced, at least.
    pub len: u64,
}

impl Mark {
    /// The mark of a folder; `None` where there is none that can be trusted.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        let mut bytes = [0; BYTES];
        File::open(path(folder)).ok()?.read_exact(&mut bytes).ok()?;
        let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let sound = number(24) == xxh3_64(&bytes[..24]);
        sound.then(|| Self { producer: number(0), first: number(8), len: number(16) })
    }

    fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for (at, number) in [(0, self.producer), (8, self.first), (16, self.len)] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let sum = xxh3_64(&bytes[..24]);
        bytes[24..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// Keeps the mark of a folder while its log is written.
#[derive(Debug)]
pub struct Marker {
    file: File,
    path: PathBuf,
}

impl Marker {
    /// Opens the mark of a folder and puts a first one on the disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(folder: &Path, mark: &Mark) -> Result<Self> {
        let path = path(folder);
        let options = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let mut marker = Self { file: options.map_err(Error::io(&path))?, path };
        marker.write(mark).and_then(|()| marker.file.sync_all()).map_err(Error::io(&marker.path))?;
        Ok(marker)
    }

    /// Moves the mark. Not synced: a mark that is behind says less, and nothing wrong.
    pub fn set(&mut self, mark: &Mark) {
        if let Err(error) = self.write(mark) {
            tracing::warn!(path = %self.path.display(), %error, "the mark of what is synced could not be moved");
        }
    }

    fn write(&mut self, mark: &Mark) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&mark.encode())
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
