//! Files and folders that are being written: under a name that nothing reads, until they are whole. Not for scratch space, which needs
//! no name at all.
//!
//! What is being written is locked (flock). The system drops the lock when the process ends, however it ends; so what nobody holds was
//! left behind by a process that was killed, and [`sweep`] removes it.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};

use super::fault;
use crate::{Error, Result};

/// Ending of names that nothing reads.
const ENDING: &str = ".tmp";
/// Names drawn before giving up. A second one is needed only where somebody sweeps between the creation and the lock.
const TRIES: usize = 16;

/// Something that is being written beside its final place. Removed when dropped, unless it got its name.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    /// Holds the lock; `None` once it has its name.
    lock: Option<File>,
}

impl Temporary {
    /// A new file beside `place`, and the way to write into it.
    ///
    /// # Errors
    /// What the system said, of `place`.
    pub(crate) fn file(place: &Path) -> Result<(Self, File)> {
        let temporary = Self::new(place, |path| File::create_new(path))?;
        fault::point("write: created");
        let file = temporary.lock.as_ref().map(File::try_clone);
        let file = file.unwrap_or_else(|| Err(std::io::ErrorKind::NotFound.into()));
        Ok((temporary, file.map_err(Error::io(place))?))
    }

    /// A new, empty folder beside `place`.
    ///
    /// # Errors
    /// What the system said, of `place`.
    pub(crate) fn folder(place: &Path) -> Result<Self> {
        let temporary = Self::new(place, |path| std::fs::create_dir(path).and_then(|()| File::open(path)))?;
        fault::point("folder: created");
        Ok(temporary)
    }

    fn new(place: &Path, make: impl Fn(&Path) -> std::io::Result<File>) -> Result<Self> {
        for _ in 0..TRIES {
            let path = drawn(place);
            let file = make(&path).map_err(Error::io(place))?;
            // Where the file system has no locks, nothing is swept either.
            let _ = file.lock();
            let temporary = Self { path, lock: Some(file) };
            if temporary.path.exists() {
                return Ok(temporary);
            }
        }
        Err(Error::io(place)(std::io::ErrorKind::ResourceBusy.into()))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, durably. Its content must be synced.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn finish(mut self, place: &Path) -> Result<()> {
        std::fs::rename(&self.path, place).map_err(Error::io(place))?;
        self.lock = None;
        fault::point("rename: renamed");
        super::sync_folder(super::parent(place))?;
        fault::point("rename: synced");
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // Nothing more can be done about what can't be removed; it is never read.
            let _ = remove(&self.path);
        }
    }
}

/// A name beside a place that nothing else uses and nothing reads. Drawn, not counted: two processes that share a folder from two
/// containers may have the same number.
fn drawn(place: &Path) -> PathBuf {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let drawn = RandomState::new().hash_one(std::process::id());
    place.with_file_name(format!(".{name}.{drawn:016x}{ENDING}"))
}

/// Removes what processes that were killed left in a folder. What can't be removed stays, and is never read.
pub(crate) fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let left = name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(ENDING));
        let path = entry.path();
        // The lock is held until it is gone, so that who made it a moment ago sees that it is, and makes another.
        let lock = if left { File::open(&path).ok() } else { None };
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_ok()) && remove(&path).is_ok() {
            tracing::info!(path = %path.display(), "removed what a process that was killed left behind");
            fault::point("sweep: removed");
        }
    }
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_nobody_writes_is_swept() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("x");
        let (file, _) = Temporary::file(&place).unwrap();
        let folder = Temporary::folder(&place).unwrap();
        std::fs::write(folder.path().join("inner"), b"1").unwrap();
        for left in [".x.0.tmp", ".lock", "y.tmp"] {
            std::fs::write(root.path().join(left), b"1").unwrap();
        }
        std::fs::create_dir_all(root.path().join(".17.0.tmp/inner")).unwrap();
        assert_eq!(names(root.path()).len(), 6);
        sweep(root.path());
        assert_eq!(names(root.path()).len(), 4, "{:?}", names(root.path()));
        assert!(file.path().exists() && folder.path().join("inner").exists());
        drop(file);
        folder.finish(&place).unwrap();
        sweep(root.path());
        assert_eq!(names(root.path()), [".lock", "x", "y.tmp"]);
        assert!(place.join("inner").exists());
    }

    #[test]
    fn what_is_made_while_others_sweep_stays() {
        let root = tempfile::tempdir().unwrap();
        let made = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !made.load(std::sync::atomic::Ordering::SeqCst) {
                    sweep(root.path());
                }
            });
            for n in 0..2_000 {
                let place = root.path().join(format!("{n}"));
                let (file, _) = Temporary::file(&place).unwrap();
                file.finish(&place).unwrap();
            }
            made.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        assert_eq!(names(root.path()).len(), 2_000);
    }
}
