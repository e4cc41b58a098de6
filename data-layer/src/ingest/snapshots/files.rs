//! The files of snapshots: written beside their place, synced, renamed; the newest few are kept. Names sort by position.

use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::archive::Store;
use crate::config::{Actions, Keep};
use crate::live::Live;
use crate::live::snapshot::{self, Carried, Limits, Loaded, Maker, Written};
use crate::{Error, Result};

/// Ending of whole snapshots.
const ENDING: &str = ".snapshot";
/// Ending of one that is being written.
const DRAFT: &str = ".snapshot.tmp";

/// Folder of the copies in a store.
const COPIES: &str = "snapshots";

/// A folder of snapshots, and the store to which they are copied.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    keep: usize,
    store: Option<Mutex<Store>>,
    /// Sequences of those that are there, newest first.
    there: Mutex<Vec<u64>>,
}

/// The name of a snapshot by the last sequence in it.
pub(crate) fn file_name(sequence: u64) -> String {
    format!("{sequence:020}{ENDING}")
}

/// Snapshots of a folder by the last sequence in them, newest first; none where there is no folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry.map_err(Error::io(folder))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(ENDING));
        found.extend(number.and_then(|n| n.parse().ok()).map(|sequence: u64| (sequence, path.clone())));
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The newest snapshot of a log that can be read; what can't is left out with a warning.
///
/// # Errors
/// [`Error::Newer`] for one that a newer program wrote; [`Error::Io`].
pub(crate) fn newest_good(
    folder: &Path,
    producer: u64,
    actions: &Actions,
    keep: &Keep,
) -> Result<Option<Loaded>> {
    for (_, path) in list(folder)? {
        let loaded = snapshot::head(&path).and_then(|head| match head.position().producer {
            of if of == producer => snapshot::load(&path, actions, keep).map(Some),
            of => {
                let path = path.display();
                tracing::warn!(%path, "left out: it is of log {of:016x}, and this is log {producer:016x}");
                Ok(None)
            }
        });
        match loaded {
            Ok(None) => {}
            Ok(loaded) => return Ok(loaded),
            Err(error @ Error::Newer { .. }) => return Err(error),
            Err(error) => tracing::warn!(%error, "a snapshot can't be used; an older one or the log must do"),
        }
    }
    Ok(None)
}

/// Brings the newest snapshot of a store into a folder that has none.
pub(crate) fn fetch(folder: &Path, store: &Store) -> Result<()> {
    if !list(folder)?.is_empty() {
        return Ok(());
    }
    let names = store.list(COPIES)?;
    let Some(name) = names.iter().rev().find(|name| name.ends_with(ENDING)) else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let (draft, path) = (Draft(folder.join(format!("{}{DRAFT}", std::process::id()))), folder.join(name));
    if store.get_file(&format!("{COPIES}/{name}"), &draft.0)? {
        tracing::info!(from = store.shown(name), "fetched a snapshot");
        std::fs::rename(&draft.0, &path).map_err(Error::io(&path))?;
    }
    Ok(())
}

impl Place {
    /// Opens a folder, which is made where there is none, and drops what was being written when a process ended. Whoever calls it holds the
    /// lock of the log.
    pub fn open(folder: PathBuf, keep: usize, store: Option<Store>) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let path = entry.map_err(Error::io(&folder))?.path();
            if path.to_str().is_some_and(|name| name.ends_with(DRAFT)) {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        let there = list(&folder)?.into_iter().map(|(sequence, _)| sequence).collect();
        Ok(Self { folder, keep, store: store.map(Mutex::new), there: Mutex::new(there) })
    }

    /// Position of the newest.
    pub fn newest(&self) -> Option<u64> {
        self.there.lock().first().copied()
    }

    /// Position of the oldest.
    pub fn oldest(&self) -> Option<u64> {
        self.there.lock().last().copied()
    }

    /// Writes one, and removes those beyond what is kept.
    pub fn write(
        &self,
        live: &Live,
        maker: &Maker,
        carried: impl FnOnce() -> Result<Vec<Carried>>,
        limits: Limits,
    ) -> Result<Written> {
        let draft = Draft(self.folder.join(format!("{}{DRAFT}", std::process::id())));
        let written = {
            let file = File::create(&draft.0).map_err(Error::io(&draft.0))?;
            let mut to = BufWriter::with_capacity(1 << 20, &file);
            let written = snapshot::write(live, maker, &[], carried, &mut to, &draft.0, limits)?;
            drop(to);
            file.sync_all().map_err(Error::io(&draft.0))?;
            written
        };
        let sequence = written.position.sequence;
        let name = file_name(sequence);
        let path = self.folder.join(&name);
        std::fs::rename(&draft.0, &path).map_err(Error::io(&path))?;
        self.sync()?;
        if let Some(store) = &self.store {
            store.lock().put_file(&format!("{COPIES}/{name}"), &path)?;
        }
        {
            let mut there = self.there.lock();
            there.retain(|known| *known != sequence);
            there.push(sequence);
            there.sort_unstable_by(|a, b| b.cmp(a));
        }
        self.keep(self.keep)?;
        Ok(written)
    }

    /// Removes all but the newest so many.
    pub fn keep(&self, keep: usize) -> Result<()> {
        let gone = {
            let mut there = self.there.lock();
            let keep = keep.min(there.len());
            there.split_off(keep)
        };
        for sequence in gone.iter().copied() {
            let name = file_name(sequence);
            let path = self.folder.join(&name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io(path)(error)),
                _ => {}
            }
            if let Some(store) = &self.store {
                store.lock().delete(&format!("{COPIES}/{name}"))?;
            }
        }
        if gone.is_empty() { Ok(()) } else { self.sync() }
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(Error::io(&self.folder))
    }
}

/// A file that is being written; removed when dropped, unless it got its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
