//! The durable log of one namespace: events, synced before they are acknowledged, and decisions, appended without waiting. It is
//! the truth of the dynamic side. What an event means is not known here.
//!
//! **Invariant:** nothing here rewrites a byte that was synced; a torn tail, which nobody was told of, is cut off. Only `erase/` and
//! `compact/` put another segment in the place of a sealed one, by rename, with the same sequences.

pub mod anew;
pub mod codec;
pub mod cursor;
pub mod entries;
#[cfg(test)]
pub(crate) mod failing;
pub mod format;
pub mod growth;
pub mod holds;
pub mod lock;
pub mod mark;
pub mod replay;
pub mod segment;
#[cfg(test)]
mod tests;
pub mod writer;

use std::path::Path;

pub use anew::Anew;
pub use cursor::Cursor;
pub use entries::{Entries, Entry};
pub use format::Stream;
pub use growth::Growth;
pub use holds::Holds;
pub use lock::Lock;
pub use segment::EntryRef;
pub use writer::Writer;

use crate::types::{Decision, Record};
use crate::{Error, Result};

/// Reads a log folder, also beside a live writer.
#[derive(Debug)]
pub struct Reader;

impl Reader {
    /// Every event of a namespace, oldest first. `log_dir` is `[log].dir`.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no log of that namespace; then per record [`Error::Corrupt`], [`Error::Newer`],
    /// [`Error::Io`], after which nothing follows.
    pub fn events(log_dir: &Path, namespace: &str) -> Result<impl Iterator<Item = Result<Record>> + use<>> {
        Self::events_from(log_dir, namespace, 0)
    }

    /// As [`Reader::events`], from a sequence on.
    ///
    /// # Errors
    /// As [`Reader::events`].
    pub fn events_from(
        log_dir: &Path,
        namespace: &str,
        from: u64,
    ) -> Result<impl Iterator<Item = Result<Record>> + use<>> {
        let folder = existing(log_dir, namespace)?.join(Stream::Events.folder());
        let entries = Entries::open(&folder, Stream::Events, from)?;
        let says = move |entry: &Entry| entry.sequence >= from && entry.kind != format::VOID;
        let wanted = entries.filter(move |entry| entry.as_ref().map_or(true, says));
        Ok(wanted.map(move |entry| record(entry?.as_ref(), &folder)))
    }

    /// Follows the events of a namespace behind a sequence, as a server of another process writes them.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no log of that namespace.
    pub fn follow(log_dir: &Path, namespace: &str, after: u64) -> Result<Cursor> {
        let folder = existing(log_dir, namespace)?.join(Stream::Events.folder());
        Ok(Cursor::new(&folder, Stream::Events, after, None))
    }

    /// Every decision of a namespace, oldest first.
    ///
    /// # Errors
    /// As [`Reader::events`].
    pub fn decisions(
        log_dir: &Path,
        namespace: &str,
    ) -> Result<impl Iterator<Item = Result<Decision>> + use<>> {
        let folder = existing(log_dir, namespace)?.join(Stream::Decisions.folder());
        let entries = Entries::open(&folder, Stream::Decisions, 0)?;
        let wanted = entries.filter(|entry| entry.as_ref().map_or(true, |e| e.kind != format::VOID));
        Ok(wanted.map(move |entry| decision(entry?.as_ref(), &folder)))
    }
}

/// The decision of an entry of the log in `folder`.
///
/// # Errors
/// [`Error::Corrupt`] for a payload that is none.
pub fn decision(entry: EntryRef<'_>, folder: &Path) -> Result<Decision> {
    format::decode_decision(entry.kind, entry.payload).map_err(|d| undecodable(&entry, folder, d))
}

/// The identity of the log in a folder of events; `None` where there is none yet.
///
/// # Errors
/// [`Error::Corrupt`], [`Error::Newer`], [`Error::Io`].
pub fn producer(folder: &Path) -> Result<Option<u64>> {
    let newest = entries::segments(folder)?.last().map_or(0, |(first, _)| *first);
    // The newest may never have got its header.
    for from in [newest, 0] {
        let mut entries = Entries::open(folder, Stream::Events, from)?;
        entries.next_ref()?;
        if let Some(producer) = entries.producer() {
            return Ok(Some(producer));
        }
    }
    Ok(None)
}

/// Whether a folder holds the log of a namespace.
#[must_use]
pub fn is_log(log_dir: &Path, namespace: &str) -> bool {
    log_dir.join(namespace).is_dir()
}

/// The event of an entry of the log in `folder`.
///
/// # Errors
/// [`Error::Corrupt`] for a payload that is no event of its kind.
pub fn record(entry: EntryRef<'_>, folder: &Path) -> Result<Record> {
    let event = format::decode_event(entry.version, entry.kind, entry.payload);
    let EntryRef { sequence, received_ms, partition, .. } = entry;
    match event {
        Ok(event) => {
            let past = entry.kind & format::PAST != 0;
            Ok(Record { sequence, received_ms, partition, past, event })
        }
        Err(detail) => Err(undecodable(&entry, folder, detail)),
    }
}

fn undecodable(entry: &EntryRef<'_>, folder: &Path, detail: String) -> Error {
    let section = format!("payload of record {}", entry.sequence);
    Error::Corrupt { path: segment::path_of(folder, entry.segment), section, offset: entry.offset, detail }
}

fn existing(log_dir: &Path, namespace: &str) -> Result<std::path::PathBuf> {
    let folder = log_dir.join(namespace);
    if folder.is_dir() {
        return Ok(folder);
    }
    let hint = "; expected the folder that [log].dir names, with a folder for each namespace".to_owned();
    Err(Error::NotFound { what: "log", name: folder.display().to_string(), hint })
}
