//! The archive of a log: each sealed segment as Parquet, a file for each day in it (of the past, for each day on which it happened), in a folder or in object storage, with a manifest that
//! is written last. What trainer and ab-eval read, and what retention waits for. Not for the log itself: that is `log/`.
//!
//! **Invariant:** a segment without its manifest is not in the archive; one with it is there whole, and never changes but by erasure.

pub(crate) mod days;
pub(crate) mod history;
pub mod read;
pub(crate) mod rows;
mod sealer;
mod store;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::log::Stream;
use crate::{Error, Result};

pub use sealer::{Archivist, Standing};
pub(crate) use sealer::{Bell, Work, turn};
pub use store::Store;

/// Version of the manifest, and of the columns, that this program writes where files are by event time; others have version 1.
pub const VERSION: u32 = 2;
/// Folder of the manifests, beside those of the days. Programs that read folders of Parquet leave out what begins so.
pub(crate) const MANIFESTS: &str = "_segments";

/// What the archive holds of one segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form.
    pub version: u32,
    /// Identity of the log, in 16 hex digits.
    pub producer: String,
    /// Sequence of its first record.
    pub first: u64,
    /// Sequence of its last record.
    pub last: u64,
    /// Receipt time of its newest record.
    pub newest_ms: i64,
    /// Its days.
    pub files: Vec<Day>,
}

/// The records of a segment that were received on one day, in UTC, or those of the past that happened on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Name below the folder of the stream, `date=2026-11-21/<producer>-<first>.parquet`.
    pub name: String,
    /// Records in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// XXH3-64 of its bytes, in 16 hex digits.
    pub sum: String,
    /// Whether it holds the past: rows in order of event time, and not of their sequences.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_time: bool,
}

/// Whether a segment is in an archive.
///
/// # Errors
/// What the store said.
pub(crate) fn holds(store: &Store, stream: Stream, producer: u64, first: u64) -> Result<bool> {
    Ok(store.get(&Manifest::name(stream, producer, first))?.is_some())
}

impl Manifest {
    fn name(stream: Stream, producer: u64, first: u64) -> String {
        format!("{}/{MANIFESTS}/{producer:016x}-{first:020}.json", stream.folder())
    }

    /// Reads a manifest; `place` is where it was.
    ///
    /// # Errors
    /// [`Error::Newer`]; [`Error::Invalid`] for what is none.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let wrong = |error: serde_json::Error| Error::invalid(place, format!("expected a manifest, {error}"));
        let Version { version } = serde_json::from_slice(bytes).map_err(wrong)?;
        if version > VERSION {
            return Err(Error::Newer { path: place.into(), found: version, known: VERSION });
        }
        serde_json::from_slice(bytes).map_err(wrong)
    }
}
