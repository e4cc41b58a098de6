//! How far a log is on the disk, told to those who follow it in this process, with or without an async runtime. Not for other
//! processes: they read the same from `mark.rs`.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::mark::Mark;

/// Where the synced bytes of a log end, and a bell for those who wait for more.
#[derive(Debug)]
pub struct Growth {
    mark: watch::Sender<Mark>,
    bell: Condvar,
    held: Mutex<()>,
}

impl Growth {
    pub(super) fn new(mark: Mark) -> Self {
        Self { mark: watch::Sender::new(mark), bell: Condvar::new(), held: Mutex::new(()) }
    }

    pub(super) fn set(&self, mark: Mark) {
        self.mark.send_replace(mark);
        // Whoever looked before this and has not begun to wait yet holds the lock.
        drop(self.held.lock());
        self.bell.notify_all();
    }

    /// The mark as it is.
    #[must_use]
    pub fn mark(&self) -> Mark {
        *self.mark.borrow()
    }

    /// Waits until the mark is another than `seen`, at most so long; `false` where it is not. Blocks the thread.
    #[must_use]
    pub fn wait(&self, seen: Mark, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        let mut held = self.held.lock();
        while self.mark() == seen {
            if self.bell.wait_until(&mut held, until).timed_out() {
                return self.mark() != seen;
            }
        }
        true
    }

    /// Waits until the mark is another than `seen`; `false` where the log was closed first.
    pub async fn changed(&self, seen: Mark) -> bool {
        self.mark.subscribe().wait_for(|mark| *mark != seen).await.is_ok()
    }
}
