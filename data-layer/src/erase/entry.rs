//! One erasure: as the journal keeps it, and as people see it. Not for what is done with them: `journal.rs`.

use serde::{Deserialize, Serialize};

use crate::types::Millis;

/// What is kept of one erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Sequence of the record that asks for it.
    pub sequence: u64,
    /// When it was received.
    pub time: Millis,
    /// Keyed hash of the person, in hex digits.
    pub person: String,
    /// Whether another server was asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken: bool,
    /// The position of the record there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Whether the other servers have been told, of whom this log knows besides where another was asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// When the rewriting began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Millis>,
    /// The key of the pseudonyms, while the rewriting goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What the person is called where it has been done, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub becomes: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Millis>,
    /// Files that were written again.
    #[serde(default)]
    pub files: u64,
    /// Records that were changed or emptied, of everybody who was erased together.
    #[serde(default)]
    pub records: u64,
}

impl Entry {
    /// One that has not begun.
    pub(super) fn new(sequence: u64, time: Millis, person: String) -> Self {
        let (taken, of, told) = (false, None, false);
        let (began, secret, becomes, ended, files, records) = (None, None, None, None, 0, 0);
        Self { sequence, time, person, taken, of, told, began, secret, becomes, ended, files, records }
    }

    pub(super) fn state(&self) -> State {
        match (self.ended, self.began) {
            (Some(_), _) => State::Done,
            (None, Some(_)) => State::Rewriting,
            (None, None) => State::Pending,
        }
    }
}

/// How far an erasure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Honoured by every reader; the files have not been rewritten yet.
    Pending,
    /// Files are being rewritten.
    Rewriting,
    /// Nothing of the id is left.
    Done,
}

impl State {
    /// As it is told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Rewriting => "rewriting",
            Self::Done => "done",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        [Self::Pending, Self::Rewriting, Self::Done].into_iter().find(|state| state.name() == name)
    }
}

/// How far one of several servers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Identity of its log.
    pub producer: u64,
    /// How far it is in its files.
    pub state: State,
}

/// An erasure as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// How far it is.
    pub state: State,
    /// When it was asked for.
    pub asked: Millis,
    /// When the rewriting began.
    pub began: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// Files that have been looked through, of so many; those of all that are erased together.
    pub looked_through: [u64; 2],
    /// Files that were written again.
    pub files: u64,
    /// Records that were changed or emptied.
    pub records: u64,
    /// All servers that share a Redis; empty where there is one alone.
    pub servers: Vec<Peer>,
}
