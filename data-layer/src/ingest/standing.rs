//! How the way in stands, for operations: counts, the archive, snapshots. Not for events.

use std::sync::Arc;

use super::rebuild::Rebuilding;
use super::snapshots::{self, Snapshots};
use super::{Ingest, Stats};
use crate::Result;
use crate::archive::Standing;
use crate::compact;
use crate::erase::Erasures;
use crate::log::Holds;

impl Ingest {
    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// Keeps in the log what somebody needs, for as long as the server runs.
    pub fn hold(&self, holds: Arc<dyn Holds>) {
        self.inner.sealed.holds.lock().push(holds);
    }

    /// The snapshots that are taken, where the configuration wants any.
    #[must_use]
    pub fn snapshots(&self) -> Option<&Snapshots> {
        self.inner.snapshots.as_deref()
    }

    /// Takes a snapshot now and drops all older ones, so that what was erased is in none. Blocks the thread.
    ///
    /// # Errors
    /// What could not be written.
    pub fn renew_snapshots(&self) -> Result<()> {
        let jobs = &self.inner.jobs;
        self.inner.snapshots.as_ref().map_or(Ok(()), |snapshots| snapshots.renew(|| snapshots::ask(jobs)))
    }

    /// Who was erased, and how far that is.
    #[must_use]
    pub fn erasures(&self) -> &Arc<Erasures> {
        &self.inner.sealed.erasures
    }

    /// How far the archive is, where there is one.
    #[must_use]
    pub fn archive(&self) -> Option<&Standing> {
        self.inner.standings.archive.as_deref()
    }

    /// What compaction has come to, where the configuration wants it.
    #[must_use]
    pub fn compaction(&self) -> Option<&compact::Standing> {
        self.inner.standings.compact.as_deref()
    }

    /// How far state is that is being made anew, because what is kept of events has changed; `None` where it has not.
    #[must_use]
    pub fn rebuilding(&self) -> Option<&Rebuilding> {
        self.inner.rebuilding.as_deref()
    }
}
