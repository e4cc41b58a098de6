//! The one error of this crate. Messages are lower-case, say what was expected and found, and how to mend it.

/// What can go wrong in the compute layer. Nothing here loses a request: drivers turn it into a `Degraded` entry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A component's parameters do not make sense. `place` is `recall.item_cf.quota`, `feature.match.genre`, …
    #[error("{place}: {detail}")]
    Invalid {
        /// Section, component and key.
        place: String,
        /// Expected and found, and how to mend it.
        detail: String,
    },
    /// More sources than a candidate has bits.
    #[error("a scene has at most 64 recalls, found {0}; merge some of them")]
    TooManySources(usize),
    /// A list that was to be read ahead is not there; the rest still counts.
    #[error("{detail}")]
    LeftOut {
        /// Cause of the `Degraded` entry: `deadline`, `overload`, `missing` or `error`.
        cause: &'static str,
        /// What, how much of it, and why.
        detail: String,
    },
    /// The data layer refused.
    #[error(transparent)]
    Data(#[from] data_layer::Error),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Invalid`].
    pub fn invalid(place: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), detail: detail.into() }
    }
}
