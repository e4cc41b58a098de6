//! The one error of this crate. Messages are lower-case, say what was expected and found, and how to mend it.

use std::path::{Path, PathBuf};

/// What can go wrong in the data layer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
    /// Stored bytes are not what was written.
    #[error("{path}: corrupt {section} at byte {offset}: {detail}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Part of the file.
        section: String,
        /// Where in the file.
        offset: u64,
        /// Expected and found.
        detail: String,
    },
    /// Written by a newer program.
    #[error(
        "{path}: format version {found} is newer than {known}, the newest this program reads; upgrade it"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version understood.
        known: u32,
    },
    /// Another process holds the folder.
    #[error("{path}: locked by another server; stop it, or give this one a folder of its own")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Something that was named does not exist.
    #[error("{what} not found: {name}{hint}")]
    NotFound {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
        /// Empty, or "; …" with what to do.
        hint: String,
    },
    /// The deadline passed before it was read.
    #[error("too late: the deadline passed after {read} of {of} lists")]
    Late {
        /// Lists that were read before.
        read: usize,
        /// Lists that were asked for.
        of: usize,
    },
    /// An object store, or Redis, did not answer, or did not hold what it should.
    #[error("{place}: {detail}")]
    Store {
        /// Address of the object, or of the store.
        place: String,
        /// What it said, without keys.
        detail: String,
    },
    /// Not now; sent again in a while it may be taken. Nothing of it was taken.
    #[error("{why}")]
    Busy {
        /// Why not.
        why: Busy,
    },
    /// A value, file or request that does not make sense.
    #[error("{place}: {detail}")]
    Invalid {
        /// File and line, field, or rule position.
        place: String,
        /// Expected and found.
        detail: String,
    },
}

/// Why nothing is taken just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// The memory for what is under way is used up.
    #[error(
        "the memory for events that are under way is used up; send it again later ([server] event_memory)"
    )]
    Full,
    /// More is in the log than the consumers could apply so far.
    #[error("the log has more than could be applied so far; send it again later")]
    Behind,
    /// The log can't be written.
    #[error("the log can't be written; nothing was taken; send it again later")]
    Failed,
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an I/O error with the path it happened at.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// An [`Error::Invalid`].
    pub fn invalid(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), detail: detail.into() }
    }
}
