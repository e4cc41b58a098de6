//! What others may know of an outbox: how far it is, and whether Redis takes what it sends. Not for the sending: that is `outbox.rs`'s.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::forwarded::Forwarded;

/// What others may know of an outbox.
#[derive(Debug, Default)]
pub struct Outlook {
    position: AtomicU64,
    resent: AtomicU64,
    away: AtomicBool,
    stop: AtomicBool,
    reached: Mutex<Arc<Reached>>,
    /// Called when more is in Redis.
    bell: OnceLock<Bell>,
}

/// What Redis has of a log.
#[derive(Debug, Default, Clone)]
pub struct Reached {
    /// Every record up to this sequence is in.
    pub position: u64,
    /// How often Redis had lost something so far.
    pub losses: u64,
    /// Last sequence that is in, by partition: people's, then items'.
    pub sent: Vec<u64>,
}

/// Something to be called.
struct Bell(Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bell")
    }
}

impl Outlook {
    /// Every record up to this sequence is in Redis. The log must keep what comes after it.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    /// What Redis has, with the last sequence of each partition.
    #[must_use]
    pub fn reached(&self) -> Arc<Reached> {
        Arc::clone(&self.reached.lock())
    }

    /// Records that were sent again, since the start.
    #[must_use]
    pub fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    /// Has something called whenever more is in Redis; only the first is.
    pub fn ring(&self, call: impl Fn() + Send + Sync + 'static) {
        drop(self.bell.set(Bell(Box::new(call))));
    }

    pub(super) fn reach(&self, done: &Forwarded, losses: u64) {
        self.position.store(done.position, Ordering::Release);
        let mut reached = self.reached.lock();
        if (reached.position, reached.losses) != (done.position, losses) || reached.sent.is_empty() {
            *reached = Arc::new(Reached { position: done.position, losses, sent: done.sent.clone() });
            drop(reached);
            if let Some(Bell(call)) = self.bell.get() {
                call();
            }
        }
    }

    /// Whether Redis did not take what was sent last.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Acquire)
    }

    pub(super) fn start_at(&self, position: u64) {
        self.position.store(position, Ordering::Release);
    }

    pub(super) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
    }

    pub(super) fn sent_again(&self) {
        self.resent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Makes [`super::Outbox::run`] end soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}
