//! Compaction of attributes: what items and people were said to be, and were said to be again since, leaves sealed segments that are older than
//! `[log] compact_after`, however long events stay. Replay of what stays gives the same live state, bit for bit, at the end and at every deed on the way there. Not for
//! deeds, nor for what was erased: that is `erase/`.
//!
//! **Invariant:** a record goes only where each thing that it says is said again by a later one that stays, at a later event time or in the same words;
//! and where it changed nothing, when it came, that later deeds look at: an item's kind, deletion and beginning, a person's consent and time zone.
//! So it does not matter which of the records that may go are gone already, nor which sources the configuration prefers.

mod acting;
mod plan;
mod scan;
mod segments;
mod sets;
#[cfg(test)]
mod tests;
mod worker;

pub use worker::Standing;
pub(crate) use worker::{Compactor, Work};
