//! What the log thread is asked to do, and what of it makes one group. What it does is `pipeline.rs`'s.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use tokio::sync::oneshot;

use super::admission::Reservation;
use super::dedupe::Dedupe;
use super::prepare::Prepared;
use super::{Receipt, Rejected};
use crate::Result;
use crate::types::{Decision, Millis};

/// Batches that are written and synced together, at most.
const MOST_GROUP: usize = 4096;
/// A group is closed when it has this many bytes.
const MOST_GROUP_BYTES: usize = 8 << 20;

/// Events that came in one call.
pub(super) struct Batch {
    /// Settled and encoded.
    pub events: Prepared,
    /// What was rejected before it got here.
    pub rejected: Vec<Rejected>,
    /// When it came.
    pub received_ms: Millis,
    /// Who waits.
    pub reply: oneshot::Sender<Result<Receipt>>,
    /// Share of the memory for what is under way.
    pub room: Arc<Reservation>,
}

/// What the writer thread is asked to do.
pub(super) enum Job {
    /// Append and acknowledge.
    Batch(Batch),
    /// Append some time.
    Decision(Box<Decision>),
    /// Give a copy of what is remembered of events that came.
    Remember(oneshot::Sender<Dedupe>),
    /// Start a new segment of both streams behind what came before.
    Seal(Sender<Result<()>>),
    /// Finish what came before, and end.
    Close,
}

/// What has arrived.
#[derive(Default)]
pub(super) struct Gathered {
    pub batches: Vec<Batch>,
    pub decisions: Vec<Decision>,
    /// Who asks what is remembered.
    pub asked: Vec<oneshot::Sender<Dedupe>>,
    /// Who asks for new segments.
    pub seals: Vec<Sender<Result<()>>>,
    /// Nothing more comes.
    pub close: bool,
}

/// Everything that has arrived, up to the bounds of a group.
pub(super) fn gather(first: Job, jobs: &Receiver<Job>) -> Gathered {
    let mut all = Gathered::default();
    let (mut next, mut bytes) = (Some(first), 0);
    while let Some(job) = next {
        match job {
            Job::Batch(batch) => {
                bytes += batch.room.bytes();
                all.batches.push(batch);
            }
            Job::Decision(decision) => all.decisions.push(*decision),
            Job::Remember(reply) => all.asked.push(reply),
            Job::Seal(done) => all.seals.push(done),
            Job::Close => all.close = true,
        }
        let full = bytes >= MOST_GROUP_BYTES || all.batches.len() + all.decisions.len() >= MOST_GROUP;
        next = if full || all.close { None } else { jobs.try_recv().ok() };
    }
    all
}
