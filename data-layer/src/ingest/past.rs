//! How what happened long ago gets to the log: in pieces, one at a time, each when nothing of the present is under way. While there is a
//! present they are small, each is applied before the next, and half of the time there is none. So what happens now waits for one small piece at most, though both are in one
//! log and applied in its order. Not for who may be let in: that is `admission.rs`'s.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use tokio::sync::oneshot;

use super::admission::{Admission, Reservation};
use super::jobs::{Batch, Job};
use super::prepare::Prepared;
use super::{Receipt, closed, start};
use crate::Result;
use crate::config::Config;
use crate::live::Live;
use crate::types::Millis;

/// Events of a piece while there is a present, and while there is none.
const PIECE: usize = 256;
const PIECE_ALONE: usize = 4096;
/// Records that may wait to be applied while there is none.
const AHEAD: u64 = 2 * PIECE_ALONE as u64;
/// There is a present where something of it came within this.
const RECENTLY: Duration = Duration::from_secs(1);
/// How long applying a piece is waited for, at most: what servers share may be away.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often is looked whether a piece is applied.
const LOOK: Duration = Duration::from_micros(200);
/// The longest pause behind a piece.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What the thread does and is told.
struct Work {
    jobs: Sender<Job>,
    admission: Arc<Admission>,
    live: Arc<Live>,
}

/// The thread. Dropping it ends it: who waits for a piece of theirs gets an answer, who waits for their turn is told that it is closed.
#[derive(Debug)]
pub(super) struct Past {
    inbox: Sender<Option<Batch>>,
    admission: Arc<Admission>,
    thread: Option<JoinHandle<()>>,
}

impl Past {
    /// Starts it, and says where bodies are sent.
    pub(super) fn start(
        config: &Config,
        jobs: &Sender<Job>,
        admission: &Arc<Admission>,
        live: &Arc<Live>,
    ) -> Result<(Self, Sender<Option<Batch>>)> {
        let (inbox, bodies) = channel();
        let work = Work { jobs: jobs.clone(), admission: Arc::clone(admission), live: Arc::clone(live) };
        let thread = start::spawn("weir-past", config, move || work.run(&bodies))?;
        let past = Self { inbox: inbox.clone(), admission: Arc::clone(admission), thread: Some(thread) };
        Ok((past, inbox))
    }
}

impl Drop for Past {
    fn drop(&mut self) {
        self.admission.end_past();
        // A thread that has ended already has dropped its end; joining tells why.
        let _ = self.inbox.send(None);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the past failed");
        }
    }
}

impl Work {
    fn run(&self, bodies: &Receiver<Option<Batch>>) {
        while let Ok(Some(body)) = bodies.recv() {
            let Batch { events, rejected, received_ms, reply, room } = body;
            let none = Receipt { accepted: 0, duplicates: 0, rejected, position: self.live.applied() };
            let receipt = self.pieces(events, none, received_ms, &room);
            // Nobody waiting any more is no error: the events are in the log.
            drop(reply.send(receipt));
        }
    }

    /// Sends a body, a piece at a time. After an error what was sent stays in the log.
    fn pieces(
        &self,
        events: Prepared,
        mut receipt: Receipt,
        received_ms: Millis,
        room: &Arc<Reservation>,
    ) -> Result<Receipt> {
        let mut pieces = events.pieces();
        loop {
            block_on(self.admission.yield_to_live());
            if self.admission.past_has_ended() {
                return Err(closed());
            }
            let present = self.admission.was_live(RECENTLY);
            let events = pieces.next_of(if present { PIECE } else { PIECE_ALONE });
            let begun = Instant::now();
            let Receipt { accepted, duplicates, rejected, position } =
                self.piece(events, received_ms, Arc::clone(room))?;
            receipt.accepted += accepted;
            receipt.duplicates += duplicates;
            receipt.rejected.extend(rejected);
            receipt.position = position;
            if self.admission.was_live(RECENTLY) {
                self.until_applied(position.sequence, begun);
                std::thread::sleep(begun.elapsed().min(LONGEST_PAUSE));
            } else {
                self.until_applied(position.sequence.saturating_sub(AHEAD), begun);
            }
            if pieces.is_empty() {
                receipt.rejected.sort_by_key(|rejected| rejected.index);
                return Ok(receipt);
            }
        }
    }

    fn piece(&self, events: Prepared, received_ms: Millis, room: Arc<Reservation>) -> Result<Receipt> {
        let (reply, answer) = oneshot::channel();
        let batch = Batch { events, rejected: Vec::new(), received_ms, reply, room };
        self.jobs.send(Job::Batch(batch)).map_err(|_| closed())?;
        answer.blocking_recv().map_err(|_| closed())?
    }

    fn until_applied(&self, sequence: u64, since: Instant) {
        while self.live.applied().sequence < sequence
            && since.elapsed() < PATIENCE
            && !self.admission.past_has_ended()
        {
            std::thread::sleep(LOOK);
        }
    }
}
