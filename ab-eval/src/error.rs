//! The one error of this crate. Messages are lower-case and say what was expected, what was found and where.

use std::path::{Path, PathBuf};

/// What can go wrong in an evaluation.
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
    /// A file that is not what it should be.
    #[error("{path}: {detail}")]
    Input {
        /// Which file.
        path: PathBuf,
        /// Where in it, expected and found.
        detail: String,
    },
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(String),
    /// A server that cannot be reached or that refuses.
    #[error("{url}: {detail}")]
    Server {
        /// Which address.
        url: String,
        /// What it said.
        detail: String,
    },
    /// The data layer's error, as it is.
    #[error(transparent)]
    Data(#[from] data_layer::Error),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an I/O error with its path.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// An [`Error::Input`].
    pub fn input(path: impl AsRef<Path>, detail: impl Into<String>) -> Self {
        Self::Input { path: path.as_ref().to_owned(), detail: detail.into() }
    }
}
