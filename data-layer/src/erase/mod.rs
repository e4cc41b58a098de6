//! Erasure of people from what is on the disk: a journal of who asked when, by keyed hash; a plan of what becomes of each record; the
//! rewriting of segments and archives by rename. Not for the live state, which the erase record itself empties: `ingest/apply/`.
//!
//! **Invariant:** the record that asks for an erasure is rewritten last of all, so that whoever goes on after a crash still knows whom to
//! look for; and what is read in between is read through the plan, as if the rewriting had ended.

mod archives;
mod journal;
mod peers;
mod plan;
mod secret;
mod segments;
mod staged;
#[cfg(test)]
mod tests;
mod worker;

pub use journal::{Erasure, Erasures, Peer, State};
pub(crate) use peers::Peers;
pub use plan::{At, Fate, Plan};
pub(crate) use worker::{Eraser, Work};
