//! Who asked to be erased, by keyed hash, and how far that is: `ERASURES` in the folder of the log, a line of JSON for each change, the last
//! line of a sequence counts. What readers of tables ask, and what `GET /v1/erasures/{id}` shows. Not for the rewriting: `worker.rs`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::entry::{Entry, Erasure, Peer, State};
use super::secret::{Secret, hex};
use crate::config::Config;
use crate::types::{Event, Millis, Person, Position, Record};
use crate::{Error, Result};

/// Name of the journal.
pub(super) const JOURNAL: &str = "ERASURES";
/// Name of the file with the key that people are hashed under.
pub(super) const SALT: &str = "SALT";

/// The erasures of one log.
#[derive(Debug)]
pub struct Erasures {
    folder: PathBuf,
    producer: u64,
    salt: Secret,
    entries: Mutex<BTreeMap<u64, Entry>>,
    /// Whether the file lacks some of them, or ends in the middle of one.
    behind: AtomicBool,
    /// Keyed hash to sequence and time of the newest erasure.
    newest: RwLock<FxHashMap<String, (u64, Millis)>>,
    /// Files looked through by the rewriting that goes on, and how many there are.
    progress: [AtomicU64; 2],
    /// When each was asked for, and how far all servers are, by the position of its record.
    peers: Mutex<BTreeMap<String, (Millis, Vec<Peer>)>>,
}

impl Erasures {
    /// Reads the journal in the folder of a log, and makes the key where there is none.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Invalid`] for a key or a line that is none.
    pub fn open(folder: &Path, producer: u64) -> Result<Self> {
        let erasures = Self::of(folder, producer)?;
        erasures.write(&erasures.entries.lock())?;
        Ok(erasures)
    }

    fn of(folder: &Path, producer: u64) -> Result<Self> {
        let salt = Secret::kept(&folder.join(SALT))?;
        let entries = read(folder)?;
        let mut newest = FxHashMap::default();
        for entry in entries.values() {
            newest.insert(entry.person.clone(), (entry.sequence, entry.time));
        }
        let (folder, entries, newest) = (folder.to_owned(), Mutex::new(entries), RwLock::new(newest));
        let (progress, peers) = (Default::default(), Mutex::default());
        let behind = AtomicBool::new(false);
        Ok(Self { folder, producer, salt, entries, behind, newest, progress, peers })
    }

    /// The erasures of the log that a configuration names, for who only reads; `None` where there never were any.
    ///
    /// # Errors
    /// As [`Erasures::open`].
    pub fn read_only(config: &Config) -> Result<Option<Self>> {
        let folder = config.log.dir.join(&config.namespace);
        if read(&folder)?.is_empty() {
            return Ok(None);
        }
        Self::of(&folder, 0).map(Some)
    }

    /// Takes note of the erasures among records that are in the log. Those that are known already are left as they are.
    ///
    /// # Errors
    /// [`Error::Io`]; they are known to this process all the same.
    pub fn note(&self, records: &[Record]) -> Result<()> {
        let mut lines = Vec::new();
        let mut entries = self.entries.lock();
        for record in records {
            let Event::Erase(erase) = &record.event else { continue };
            if entries.contains_key(&record.sequence) {
                continue;
            }
            let person = hex(&self.salt.tag(&erase.person));
            let (sequence, time) = (record.sequence, record.received_ms);
            self.newest.write().insert(person.clone(), (sequence, time));
            let entry = Entry { taken: record.past, ..Entry::new(sequence, time, person) };
            line(&entry, &mut lines)?;
            entries.insert(sequence, entry);
        }
        if lines.is_empty() {
            return Ok(());
        }
        // Behind a line that was torn nothing may stand.
        if self.behind.swap(true, Ordering::AcqRel) {
            return self.write(&entries);
        }
        let path = self.folder.join(JOURNAL);
        let append = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&path)?;
            file.write_all(&lines)?;
            file.sync_data()?;
            std::fs::File::open(&self.folder)?.sync_all()
        };
        append().map_err(Error::io(&path))?;
        self.behind.store(false, Ordering::Release);
        Ok(())
    }

    /// Writes the journal again where a write before this one failed.
    pub(super) fn mend(&self) -> Result<()> {
        if self.behind.load(Ordering::Acquire) { self.write(&self.entries.lock()) } else { Ok(()) }
    }

    /// Whether its hashes are those of a key.
    pub(super) fn is_under(&self, salt: &Secret) -> bool {
        self.salt.hex() == salt.hex()
    }

    /// Sequence and receipt time of the newest erasure of a person; what was made of them before it is nobody's.
    #[must_use]
    pub fn newest(&self, person: &Person) -> Option<(u64, Millis)> {
        let newest = self.newest.read();
        if newest.is_empty() {
            return None;
        }
        newest.get(&hex(&self.salt.tag(person))).copied()
    }

    /// How far the erasure is that a record at this position asks for, here or on another server; `None` where none does.
    #[must_use]
    pub fn status(&self, position: Position) -> Option<Erasure> {
        let (id, own) = (position.to_string(), position.producer == self.producer);
        let peers = self.peers.lock().get(&id).cloned();
        let entries = self.entries.lock();
        let entry = match own {
            true => entries.get(&position.sequence),
            false => entries.values().find(|entry| entry.of.as_deref() == Some(&id)),
        };
        let (asked, servers) = match (entry, peers) {
            (Some(entry), None) => (entry.time, Vec::new()),
            (_, Some(told)) => told,
            (None, None) => return None,
        };
        let here = entry.map(Entry::state);
        let least = servers.iter().map(|peer| peer.state).chain(here).min().unwrap_or(State::Pending);
        let begun = least == State::Pending && servers.iter().any(|peer| peer.state != State::Pending);
        let state = if begun { State::Rewriting } else { least };
        let progress = self.progress.each_ref().map(|n| n.load(Ordering::Relaxed));
        Some(Erasure {
            state,
            asked,
            began: entry.and_then(|entry| entry.began),
            ended: entry.and_then(|entry| entry.ended),
            looked_through: if here == Some(State::Rewriting) { progress } else { [0, 0] },
            files: entry.map_or(0, |entry| entry.files),
            records: entry.map_or(0, |entry| entry.records),
            servers,
        })
    }

    /// Whether the erasure of a person that another server was asked for is in this log; its entry then says whose it is.
    pub(super) fn taken_up(&self, id: &str, person: &Person) -> Result<bool> {
        let person = hex(&self.salt.tag(person));
        let found = {
            let entries = self.entries.lock();
            let mut own = entries.values().filter(|entry| entry.taken && entry.person == person);
            own.find(|entry| entry.of.as_deref().is_none_or(|of| of == id)).cloned()
        };
        let Some(mut entry) = found else { return Ok(false) };
        if entry.of.is_none() {
            entry.of = Some(id.to_owned());
            self.put([entry])?;
        }
        Ok(true)
    }

    /// How far all servers are, as they said last.
    pub(super) fn know_peers(&self, peers: BTreeMap<String, (Millis, Vec<Peer>)>) {
        *self.peers.lock() = peers;
    }

    /// All there are, oldest first.
    pub(super) fn all_entries(&self) -> Vec<Entry> {
        self.entries.lock().values().cloned().collect()
    }

    /// The position that names an erasure.
    #[must_use]
    pub fn position(&self, sequence: u64) -> Position {
        Position { producer: self.producer, sequence }
    }

    /// How many have not ended.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.entries.lock().values().filter(|entry| entry.ended.is_none()).count()
    }

    /// How many have ended.
    #[must_use]
    pub fn done(&self) -> usize {
        self.entries.lock().values().filter(|entry| entry.ended.is_some()).count()
    }

    /// The smallest sequence in the log that an erasure still needs.
    #[must_use]
    pub fn needs_from(&self) -> u64 {
        let entries = self.entries.lock();
        entries.values().find(|entry| entry.ended.is_none()).map_or(u64::MAX, |entry| entry.sequence)
    }

    /// Those that have not ended, oldest first.
    pub(super) fn open_entries(&self) -> Vec<Entry> {
        self.entries.lock().values().filter(|entry| entry.ended.is_none()).cloned().collect()
    }

    /// Puts changed entries in the place of those with their sequences; what they held before is gone from the disk.
    pub(super) fn put(&self, changed: impl IntoIterator<Item = Entry>) -> Result<()> {
        let mut entries = self.entries.lock();
        let mut after = entries.clone();
        after.extend(changed.into_iter().map(|entry| (entry.sequence, entry)));
        self.write(&after)?;
        *entries = after;
        Ok(())
    }

    /// Says how far the rewriting is.
    pub(super) fn tell(&self, looked_through: u64, of: u64) {
        self.progress[0].store(looked_through, Ordering::Relaxed);
        self.progress[1].store(of, Ordering::Relaxed);
    }

    fn write(&self, entries: &BTreeMap<u64, Entry>) -> Result<()> {
        let path = self.folder.join(JOURNAL);
        if entries.is_empty() && !path.exists() {
            return Ok(());
        }
        let mut lines = Vec::new();
        entries.values().try_for_each(|entry| line(entry, &mut lines))?;
        let draft = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::File::create(&draft)?;
            file.write_all(&lines)?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            std::fs::File::open(&self.folder)?.sync_all()
        };
        write().map_err(Error::io(&path))?;
        self.behind.store(false, Ordering::Release);
        Ok(())
    }
}

/// The entries of the journal of a log, by sequence; none where there is no journal.
pub(super) fn read(folder: &Path) -> Result<BTreeMap<u64, Entry>> {
    let path = folder.join(JOURNAL);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::io(&path)(error)),
    };
    let mut entries = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        match serde_json::from_str::<Entry>(line) {
            Ok(entry) => drop(entries.insert(entry.sequence, entry)),
            // The process died while it wrote it; the log has the record.
            Err(_) if at + 1 == lines.len() && !text.ends_with('\n') => {}
            Err(error) => {
                let detail = format!("line {}: expected an erasure, {error}", at + 1);
                return Err(Error::invalid(path.display().to_string(), detail));
            }
        }
    }
    Ok(entries)
}

fn line(entry: &Entry, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(&mut *out, entry).map_err(|error| Error::invalid("erasure", error.to_string()))?;
    out.push(b'\n');
    Ok(())
}
