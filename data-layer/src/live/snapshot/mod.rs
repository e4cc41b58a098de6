//! The whole live side at a position of its log, as one file: so that a start need not replay the log from its beginning, and state can be
//! moved. Sections, each with its length and sum; the form is in `docs/formats.md`. When one is taken, and where it is kept, is
//! `ingest/snapshots/`'s.
//!
//! **Invariant:** a snapshot is of one position: what is applied while it is written is not in it.

mod block;
mod cut;
mod deeds;
mod frame;
mod load;
mod people;
mod piece;
mod put;
mod single;
#[cfg(test)]
mod tests;
mod unblock;
mod write;

use serde::{Deserialize, Serialize};

use super::Live;
use crate::config::{Actions, Keep, Part, Parts, parts};
use crate::shared::StreamId;
use crate::types::{Millis, Position, Schema, ValueType};

pub(crate) use cut::Cut;
pub use frame::VERSION;
pub use load::{Loaded, head, load, load_beside, verify};
pub(crate) use piece::Facet;
pub(super) use piece::copy;
pub use write::{Limits, Written, write};

/// What makes state of records: where it differs, the same records come to another state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Maker {
    /// Consumers by name, with the versions of what they keep.
    pub consumers: Vec<(String, u32)>,
    /// A hash of the configured actions, bounds, levels and calendar.
    pub configured: String,
    /// A hash of what is configured of each part, by its name.
    #[serde(default)]
    pub parts: Vec<(String, String)>,
}

impl Maker {
    /// Parts that another makes of the same records in another way.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Parts {
        let version = |maker: &Self, name: &str| {
            maker.consumers.iter().find(|(own, _)| own == name).map(|(_, version)| *version)
        };
        let said = |maker: &Self, name: &str| {
            maker.parts.iter().find(|(own, _)| own == name).map(|(_, said)| said.clone())
        };
        let differs = |part: &Part| {
            let name = part.name();
            said(self, name).is_none()
                || said(self, name) != said(other, name)
                || version(self, name) != version(other, name)
        };
        Part::ALL.into_iter().filter(differs).collect()
    }
}

/// Name of the section with what item partitions pass on copies of.
const COPIES: &str = "copies";

/// Part of a snapshot that the live side keeps for others, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Whose it is.
    pub name: String,
    /// What it is.
    pub bytes: Vec<u8>,
}

/// What the first section says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the program that wrote it, for people.
    pub program: String,
    /// When it was taken.
    pub taken_ms: Millis,
    /// Identity of the log, in 16 hex digits.
    pub producer: String,
    /// The last record that is in it.
    pub sequence: u64,
    /// Its positions in the streams of items, by partition; empty where it follows none.
    #[serde(default)]
    pub streams: Vec<StreamId>,
    /// What made it.
    pub maker: Maker,
    /// Types of attributes.
    pub schema: Schema,
    /// Actions by their numbers in this file.
    pub actions: Vec<String>,
    /// Items, which are numbered in order of their ids in this file.
    pub items: usize,
    /// Texts of attributes and kinds, numbered in their order.
    pub words: usize,
    /// Attributes by their numbers in this file.
    pub columns: Vec<(String, ValueType)>,
    /// Texts of kinds by their numbers in the list `trending`.
    pub trending_kinds: Vec<String>,
    /// Texts of kinds by their numbers in the list `fresh`.
    pub fresh_kinds: Vec<String>,
    /// Number of the first deed.
    pub first_deed: u32,
}

impl Head {
    /// The position that it is of.
    #[must_use]
    pub fn position(&self) -> Position {
        let producer = u64::from_str_radix(&self.producer, 16).unwrap_or(0);
        Position { producer, sequence: self.sequence }
    }
}

/// A hash of what is configured of actions and of what is kept: it moves when state must be made anew.
#[must_use]
pub fn configured(actions: &Actions, keep: &Keep) -> String {
    // Whatever is added to either moves it, which costs a replay and nothing else.
    hash(&format!("{actions:?} {keep:?}"))
}

/// A hash of what is configured of each part, by its name.
#[must_use]
pub fn configured_parts(actions: &Actions, keep: &Keep) -> Vec<(String, String)> {
    let parts = parts::configured(actions, keep).into_iter();
    parts.map(|(part, said)| (part.name().to_owned(), hash(&said))).collect()
}

fn hash(text: &str) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

impl Live {
    /// What is configured for this store; see [`configured`].
    #[must_use]
    pub fn configured(&self) -> String {
        configured(&self.actions, &self.keep)
    }
}
