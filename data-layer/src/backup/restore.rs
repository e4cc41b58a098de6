//! Puts a backup back: everything is fetched and held against its sums beside its place first; only then does it take the place of what is there.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Backup, LIST, SNAPSHOT, Stored, VERSION, sum_of};
use crate::archive::Store;
use crate::config::Config;
use crate::ingest::snapshots;
use crate::log::{Lock, Stream, entries::segments};
use crate::publish::remote::Address;
use crate::types::Position;
use crate::{Error, Result};

/// Folder, in that of the log, of what is being fetched.
const DRAFTS: &str = "restoring";

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup said.
    pub backup: Backup,
    /// Segments and snapshots that were there before, and are gone.
    pub replaced: usize,
}

/// Puts a backup in the place of a log that has nothing, or of what is there with `force`. The log goes on under its old identity: only one
/// of the two may from now on.
///
/// # Errors
/// [`Error::NotFound`] where there is no backup; [`Error::Locked`] beside a server; [`Error::Invalid`] for a backup of another namespace, and
/// without `force` where there is a log; [`Error::Corrupt`] for a file that is not what was backed up: nothing is changed then.
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
    let drafts = root.join(DRAFTS);
    clear(&drafts)?;
    for stream in [Stream::Events, Stream::Decisions] {
        let folder = drafts.join(stream.folder());
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    }
    for file in &backup.files {
        fetch(&store, file, &drafts)?;
        each(file);
    }
    replace(config, &backup, &drafts, &there)?;
    Ok(Restored { backup, replaced: there.len() })
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
        name == SNAPSHOT || of_stream(name, Stream::Events) || of_stream(name, Stream::Decisions)
    };
    match backup.files.iter().find(|file| !plain(&file.name)) {
        None => Ok(backup),
        Some(file) => {
            let detail = format!("expected names of segments and {SNAPSHOT}, found {:?}", file.name);
            Err(Error::invalid(place, detail))
        }
    }
}

/// Segments and snapshots that are there.
fn there(config: &Config) -> Result<Vec<PathBuf>> {
    let mut all = snapshots::list(&snapshots::folder(config), None)?;
    all.extend(segments(&config.events_folder())?);
    all.extend(segments(&config.decisions_folder())?);
    Ok(all.into_iter().map(|(_, path)| path).collect())
}

fn fetch(store: &Store, file: &Stored, drafts: &Path) -> Result<()> {
    let path = drafts.join(&file.name);
    let wrong = |detail: String| Error::Corrupt {
        path: store.shown(&file.name).into(),
        section: "file".to_owned(),
        offset: 0,
        detail,
    };
    if !store.get_file(&file.name, &path)? {
        return Err(wrong("it is not there".to_owned()));
    }
    let mut fetched = File::open(&path).map_err(Error::io(&path))?;
    let (bytes, sum) = sum_of(&mut fetched, &mut std::io::sink()).map_err(Error::io(&path))?;
    if (bytes, &sum) != (file.bytes, &file.sum) {
        return Err(wrong(format!(
            "expected {} bytes with the sum {}, found {bytes} with {sum}",
            file.bytes, file.sum
        )));
    }
    Ok(())
}

/// Removes what is there, snapshots first, and moves in what was fetched, the snapshot last: cut off anywhere, it can be done again.
fn replace(config: &Config, backup: &Backup, drafts: &Path, there: &[PathBuf]) -> Result<()> {
    for path in there {
        std::fs::remove_file(path).map_err(Error::io(path))?;
    }
    let folders = [(Stream::Events, config.events_folder()), (Stream::Decisions, config.decisions_folder())];
    for (stream, folder) in folders {
        // A mark of the old segments says nothing of the new ones.
        clear(&folder)?;
        let draft = drafts.join(stream.folder());
        std::fs::rename(&draft, &folder).map_err(Error::io(&folder))?;
        sync(&folder)?;
    }
    let fetched = drafts.join(SNAPSHOT);
    if fetched.exists() {
        let folder = snapshots::folder(config);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let producer = u64::from_str_radix(&backup.producer, 16)
            .map_err(|error| Error::invalid(LIST, format!("producer {:?}: {error}", backup.producer)))?;
        let at = Position { producer, sequence: backup.snapshot };
        let path = folder.join(snapshots::file_name(at));
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
    clear(drafts)?;
    sync(&config.log.dir.join(&config.namespace))
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
