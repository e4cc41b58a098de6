//! Static data in: build a generation, check it, make it the current one, go back. Not for reading tables in a request (that is
//! `access/`).
//!
//! **Invariant:** a reader sees a whole generation or none. Every file is written under another name, synced, renamed, and the
//! folder synced; the pointer `CURRENT` moves last, in the same way.

mod folder;
pub mod input;
mod pointer;
#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

pub use folder::{Folder, Gate, Generation, Stat};
pub use pointer::{Lock, Pointer};

/// Writes a file so that it is there whole or not at all: a temporary name beside it, fsync, rename, fsync of the folder.
///
/// # Errors
/// What the system or `fill` said; the temporary file is then removed.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = temporary(&folder.join(&*name));
    let written = (|| {
        let mut file = BufWriter::new(File::create(&temporary)?);
        fill(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()
    })();
    let renamed = written.map_err(Error::io(path)).and_then(|()| rename(&temporary, path));
    if renamed.is_err() {
        // Nothing more can be done about a temporary file that can't be removed; it is never read.
        let _ = std::fs::remove_file(&temporary);
    }
    renamed
}

/// A name beside a file that nothing else uses and nothing reads: two processes that share a folder from two containers may have
/// the same number.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let drawn = RandomState::new().hash_one(std::process::id());
    path.with_file_name(format!(".{name}.{drawn:016x}.tmp"))
}

/// Renames within a folder, durably.
///
/// # Errors
/// What the system said.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(Error::io(to))?;
    sync_folder(to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io(folder))
}
