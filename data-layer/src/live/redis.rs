//! People in Redis, read: one pipelined read of their states, under a time limit of its own, and the numbers of this process for the items that they
//! name. And how far this server has read what all servers say of items. Not for what changes a state: that is `ingest/shared/`'s.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

use super::codec::{self, kept};
use super::people::People;
use super::{Items, Live, UserState};
use crate::Result;
use crate::shared::Partitions;
use crate::types::{Person, Position};

/// How states are called in errors.
const PLACE: &str = "state of a person in redis";
/// How often it is asked how far another server has come.
const ASK: Duration = Duration::from_millis(2);

/// Looks at everything that servers say of items, counted: a look that began after something was said has seen it when it is done.
#[derive(Debug, Default)]
pub struct Looks {
    begun: AtomicU64,
    done: watch::Sender<u64>,
}

impl Looks {
    /// A look begins.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// The one that was begun has seen all there was.
    pub fn end(&self) {
        self.done.send_replace(self.begun.load(Ordering::Acquire));
    }

    /// Whether one was ever done.
    #[must_use]
    pub fn any(&self) -> bool {
        *self.done.borrow() > 0
    }

    /// Waits for one that begins after this call.
    pub(crate) async fn next(&self) {
        let wanted = self.begun.load(Ordering::Acquire) + 1;
        // The sender is never dropped before its owner.
        let _ = self.done.subscribe().wait_for(|done| *done >= wanted).await;
    }
}

/// Where people are who are not in this process.
#[derive(Debug)]
pub struct Elsewhere {
    /// Over a connection that answers within a request's patience, or not at all.
    pub partitions: Partitions,
    /// Of this server.
    pub looks: Arc<Looks>,
}

impl Elsewhere {
    /// Waits until what another server's log holds up to a position counts here; `false` where that takes longer.
    pub(super) async fn wait_for(&self, position: Position, at_most: Duration) -> bool {
        let counts = async {
            while !self.partitions.applied(position.producer).await.is_ok_and(|at| at >= position.sequence) {
                tokio::time::sleep(ASK).await;
            }
            self.looks.next().await;
        };
        tokio::time::timeout(at_most, counts).await.is_ok()
    }
}

impl Live {
    /// Reads people elsewhere from now on, and waits for other servers' positions. Only the first call counts.
    pub fn read_elsewhere(&self, elsewhere: Elsewhere) {
        drop(self.elsewhere.set(elsewhere));
    }

    /// Whether it does.
    pub(crate) fn reads_elsewhere(&self) -> bool {
        self.elsewhere.get().is_some()
    }

    fn decoded(&self, bytes: &[u8]) -> Result<Arc<UserState>> {
        let (_, bytes) = kept::split(bytes, PLACE)?;
        // Most items are known, and those are looked up beside other readers.
        let mut fresh = Vec::new();
        let decoded = {
            let items = self.items();
            codec::decode(bytes, PLACE, &self.actions, &mut |text| {
                Ok(items.ordinal(text).unwrap_or_else(|| {
                    fresh.push(text.to_owned());
                    0
                }))
            })
        };
        if fresh.is_empty() {
            return decoded.map(Arc::new);
        }
        self.intern(fresh.iter().map(String::as_str))?;
        let items = self.items();
        let mut intern = |text: &str| Ok(items.ordinal(text).unwrap_or_default());
        codec::decode(bytes, PLACE, &self.actions, &mut intern).map(Arc::new)
    }
}

impl People for Live {
    fn read<'a>(&'a self, who: &'a [Person]) -> BoxFuture<'a, Result<Vec<Option<Arc<UserState>>>>> {
        let Some(elsewhere) = self.elsewhere.get() else { return self.people.read(who) };
        let read = async {
            let states = elsewhere.partitions.states(who).await?;
            let decode = |state: Option<Vec<u8>>| state.map(|bytes| self.decoded(&bytes)).transpose();
            states.into_iter().map(decode).collect()
        };
        read.boxed()
    }
}
