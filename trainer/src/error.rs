//! The one error of this crate. Messages are lower-case and name file, line and field where there are any.

use std::path::{Path, PathBuf};

/// What can go wrong while training.
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
    /// A column file could not be read or written.
    #[error("{path}: {detail}")]
    Columns {
        /// Which file.
        path: PathBuf,
        /// What polars said.
        detail: String,
    },
    /// The data layer refused.
    #[error(transparent)]
    Layer(#[from] data_layer::Error),
    /// Input that does not make sense.
    #[error("{place}: {detail}")]
    Invalid {
        /// File, line and field.
        place: String,
        /// What is wrong, and what is right.
        detail: String,
    },
    /// The command line asks for something that does not exist. Exit code 2.
    #[error("{0}")]
    Usage(String),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps an I/O error with the path it happened at.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// Wraps a polars error with the path it happened at.
    pub fn columns(path: impl AsRef<Path>) -> impl FnOnce(polars::error::PolarsError) -> Self {
        let path = path.as_ref().to_owned();
        move |e| Self::Columns { path, detail: e.to_string() }
    }

    /// An [`Error::Invalid`].
    pub fn invalid(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), detail: detail.into() }
    }

    /// The exit code of the program that fails with this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Usage(_)) { 2 } else { 1 }
    }
}
