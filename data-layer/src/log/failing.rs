//! Disks that sync nothing, or take nothing, for tests: a seam in `writer.rs`. Not in what is shipped.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// With whether they can be written nevertheless.
static FOLDERS: Mutex<Vec<(PathBuf, bool)>> = Mutex::new(Vec::new());

/// Until this is dropped nothing below a folder can be synced.
pub(crate) struct Failing(PathBuf);

impl Failing {
    pub(crate) fn below(folder: &Path) -> Self {
        FOLDERS.lock().push((folder.to_owned(), true));
        Self(folder.to_owned())
    }

    /// The same, and nothing can be written or cut either.
    pub(crate) fn altogether(folder: &Path) -> Self {
        FOLDERS.lock().push((folder.to_owned(), false));
        Self(folder.to_owned())
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        FOLDERS.lock().retain(|(folder, _)| *folder != self.0);
    }
}

/// What the system says of a sync where a disk is broken.
pub(super) fn check(path: &Path) -> std::io::Result<()> {
    says(FOLDERS.lock().iter().any(|(folder, _)| path.starts_with(folder)))
}

/// What it says of writing.
pub(super) fn check_writing(path: &Path) -> std::io::Result<()> {
    says(FOLDERS.lock().iter().any(|(folder, writes)| !writes && path.starts_with(folder)))
}

fn says(broken: bool) -> std::io::Result<()> {
    const BROKEN: i32 = 5;
    if broken { Err(std::io::Error::from_raw_os_error(BROKEN)) } else { Ok(()) }
}
