//! Static data in: build a generation, check it, make it the current one, go back. Not for reading tables in a request (that is
//! `access/`).
//!
//! **Invariant:** a reader sees a whole generation or none. Every file is written under another name, synced, renamed, and the
//! folder synced; the pointer `CURRENT` moves last, in the same way.

mod arrivals;
mod fall_back;
pub mod fault;
mod folder;
mod gate;
pub mod input;
pub mod journal;
mod line;
pub mod overlay;
mod pointer;
pub mod remote;
mod stacking;
mod steps;
mod temporary;
#[cfg(test)]
mod tests;
mod watch;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

pub use arrivals::{Arrivals, Arrived, Refused, SETTLE};
pub use folder::{Folder, Generation, Stat};
pub use gate::{Figures, Gate, Limits};
pub use journal::{Entry, Journal, What};
pub use line::{Line, MOST_DELTAS};
pub use pointer::{Lock, Pointer};
pub use steps::Published;
pub(crate) use temporary::{Temporary, sweep};
pub use watch::Watch;

/// Writes a file so that it is there whole or not at all: a temporary name beside it, fsync, rename, fsync of the folder.
///
/// # Errors
/// What the system or `fill` said; the temporary file is then removed.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<()> {
    let (temporary, file) = Temporary::file(path)?;
    let mut file = BufWriter::new(file);
    let written = (|| {
        fill(&mut file)?;
        fault::point("write: filled");
        file.flush()?;
        fault::point("write: flushed");
        file.get_ref().sync_all()
    })();
    written.map_err(Error::io(path))?;
    fault::point("write: synced");
    temporary.finish(path)
}

/// [`write_whole`] of a file whose name is known only when it is written: `fill` gives it, in the folder of `place`.
///
/// # Errors
/// What the system or `fill` said; the temporary file is then removed.
pub(crate) fn write_named<T>(
    place: &Path,
    fill: impl FnOnce(&mut File) -> Result<(PathBuf, T)>,
) -> Result<T> {
    let (temporary, mut file) = Temporary::file(place)?;
    let (path, made) = fill(&mut file)?;
    fault::point("write: filled");
    fault::point("write: flushed");
    file.sync_all().map_err(Error::io(&path))?;
    fault::point("write: synced");
    temporary.finish(&path)?;
    Ok(made)
}

/// The folder that something is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io(folder))
}
