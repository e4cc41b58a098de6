//! What servers share through Redis: the bus that carries events from each server's log to the owner of a partition, the state that
//! owners commit with their position in one step, and what they send on. Not the truth: that is each server's own log, and what Redis
//! loses is sent again from there. Not for what a state or an event means: here they are bytes.
//!
//! | file | holds |
//! |---|---|
//! | `link`, `line` | connection: one server or a cluster, TLS, passwords, time limits; made anew where it broke, and counted |
//! | `cluster` | which server of a cluster has what |
//! | `keys` | names of everything in Redis |
//! | `script` | the functions that run inside Redis: `append.lua`, `commit.lua`, `trim.lua`, `beat.lua`, `last.lua`, `reach.lua`, `swap.lua`, `unpause.lua` |
//! | `mark` | how far a partition has come, from every sender |
//! | `members` | which servers work on which partitions |
//! | `packet` | many records as one entry of a stream |
//! | `partition`, `states`, `trim` | append to, read, commit and trim one partition |
//! | `applied`, `erasures` | how far servers have come, and whom they erase, told to each other |
//! | `routes` | where a record of a log goes |
//! | `outbox`, `outlook`, `follower`, `forwarded` | a server's log on its way to the partitions |
//! | `pause` | all outboxes stand still for a while, so that what is in Redis is as of one position of each log |
//! | `whole` | all of a namespace at once: whether it has settled, what it holds, what is put back |
//! | `owner`, `work`, `ids` | takes what arrived in a partition: once, whoever sent it |
//! | `sweep` | what partitions of people keep for a while, dropped before its time |
//! | `relay`, `message` | what partitions send on to each other |
//! | `items`, `reach` | the second stream: what happens to items, for every server; how far it reaches back, and for whom |
//!
//! **Invariant:** every effect of an entry and the mark that says it was taken go in together, in one slot, or not at all; whoever
//! holds another mark than the one found is refused. So no lock is needed, and an owner that was stopped does no harm.
//!
//! **Invariant:** what was read over one connection is never committed, or sent on, over a later one: the Redis behind that may be one that came
//! back with less. Who remembers across connections what Redis has looks again when one was made.

mod applied;
mod cluster;
pub mod erasures;
pub mod follower;
pub mod forwarded;
mod ids;
pub mod items;
pub mod keys;
mod line;
pub mod link;
pub mod mark;
pub mod members;
pub mod message;
pub mod outbox;
mod outlook;
pub mod owner;
pub mod packet;
pub mod partition;
pub mod pause;
pub mod reach;
mod relay;
pub mod routes;
mod script;
mod states;
mod sweep;
mod trim;
pub mod whole;
pub mod work;

pub use follower::Follower;
pub use items::{Delta, Gather, Sum, Tail, Tailed};
pub use keys::{Lane, NoteKey, Place};
pub use link::{Link, Options};
pub use mark::{Mark, Sender, StreamId};
pub use members::Member;
pub use message::Message;
pub use outbox::{Outbox, Records};
pub use outlook::{Outlook, Reached};
pub use owner::Owner;
pub use packet::{Packed, Packet, Unpacked};
pub use partition::{Appended, Commit, Committed, Entry, Partitions, Which};
pub use reach::{Fit, Reach};
pub use whole::Kept;
pub use work::{Arrived, Begun, Found, Needs, Notes, Outcome, Overlook, Work};
