//! The one error of this crate. What a client did wrong is a [`Refusal`], what is wrong in files a list of [`Fault`]s.

use std::fmt;
use std::path::PathBuf;

/// What can go wrong in the app layer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data layer's.
    #[error(transparent)]
    Data(#[from] data_layer::Error),
    /// The compute layer's.
    #[error(transparent)]
    Compute(#[from] compute_layer::Error),
    /// A request that can't be answered as it stands.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Files that do not check; everything that was found, at once.
    #[error("{}", lines(.0))]
    Files(Vec<Fault>),
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The operating system or a peer refused.
    #[error("{place}: {detail}")]
    Io {
        /// File, address or URL.
        place: String,
        /// What it said.
        detail: String,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Io`] at a place.
    pub fn io<E: fmt::Display>(place: impl fmt::Display) -> impl FnOnce(E) -> Self {
        let place = place.to_string();
        move |e| Self::Io { place, detail: e.to_string() }
    }
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which file.
    pub file: PathBuf,
    /// Line from 1; 0 where no line is to blame.
    pub line: usize,
    /// Where in it, such as `recall.item_cf.table`; may be empty.
    pub path: String,
    /// What was expected and found, and how to mend it.
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// Why a request is refused; becomes a problem document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}{}", lines(.errors))]
pub struct Refusal {
    /// The status it is answered with.
    pub status: u16,
    /// One sentence.
    pub detail: String,
    /// Field by field, where that helps.
    pub errors: Vec<FieldError>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field.
    pub pointer: String,
    /// What was expected and found.
    pub detail: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  {}: {}", self.pointer, self.detail)
    }
}

impl Refusal {
    /// A refusal without fields.
    #[must_use]
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new() }
    }

    /// 422 for one field.
    #[must_use]
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// 422 for some fields.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        Self { status: 422, detail: "the request does not check; see errors".to_owned(), errors }
    }
}

fn lines<T: fmt::Display>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
