//! How a server gets on with what it shares: for readiness and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::live::Looks;
use crate::log::Holds;
use crate::shared::{Lane, Outlook, Overlook};

/// What others may know of it. Read at any time, from any thread.
#[derive(Debug)]
pub struct Standing {
    pub(super) outlook: Arc<Outlook>,
    /// Of people's partitions, then of items'.
    pub(super) overlooks: [Arc<Overlook>; 2],
    pub(super) looks: Arc<Looks>,
    pub(super) deltas: AtomicU64,
    pub(super) trimmed: AtomicU64,
    pub(super) reloads: AtomicU64,
    /// Why it can't follow what is said of items.
    pub(super) stuck: Mutex<Option<String>>,
    pub(super) unfit: Mutex<Option<String>>,
}

impl Standing {
    pub(super) fn new(outlook: Arc<Outlook>, overlooks: [Arc<Overlook>; 2], looks: Arc<Looks>) -> Self {
        let [deltas, trimmed, reloads] = [0; 3].map(AtomicU64::new);
        let (stuck, unfit) = (Mutex::default(), Mutex::default());
        Self { outlook, overlooks, looks, deltas, trimmed, reloads, stuck, unfit }
    }

    /// Every record of this server's log up to this sequence is in Redis.
    #[must_use]
    pub fn forwarded(&self) -> u64 {
        self.outlook.position()
    }

    /// Records that were sent again.
    #[must_use]
    pub fn resent(&self) -> u64 {
        self.outlook.resent()
    }

    /// Whether Redis did not take what was sent last.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.outlook.is_away()
    }

    /// What this server does of a lane.
    #[must_use]
    pub fn of(&self, lane: Lane) -> &Overlook {
        &self.overlooks[usize::from(lane == Lane::Items)]
    }

    /// Deltas of items that were read since the start.
    #[must_use]
    pub fn deltas(&self) -> u64 {
        self.deltas.load(Ordering::Relaxed)
    }

    /// Messages about items that this server dropped from Redis, because no snapshot needs them any more.
    #[must_use]
    pub fn trimmed(&self) -> u64 {
        self.trimmed.load(Ordering::Relaxed)
    }

    /// How often a snapshot took the place of what was known of items, because Redis had lost or no longer had what comes next.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// Why items are not followed just now, if they are not: what comes next is not in Redis, and no snapshot is newer.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        self.stuck.lock().clone()
    }

    /// Whether all that servers had said of items has been read once since the start.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.looks.any()
    }

    /// What keeps Redis from being one that servers can share, if anything.
    #[must_use]
    pub fn unfit(&self) -> Option<String> {
        self.unfit.lock().clone()
    }
}

/// The log is needed from where Redis has not confirmed it.
#[derive(Debug)]
pub(super) struct Unsent(pub Arc<Outlook>);

impl Holds for Unsent {
    fn name(&self) -> &'static str {
        "outbox"
    }

    fn needs_from(&self) -> u64 {
        self.0.position() + 1
    }
}
