//! The static store: one immutable, checksummed, memory-mapped file per generation of a table, key → ordered list of (item, score).
//!
//! Useful for: random reads of many small lists, shared by processes, opened in no time. Not useful for: anything that changes
//! (that is `live/`), or finding the keys that hold an item. The layout is written down in `docs/formats.md`.
//!
//! **Invariant:** a damaged file never gives a wrong list. With [`Verify::Full`] it is refused at open; with
//! [`Verify::Header`] the damaged bucket or record is reported when it is read.

mod build;
mod encode;
mod format;
#[allow(dead_code, unused_imports, reason = "format version 2 is built on it next")]
mod kernel;
mod list;
mod map;
#[allow(dead_code, reason = "format version 2 is built on it next")]
mod perfect;
#[cfg(target_os = "linux")]
mod sigbus;
mod table;

pub use build::{Built, MAX_LIST, TableSpec, Writer};
pub use format::{FORMAT_VERSION, Header, KeyKind, ScoreCodec, Statistics, generation_name};
pub use list::{List, ListIter};
pub use table::{Table, Verify};

/// Ending of the files of this format.
pub const EXTENSION: &str = "keylist";

/// A key as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key<'a> {
    /// A number; written in decimal, without sign or leading zeros, where text is asked for.
    U64(u64),
    /// 1 to 256 bytes of UTF-8 without control characters.
    Str(&'a str),
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(key: &'a str) -> Self {
        Self::Str(key)
    }
}

impl From<u64> for Key<'_> {
    fn from(key: u64) -> Self {
        Self::U64(key)
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::U64(number) => write!(f, "{number}"),
            Self::Str(text) => f.write_str(text),
        }
    }
}

impl<'a> Key<'a> {
    /// The key that this text means in a table of this kind; `None` where it can be none, such as `007` among numbers.
    #[must_use]
    pub fn of_kind(text: &'a str, kind: KeyKind) -> Option<Self> {
        match kind {
            KeyKind::String => crate::types::id::check(text).ok().map(|()| Self::Str(text)),
            KeyKind::U64 => {
                let canonical = text == "0" || (!text.starts_with('0') && !text.starts_with('+'));
                text.parse().ok().filter(|_| canonical).map(Self::U64)
            }
        }
    }
}

#[cfg(test)]
mod tests;
