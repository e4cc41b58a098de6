//! Puts a backup back: everything is fetched and held against its sums beside its place first; only then does it take the place of what is there.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Backup, LIST, SNAPSHOT, Stored, VERSION, archived, erased, into, sum_of};
use crate::archive::Store;
use crate::config::{Backend, Config};
use crate::erase::{FILES, RESTORING};
use crate::ingest::snapshots;
use crate::live::snapshot;
use crate::log::{Lock, Stream, entries::segments};
use crate::publish::remote::Address;
use crate::shared::forwarded::FILE as FORWARDED;
use crate::types::Position;
use crate::{Error, Result};

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup said.
    pub backup: Backup,
    /// Segments and snapshots that were there before, and are gone.
    pub replaced: usize,
    /// Keys that Redis had of the namespace before, and are gone.
    pub removed: usize,
    /// People who were erased since the backup was made, and are erased again.
    pub erased: usize,
    /// Segments of the log that were archived since it was made, and are gone from the archive.
    pub archived: usize,
}

/// Puts a backup in the place of a log that has nothing, or of what is there with `force`. The log goes on under its old identity: only one
/// of the two may from now on. Who was erased there since the backup was made is erased from it, as by a request of now.
///
/// # Errors
/// [`Error::NotFound`] where there is no backup; [`Error::Locked`] beside a server, [`Error::Store`] for Redis; [`Error::Invalid`] for a backup of another namespace, and
/// without `force` where there is a log, or an archive that goes on behind it; [`Error::Corrupt`] for a file that is not what was backed up: nothing is changed then.
pub fn restore(
    config: &Config,
    from: &Address,
    force: bool,
    each: &mut dyn FnMut(&Stored),
) -> Result<Restored> {
    let store = Store::open(from, &config.log.store, &config.namespace)?;
    let backup = read(&store)?;
    if backup.namespace != config.namespace {
        let detail = format!(
            "expected a backup of namespace {:?}, found one of {:?}",
            config.namespace, backup.namespace
        );
        return Err(Error::invalid(store.shown(LIST), detail));
    }
    let root = config.log.dir.join(&config.namespace);
    let _lock = Lock::take(&root)?;
    let there = there(config)?;
    if !there.is_empty() && !force {
        let detail = format!(
            "expected no log and no snapshot, found {} files of them; --force replaces them with the backup",
            there.len()
        );
        return Err(Error::invalid(root.display().to_string(), detail));
    }
    let root = root.join(RESTORING);
    clear(&root)?;
    // Beside their places, a log as any other.
    let mut drafts = config.clone();
    (drafts.log.dir, drafts.live.dir) = (root.clone(), root.join("live"));
    for folder in [drafts.events_folder(), drafts.decisions_folder(), snapshots::folder(&drafts)] {
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    }
    for file in &backup.files {
        fetch(&store, file, &path_of(&backup, file, &drafts)?)?;
        each(file);
    }
    let later = archived::Later::than(config, &drafts, &backup)?;
    later.must_be_none(force)?;
    let (removed, erased) = match &config.live.backend {
        Backend::Redis(shared) => {
            let erased = erased::again(config, &drafts, &backup, into::being_erased(config, shared)?)?;
            (into::put(config, shared, &drafts, force)?, erased)
        }
        Backend::Embedded => {
            made_alike(config, &drafts, &backup)?;
            (0, erased::again(config, &drafts, &backup, Vec::new())?)
        }
    };
    replace(config, &drafts, &there)?;
    let archived = later.remove()?;
    clear(&root)?;
    sync(&config.log.dir.join(&config.namespace))?;
    Ok(Restored { backup, replaced: there.len(), removed, erased, archived })
}

/// Where a file of a backup is fetched to.
fn path_of(backup: &Backup, file: &Stored, drafts: &Config) -> Result<PathBuf> {
    if file.name != SNAPSHOT {
        return Ok(drafts.log.dir.join(&drafts.namespace).join(&file.name));
    }
    let at = Position { producer: backup.producer()?, sequence: backup.snapshot };
    Ok(snapshots::folder(drafts).join(snapshots::file_name(at)))
}

/// That state which several logs made is not made anew of the one log that is there: it lacks what other servers took.
fn made_alike(config: &Config, drafts: &Config, backup: &Backup) -> Result<()> {
    let newest = snapshots::list(&snapshots::folder(drafts), None)?.into_iter().next();
    let Some((_, path)) = newest.filter(|_| backup.positions.len() > 1) else { return Ok(()) };
    if snapshot::head(&path)?.maker == snapshots::maker(config) {
        return Ok(());
    }
    let detail = "expected the actions, levels and bounds under which the backup was made, found others: its log has what one of several \
                  servers took, and state would be made anew of that alone; restore it with the rules that it was made with";
    Err(Error::invalid(config.log.dir.display().to_string(), detail))
}

fn read(store: &Store) -> Result<Backup> {
    let place = store.shown(LIST);
    let Some(json) = store.get(LIST)? else {
        let hint = "; a backup is whole once it has this file".to_owned();
        return Err(Error::NotFound { what: "backup", name: place, hint });
    };
    let backup: Backup = serde_json::from_slice(&json)
        .map_err(|error| Error::invalid(&place, format!("expected a list of files, {error}")))?;
    if backup.version > VERSION {
        return Err(Error::Newer { path: place.into(), found: backup.version, known: VERSION });
    }
    let of_stream = |name: &str, stream: Stream| {
        let number = name.strip_prefix(stream.folder()).and_then(|rest| rest.strip_prefix('/'));
        let number = number.and_then(|rest| rest.strip_suffix(".seg"));
        number.is_some_and(|number| number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let plain = |name: &str| {
        let known = name == SNAPSHOT || FILES.contains(&name);
        known || of_stream(name, Stream::Events) || of_stream(name, Stream::Decisions)
    };
    match backup.files.iter().find(|file| !plain(&file.name)) {
        None => Ok(backup),
        Some(file) => {
            let detail = format!(
                "expected names of segments, {SNAPSHOT}, {}, found {:?}",
                FILES.join(", "),
                file.name
            );
            Err(Error::invalid(place, detail))
        }
    }
}

/// Segments and snapshots that are there.
fn there(config: &Config) -> Result<Vec<PathBuf>> {
    let mut all = snapshots::list(&snapshots::folder(config), None)?;
    all.extend(snapshots::Sort::Items.list(&snapshots::folder(config), None)?);
    all.extend(segments(&config.events_folder())?);
    all.extend(segments(&config.decisions_folder())?);
    Ok(all.into_iter().map(|(_, path)| path).collect())
}

fn fetch(store: &Store, file: &Stored, path: &Path) -> Result<()> {
    let wrong = |detail: String| Error::Corrupt {
        path: store.shown(&file.name).into(),
        section: "file".to_owned(),
        offset: 0,
        detail,
    };
    if !store.get_file(&file.name, path)? {
        return Err(wrong("it is not there".to_owned()));
    }
    let mut fetched = File::open(path).map_err(Error::io(path))?;
    let (bytes, sum) = sum_of(&mut fetched, &mut std::io::sink()).map_err(Error::io(path))?;
    if (bytes, &sum) != (file.bytes, &file.sum) {
        return Err(wrong(format!(
            "expected {} bytes with the sum {}, found {bytes} with {sum}",
            file.bytes, file.sum
        )));
    }
    Ok(())
}

/// Removes what is there, snapshots first, and moves in what was fetched, the snapshot last: cut off anywhere, it can be done again.
fn replace(config: &Config, drafts: &Config, there: &[PathBuf]) -> Result<()> {
    for path in there {
        std::fs::remove_file(path).map_err(Error::io(path))?;
    }
    // What Redis has is found out anew.
    let [root, fetched] = [config, drafts].map(|config| config.log.dir.join(&config.namespace));
    forget(&root.join(FORWARDED))?;
    for name in FILES {
        match std::fs::rename(fetched.join(name), root.join(name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => forget(&root.join(name))?,
            other => other.map_err(Error::io(root.join(name)))?,
        }
    }
    let folders = [
        (drafts.events_folder(), config.events_folder()),
        (drafts.decisions_folder(), config.decisions_folder()),
    ];
    for (draft, folder) in folders {
        // A mark of the old segments says nothing of the new ones.
        clear(&folder)?;
        std::fs::rename(&draft, &folder).map_err(Error::io(&folder))?;
        sync(&folder)?;
    }
    let folder = snapshots::folder(config);
    let mut all = snapshots::list(&snapshots::folder(drafts), None)?;
    all.extend(snapshots::Sort::Items.list(&snapshots::folder(drafts), None)?);
    for (_, fetched) in all {
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let path = folder.join(fetched.file_name().unwrap_or_default());
        match std::fs::rename(&fetched, &path) {
            // Another file system.
            Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                let draft = folder.join("restored.snapshot.tmp");
                std::fs::copy(&fetched, &draft)
                    .and_then(|_| File::open(&draft)?.sync_all())
                    .and_then(|()| std::fs::rename(&draft, &path))
                    .map_err(Error::io(&path))?;
            }
            other => other.map_err(Error::io(&path))?,
        }
        sync(&folder)?;
    }
    Ok(())
}

fn forget(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder)(error)),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(folder))
}
