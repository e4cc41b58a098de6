//! Erasure of people from what is on the disk: a journal of who asked when, by keyed hash; a plan of what becomes of each record; the
//! rewriting of segments and archives by rename. Not for the live state, which the erase record itself empties: `ingest/apply/`.
//!
//! **Invariant:** the record that asks for an erasure is rewritten last of all, so that whoever goes on after a crash still knows whom to
//! look for; and what is read in between is read through the plan, as if the rewriting had ended.

mod archives;
mod entry;
mod journal;
mod peers;
mod plan;
mod secret;
mod segments;
mod servers;
mod since;
mod staged;
#[cfg(test)]
mod tests;
mod worker;

pub use entry::{Erasure, Peer, State};
pub use journal::Erasures;
pub(crate) use peers::{Peers, being_erased};
pub use plan::{At, Fate, Plan};
pub use servers::{Server, forget_server, servers};
pub(crate) use since::{End, Since, begun, nobody};
pub(crate) use worker::{Eraser, RESTORING, Sweep, Work};

/// Names of the files that say who was erased, in the folder of a log: the key before what is hashed under it.
pub(crate) const FILES: [&str; 2] = [journal::SALT, journal::JOURNAL];
