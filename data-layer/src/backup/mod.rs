//! A namespace's dynamic side somewhere else, as it was: its newest snapshot and its log, files with sums, and a list of them that is written
//! last. Beside a server or without one; from servers that share a Redis and from one alone, and back to either. Not for tables and models,
//! which are files already.

mod archived;
mod cut;
mod erased;
mod into;
mod recent;
mod restore;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::archive::Store;
use crate::config::{Backend, Config};
use crate::erase;
use crate::ingest::snapshots;
use crate::live::snapshot;
use crate::log::{self, Stream, entries::segments, mark::Mark};
use crate::publish::remote::Address;
use crate::types::{Millis, Position, time};
use crate::{Error, Result};

pub use restore::{Restored, restore};

use cut::Cut;

/// Version of the list of files that this program writes. Those of version 1 do not hold who was erased.
pub const VERSION: u32 = 2;
/// Name of the list.
const LIST: &str = "backup.json";
/// Name of the snapshot.
const SNAPSHOT: &str = "live.snapshot";
/// How often the files are listed again, where some go while they are copied.
const TRIES: usize = 5;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Version of this form.
    pub version: u32,
    /// When it was made.
    pub made_ms: Millis,
    /// Whose it is.
    pub namespace: String,
    /// Identity of the log, in 16 hex digits.
    pub producer: String,
    /// The last record of the snapshot; 0 where there is none.
    pub snapshot: u64,
    /// How far the state of the snapshot has come in each log that servers share, that of this backup first; empty where there is one alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<String>,
    /// How long servers stood still for it, in milliseconds.
    #[serde(default)]
    pub paused_ms: u64,
    /// Its files.
    pub files: Vec<Stored>,
}

impl Backup {
    /// Identity of the log.
    fn producer(&self) -> Result<u64> {
        u64::from_str_radix(&self.producer, 16)
            .map_err(|error| Error::invalid(LIST, format!("producer {:?}: {error}", self.producer)))
    }
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Name below the backup, such as `events/00000000000000000001.seg`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// XXH3-64 of its bytes, in 16 hex digits.
    pub sum: String,
}

/// Copies the newest good snapshot and the log behind it, as far as it is on the disk, to a place that has no backup yet. Where servers share a
/// Redis, the snapshot is made of what is there, while none of them sends anything. `each` is told of every file.
///
/// # Errors
/// [`Error::NotFound`] where there is no log; [`Error::Invalid`] where the place has a backup, or servers do not stand still in time; what
/// files and stores say.
pub fn backup(config: &Config, to: &Address, each: &mut dyn FnMut(&Stored)) -> Result<Backup> {
    let store = Store::open(to, &config.log.store, &config.namespace)?;
    if store.get(LIST)?.is_some() {
        let detail = "expected a place without a backup, found one; give each a place of its own";
        return Err(Error::invalid(store.shown(LIST), detail));
    }
    let Some(producer) = log::producer(&config.events_folder())? else {
        let name = config.events_folder().display().to_string();
        return Err(Error::NotFound { what: "log", name, hint: "; there is nothing to back up".to_owned() });
    };
    let cut = match &config.live.backend {
        Backend::Redis(shared) => Some(cut::cut(config, shared, producer)?),
        Backend::Embedded => None,
    };
    let (mut tries, root) = (0, config.log.dir.join(&config.namespace));
    let made = loop {
        tries += 1;
        let begun = erase::begun(&root)?;
        match copy(config, &store, producer, cut.as_ref(), each) {
            // A snapshot was replaced, or retention removed a segment: what is there now belongs together again.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound && tries < TRIES => {}
            // The journal says how segments are rewritten, and is of before that.
            Ok(_) if tries < TRIES && erase::begun(&root)? != begun => {}
            other => break other?,
        }
    };
    let json = serde_json::to_vec_pretty(&made);
    store.put(LIST, json.map_err(|error| Error::invalid(LIST, error.to_string()))?)?;
    Ok(made)
}

fn copy(
    config: &Config,
    store: &Store,
    producer: u64,
    cut: Option<&Cut>,
    each: &mut dyn FnMut(&Stored),
) -> Result<Backup> {
    let mut files = Vec::new();
    let positions = cut.map(|cut| cut.positions.as_slice()).unwrap_or_default();
    let snapshot = match cut {
        Some(cut) => Some((positions.first().map_or(0, |own| own.sequence), cut.file.0.clone())),
        None => sound(config, producer)?,
    };
    if let Some((_, path)) = &snapshot {
        put(store, path, SNAPSHOT.to_owned(), None, &mut files, each)?;
    }
    let root = config.log.dir.join(&config.namespace);
    // Before the log: whom it names as erased is in what is copied of that.
    for (name, path) in erase::FILES.map(|name| (name.to_owned(), root.join(name))) {
        if let Some(len) = len_of(&path)? {
            put(store, &path, name, Some(len), &mut files, each)?;
        }
    }
    for (stream, folder) in
        [(Stream::Events, config.events_folder()), (Stream::Decisions, config.decisions_folder())]
    {
        // Before the segments are listed: what is on the disk by now is in one of them.
        let mark = Mark::read(&folder);
        let all = segments(&folder)?;
        for (first, path) in &all {
            if mark.is_some_and(|mark| *first > mark.first) {
                break;
            }
            let synced = match mark.filter(|mark| mark.first == *first) {
                Some(mark) => Some(mark.len),
                // Whatever of the newest one is there by now: it may grow while it is copied.
                None if all.last().is_some_and(|(newest, _)| newest == first) => len_of(path)?,
                None => None,
            };
            put(store, path, name(stream, *first), synced, &mut files, each)?;
        }
    }
    let (made_ms, namespace) = (time::now(), config.namespace.clone());
    let at = snapshot.map_or(0, |(sequence, _)| sequence);
    Ok(Backup {
        version: VERSION,
        made_ms,
        namespace,
        producer: format!("{producer:016x}"),
        snapshot: at,
        positions: positions.iter().map(Position::to_string).collect(),
        paused_ms: cut.map_or(0, |cut| cut.paused.as_millis() as u64),
        files,
    })
}

/// The length of a file; `None` where there is none.
fn len_of(path: &Path) -> Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(path)(error)),
    }
}

/// The newest snapshot of a log of which every section has its sum.
fn sound(config: &Config, producer: u64) -> Result<Option<(u64, PathBuf)>> {
    for (sequence, path) in snapshots::list(&snapshots::folder(config), Some(producer))? {
        match snapshot::verify(&path) {
            Ok(_) => return Ok(Some((sequence, path))),
            Err(error) => tracing::warn!(%error, "a snapshot is left out of the backup"),
        }
    }
    Ok(None)
}

/// Copies a file, or its first bytes.
fn put(
    store: &Store,
    path: &Path,
    name: String,
    first: Option<u64>,
    files: &mut Vec<Stored>,
    each: &mut dyn FnMut(&Stored),
) -> Result<()> {
    let (bytes, sum) = loop {
        let mut from = File::open(path).map_err(Error::io(path))?;
        let sum = match first {
            None => {
                let sum = sum_of(&mut from, &mut std::io::sink()).map_err(Error::io(path))?;
                store.put_file(&name, path)?;
                sum
            }
            Some(first) => {
                // A copy that nobody adds to, without a name.
                let mut held = tempfile::NamedTempFile::new().map_err(Error::io(path))?;
                let sum = sum_of(&mut (&mut from).take(first), &mut held).map_err(Error::io(path))?;
                held.flush().and_then(|()| held.rewind()).map_err(Error::io(path))?;
                store.put_file(&name, held.path())?;
                sum
            }
        };
        // Erasures and compaction put another file under the name, of which the sum says nothing.
        if is_still(&from, path).map_err(Error::io(path))? {
            break sum;
        }
    };
    let stored = Stored { name, bytes, sum };
    each(&stored);
    files.push(stored);
    Ok(())
}

/// Whether a path still names this file.
fn is_still(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (own, now) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((own.dev(), own.ino()) == (now.dev(), now.ino()))
}

/// Copies all that can be read; its length and sum.
fn sum_of(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<(u64, String)> {
    let (mut sum, mut part, mut bytes) = (Xxh3::new(), vec![0; 1 << 20], 0);
    loop {
        let read = from.read(&mut part)?;
        if read == 0 {
            return Ok((bytes, format!("{:016x}", sum.digest())));
        }
        sum.update(&part[..read]);
        to.write_all(&part[..read])?;
        bytes += read as u64;
    }
}

fn name(stream: Stream, first: u64) -> String {
    format!("{}/{first:020}.seg", stream.folder())
}
