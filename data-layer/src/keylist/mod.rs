//! The static store: one immutable, checksummed, memory-mapped file per generation of a table, key → ordered list of (item, score).
//!
//! Useful for: random reads of many small lists, shared by processes, opened in no time. Not useful for: anything that changes
//! (that is `live/`), or finding the keys that hold an item. The layout is written down in `docs/formats.md`.
//!
//! **Invariant:** a damaged file never gives a wrong list, and never says of a key that it is not there when it is. With
//! [`Verify::Full`] it is refused at open; with [`Verify::Open`] what is damaged is reported when it is read, or by
//! [`Table::scrub`].

mod assemble;
mod build;
mod check;
mod dictionary;
mod encode;
mod format;
mod hash;
mod kernel;
mod levels;
mod list;
mod lookup;
mod map;
mod pending;
mod perfect;
mod quick;
mod record;
mod residency;
mod sections;
#[cfg(target_os = "linux")]
mod sigbus;
mod sink;
mod spec;
mod spill;
mod statistics;
mod stride;
mod table;
mod v1;

pub use build::{MAX_LIST, OnLists, TWICE, Writer};
pub use format::{FORMAT_VERSION, Header, IndexKind, KeyKind, MAX_VECTOR, ScoreCodec, generation_name};
pub use list::{List, ListIter, Op, Room};
pub use quick::Columns;
pub use residency::{Refused, Residency};
pub use spec::{Built, DEFAULT_MEMORY, TableSpec};
pub use statistics::{QUANTILES, Statistics};
pub use table::{Table, Verify};

/// Ending of the files of this format.
pub const EXTENSION: &str = "keylist";

/// Longest key, in bytes.
pub const MAX_KEY: usize = 256;

/// A key as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key<'a> {
    /// A number; written in decimal, without sign or leading zeros, where text is asked for.
    U64(u64),
    /// 1 to 256 bytes of any UTF-8.
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
            KeyKind::String => (1..=MAX_KEY).contains(&text.len()).then_some(Self::Str(text)),
            KeyKind::U64 => {
                let canonical = text == "0" || (!text.starts_with('0') && !text.starts_with('+'));
                text.parse().ok().filter(|_| canonical).map(Self::U64)
            }
        }
    }
}

#[cfg(test)]
mod tests;
