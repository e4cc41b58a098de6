//! The files of snapshots: written beside their place, synced, renamed; the newest few are kept. Names sort by position.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::archive::Store;
use crate::config::{Actions, Keep};
use crate::live::Live;
use crate::live::snapshot::{self, Carried, Head, Limits, Loaded, Maker, Written};
use crate::shared::StreamId;
use crate::types::{Position, time};
use crate::{Error, Result};

/// Ending of whole snapshots.
const ENDING: &str = ".snapshot";
/// Ending of those of items.
const ITEMS_ENDING: &str = ".items.snapshot";
/// Ending of one that is being written.
const DRAFT: &str = ".snapshot.tmp";

/// Folder of the copies in a store.
const COPIES: &str = "snapshots";

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// All that follows from a log. It is numbered by the last record in it.
    Log,
    /// The items that follow from what servers share. It is numbered by when it was taken, in milliseconds.
    Items,
}

impl Sort {
    fn ending(self) -> &'static str {
        match self {
            Self::Log => ENDING,
            Self::Items => ITEMS_ENDING,
        }
    }

    /// The name of a snapshot by its number and the log of who took it.
    pub(crate) fn file_name(self, Position { producer, sequence }: Position) -> String {
        format!("{sequence:020}-{producer:016x}{}", self.ending())
    }

    fn position(self, name: &str) -> Option<Position> {
        let (sequence, producer) = name.strip_suffix(self.ending())?.split_once('-')?;
        Some(Position { sequence: sequence.parse().ok()?, producer: u64::from_str_radix(producer, 16).ok()? })
    }

    /// Snapshots of a folder by their numbers, newest first: all, or those of one log; none where there is no folder.
    pub(crate) fn list(self, folder: &Path, of: Option<u64>) -> Result<Vec<(u64, PathBuf)>> {
        list_sort(self, folder, of)
    }
}

/// One that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// In its name.
    pub number: u64,
    /// The last record of its log that is in it.
    pub sequence: u64,
    /// Where it stands in the streams of items.
    pub streams: Vec<StreamId>,
    /// Whether the store has it, where there is one.
    pub copied: bool,
}

/// A folder of snapshots, and the store to which they are copied.
#[derive(Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    sort: Sort,
    keep: usize,
    store: Option<Mutex<Store>>,
    /// Those that are there, newest first.
    there: Mutex<Vec<Kept>>,
}

/// The name of a snapshot of a log by its position.
pub(crate) fn file_name(position: Position) -> String {
    Sort::Log.file_name(position)
}

/// Snapshots of logs in a folder, by the last sequence in them; see [`Sort::list`].
pub(crate) fn list(folder: &Path, of: Option<u64>) -> Result<Vec<(u64, PathBuf)>> {
    Sort::Log.list(folder, of)
}

fn list_sort(sort: Sort, folder: &Path, of: Option<u64>) -> Result<Vec<(u64, PathBuf)>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry.map_err(Error::io(folder))?.path();
        let at = path.file_name().and_then(|name| name.to_str()).and_then(|name| sort.position(name));
        let ours = at.filter(|at| of.is_none_or(|producer| at.producer == producer));
        found.extend(ours.map(|at| (at.sequence, path)));
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The newest snapshot of a log that can be read, and its number; what can't is left out with a warning.
///
/// # Errors
/// [`Error::Newer`] for one that a newer program wrote; [`Error::Io`].
pub(crate) fn newest_good(
    folder: &Path,
    sort: Sort,
    producer: u64,
    actions: &Actions,
    keep: &Keep,
) -> Result<Option<(u64, Loaded)>> {
    for (number, path) in sort.list(folder, Some(producer))? {
        let loaded = snapshot::load(&path, actions, keep);
        match loaded {
            Ok(loaded) => return Ok(Some((number, loaded))),
            Err(error @ Error::Newer { .. }) => return Err(error),
            Err(error) => tracing::warn!(%error, "a snapshot can't be used; an older one or the log must do"),
        }
    }
    Ok(None)
}

/// Brings the newest snapshot of a log from a store into a folder that has none of it.
pub(crate) fn fetch(folder: &Path, store: &Store, producer: u64) -> Result<()> {
    if !list(folder, Some(producer))?.is_empty() {
        return Ok(());
    }
    let names = store.list(COPIES)?;
    let of_log = |name: &&String| Sort::Log.position(name).is_some_and(|at| at.producer == producer);
    let Some(name) = names.iter().filter(of_log).max() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let (draft, path) = (Draft(folder.join(format!("{}{DRAFT}", std::process::id()))), folder.join(name));
    if store.get_file(&format!("{COPIES}/{name}"), &draft.0)? {
        tracing::info!(from = store.shown(name), "fetched a snapshot");
        std::fs::rename(&draft.0, &path).map_err(Error::io(&path))?;
    }
    Ok(())
}

/// Fetches the snapshots of items that servers copied to a store, newest first, until one serves.
pub(crate) fn try_copies<T>(
    folder: &Path,
    store: &Store,
    mut serves: impl FnMut(&Path, Position) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let names = store.list(COPIES)?;
    let mut copies: Vec<(Position, &String)> =
        names.iter().filter_map(|name| Some((Sort::Items.position(name)?, name))).collect();
    copies.sort_by_key(|(at, _)| Reverse((at.sequence, at.producer)));
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    for (at, name) in copies {
        let draft = Draft(folder.join(format!("{}.fetched{DRAFT}", std::process::id())));
        // One that its server has removed meanwhile is passed over.
        if store.get_file(&format!("{COPIES}/{name}"), &draft.0)?
            && let Some(one) = serves(&draft.0, at)?
        {
            tracing::info!(from = store.shown(name), "fetched a snapshot");
            return Ok(Some(one));
        }
    }
    Ok(None)
}

impl Place {
    /// Opens a folder, which is made where there is none, and drops what was being written when a process ended. One that can't be made, as on a full
    /// disk, is tried again with each snapshot. Whoever calls it holds the lock of the log.
    pub fn open(
        folder: PathBuf,
        sort: Sort,
        keep: usize,
        store: Option<Store>,
        loaded: Option<Position>,
    ) -> Result<Self> {
        if let Err(error) = clear(&folder) {
            tracing::warn!(%error, "no snapshot can be kept just now; the log has everything");
        }
        // Those beyond it could not be read; those of other logs say nothing of what is needed of this one.
        let copies = store.as_ref().and_then(|store| store.list(COPIES).ok()).unwrap_or_default();
        let mut there = Vec::new();
        if let Some(at) = loaded {
            let known = sort.list(&folder, Some(at.producer))?.into_iter();
            for (number, path) in known.filter(|(number, _)| *number <= at.sequence) {
                match snapshot::head(&path) {
                    Ok(Head { sequence, streams, .. }) => {
                        let name = sort.file_name(Position { sequence: number, ..at });
                        let copied = store.is_none() || copies.contains(&name);
                        there.push(Kept { number, sequence, streams, copied });
                    }
                    Err(error) => tracing::warn!(%error, "a snapshot can't be used"),
                }
            }
        }
        Ok(Self { folder, sort, keep, store: store.map(Mutex::new), there: Mutex::new(there) })
    }

    /// The newest.
    pub fn newest(&self) -> Option<Kept> {
        self.there.lock().first().cloned()
    }

    /// The oldest.
    pub fn oldest(&self) -> Option<Kept> {
        self.there.lock().last().cloned()
    }

    /// Whether the store has none of them.
    pub fn lacks_copy(&self) -> bool {
        let there = self.there.lock();
        !there.is_empty() && there.iter().all(|kept| !kept.copied)
    }

    /// Writes one, and removes those beyond what is kept.
    pub fn write(
        &self,
        live: &Live,
        maker: &Maker,
        carried: impl FnOnce() -> Result<Vec<Carried>>,
        limits: Limits,
    ) -> Result<Written> {
        std::fs::create_dir_all(&self.folder).map_err(Error::io(&self.folder))?;
        let draft = Draft(self.folder.join(format!("{}{DRAFT}", std::process::id())));
        let written = {
            let file = File::create(&draft.0).map_err(Error::io(&draft.0))?;
            let mut to = BufWriter::with_capacity(1 << 20, &file);
            let written = snapshot::write(live, maker, carried, &mut to, &draft.0, limits)?;
            drop(to);
            file.sync_all().map_err(Error::io(&draft.0))?;
            written
        };
        let Position { producer, sequence } = written.position;
        let number = match self.sort {
            Sort::Log => sequence,
            Sort::Items => {
                (time::now().unsigned_abs()).max(self.newest().map_or(0, |newest| newest.number + 1))
            }
        };
        let name = self.sort.file_name(Position { producer, sequence: number });
        let path = self.folder.join(&name);
        std::fs::rename(&draft.0, &path).map_err(Error::io(&path))?;
        self.sync()?;
        let copied = match &self.store {
            Some(store) => store.lock().put_file(&format!("{COPIES}/{name}"), &path),
            None => Ok(()),
        };
        {
            let mut there = self.there.lock();
            there.retain(|known| known.number != number);
            there.push(Kept { number, sequence, streams: written.streams.clone(), copied: copied.is_ok() });
            there.sort_unstable_by_key(|kept| Reverse(kept.number));
        }
        // However long the store is away, no more than these stay here.
        let kept = self.keep(self.keep, written.position.producer);
        copied.and(kept).map(|()| written)
    }

    /// Removes all of a log but the newest so many, and what could not be read of before; here, and in the store as soon as that has one of those that
    /// stay.
    pub fn keep(&self, keep: usize, producer: u64) -> Result<()> {
        let kept = {
            let mut there = self.there.lock();
            there.truncate(keep);
            there.clone()
        };
        let newest = kept.first().map_or(0, |newest| newest.number);
        let goes = |number| number < newest && !kept.iter().any(|kept| kept.number == number);
        for (number, path) in self.sort.list(&self.folder, Some(producer))? {
            if goes(number) {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        self.sync()?;
        let Some(store) = self.store.as_ref().filter(|_| kept.iter().any(|kept| kept.copied)) else {
            return Ok(());
        };
        let store = store.lock();
        for name in store.list(COPIES)? {
            let own = self.sort.position(&name).filter(|at| at.producer == producer);
            if own.is_some_and(|at| goes(at.sequence)) {
                store.remove(&format!("{COPIES}/{name}"))?;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(Error::io(&self.folder))
    }
}

/// Makes a folder where there is none, and drops what was being written there when a process ended.
fn clear(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.to_str().is_some_and(|name| name.ends_with(DRAFT)) {
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

/// A file that is being written; removed when dropped, unless it got its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
