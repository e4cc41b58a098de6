//! The files of snapshots: written beside their place, synced, renamed; the newest few are kept. Names sort by position.

use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::archive::Store;
use crate::config::{Actions, Keep};
use crate::live::Live;
use crate::live::snapshot::{self, Carried, Limits, Loaded, Maker, Written};
use crate::types::Position;
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

/// The name of a snapshot by its position.
pub(crate) fn file_name(position: Position) -> String {
    format!("{:020}-{:016x}{ENDING}", position.sequence, position.producer)
}

fn position(name: &str) -> Option<Position> {
    let (sequence, producer) = name.strip_suffix(ENDING)?.split_once('-')?;
    Some(Position { sequence: sequence.parse().ok()?, producer: u64::from_str_radix(producer, 16).ok()? })
}

/// Snapshots of a folder by the last sequence in them, newest first: all, or those of one log; none where there is no folder.
pub(crate) fn list(folder: &Path, of: Option<u64>) -> Result<Vec<(u64, PathBuf)>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry.map_err(Error::io(folder))?.path();
        let at = path.file_name().and_then(|name| name.to_str()).and_then(position);
        let ours = at.filter(|at| of.is_none_or(|producer| at.producer == producer));
        found.extend(ours.map(|at| (at.sequence, path)));
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
    for (_, path) in list(folder, Some(producer))? {
        let loaded = snapshot::load(&path, actions, keep);
        match loaded {
            Ok(loaded) => return Ok(Some(loaded)),
            Err(error @ Error::Newer { .. }) => return Err(error),
            Err(error) => tracing::warn!(%error, "a snapshot can't be used; an older one or the log must do"),
        }
    }
    Ok(None)
}

/// Brings the newest snapshot of a store into a folder that has none.
pub(crate) fn fetch(folder: &Path, store: &Store) -> Result<()> {
    if !list(folder, None)?.is_empty() {
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
    pub fn open(
        folder: PathBuf,
        keep: usize,
        store: Option<Store>,
        loaded: Option<Position>,
    ) -> Result<Self> {
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        for entry in std::fs::read_dir(&folder).map_err(Error::io(&folder))? {
            let path = entry.map_err(Error::io(&folder))?.path();
            if path.to_str().is_some_and(|name| name.ends_with(DRAFT)) {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        // Those beyond it could not be read; those of other logs say nothing of what is needed of this one.
        let there = match loaded {
            None => Vec::new(),
            Some(at) => list(&folder, Some(at.producer))?
                .into_iter()
                .map(|(n, _)| n)
                .filter(|n| *n <= at.sequence)
                .collect(),
        };
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
        let name = file_name(written.position);
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
        self.keep(self.keep, written.position.producer)?;
        Ok(written)
    }

    /// Removes all of a log but the newest so many, and what could not be read of before.
    pub fn keep(&self, keep: usize, producer: u64) -> Result<()> {
        let kept = {
            let mut there = self.there.lock();
            there.truncate(keep);
            there.clone()
        };
        let newest = kept.first().copied().unwrap_or(0);
        for (sequence, path) in list(&self.folder, Some(producer))? {
            if sequence >= newest || kept.contains(&sequence) {
                continue;
            }
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
            if let Some(store) = &self.store {
                store.lock().delete(&format!("{COPIES}/{}", file_name(Position { producer, sequence })))?;
            }
        }
        self.sync()
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
