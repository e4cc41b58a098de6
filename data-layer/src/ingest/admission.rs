//! Who is let in: the memory that bodies of events may take, from their first byte until the log has them, and whether the log takes
//! any at all. Nothing waits here; who is not let in is told so, and when to come again. Not for what is in a body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::error::Busy;
use crate::{Error, Result};

/// Bodies that may be under way at a time, however small.
pub const MOST_BODIES: usize = 16_384;
/// Room is taken in steps of this, so that small events do not ask for it one by one.
const STEP: usize = 64 << 10;
/// Bodies that are unpacked at a time: each may take a window of 8 MiB beside its room.
const MOST_UNPACKED: usize = 8;

/// Bodies of the present that one of the past lets go first.
const GOES_BEFORE: u32 = 32;

/// For whom room is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lane {
    /// What happens now.
    #[default]
    Live,
    /// What happened long ago: it takes at most half of the room, and yields.
    Backfill,
}

/// Whether the log takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Flow {
    /// It does.
    Open = 0,
    /// It has more than it can apply; nothing is let in until that is less.
    Behind = 1,
    /// It can't write, such as on a full disk.
    Failed = 2,
}

/// The room for bodies of one namespace.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    bodies: AtomicUsize,
    turned_away: AtomicUsize,
    flow: AtomicU8,
    unpacking: Arc<Semaphore>,
    /// Bodies of the live lane that are under way, and a word each time that one of them is done.
    live: AtomicUsize,
    done: Notify,
    /// When something of the present came last, in milliseconds since the start and one; 0 before the first.
    started: Instant,
    last: AtomicU64,
    /// No more of the past is sent to the log.
    past_ended: AtomicBool,
}

/// Room that a body has, given back when this is dropped.
#[derive(Debug)]
pub struct Reservation {
    of: Arc<Admission>,
    lane: Lane,
    held: usize,
    used: usize,
}

impl Admission {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            turned_away: AtomicUsize::new(0),
            flow: AtomicU8::new(Flow::Open as u8),
            unpacking: Arc::new(Semaphore::new(MOST_UNPACKED)),
            live: AtomicUsize::new(0),
            done: Notify::new(),
            started: Instant::now(),
            last: AtomicU64::new(0),
            past_ended: AtomicBool::new(false),
        })
    }

    /// Lets a body in that takes so many bytes to begin with.
    ///
    /// # Errors
    /// [`Error::Busy`] where the log takes nothing, or there is no room.
    pub fn admit(self: &Arc<Self>, lane: Lane, bytes: usize) -> Result<Reservation> {
        match self.flow() {
            Flow::Open => {}
            Flow::Behind => return Err(self.turn_away(Busy::Behind)),
            Flow::Failed => return Err(self.turn_away(Busy::Failed)),
        }
        self.enter(lane, bytes)
    }

    /// Lets a body in that is none of events, whatever the log does.
    ///
    /// # Errors
    /// [`Error::Busy`] where there is no room.
    pub fn enter(self: &Arc<Self>, lane: Lane, bytes: usize) -> Result<Reservation> {
        let share = if lane == Lane::Backfill { MOST_BODIES / 2 } else { MOST_BODIES };
        if self.bodies.fetch_add(1, Ordering::AcqRel) >= share {
            self.bodies.fetch_sub(1, Ordering::AcqRel);
            return Err(self.turn_away(Busy::Full));
        }
        if lane == Lane::Live {
            self.live.fetch_add(1, Ordering::AcqRel);
            self.present();
        }
        let mut room = Reservation { of: Arc::clone(self), lane, held: 0, used: 0 };
        room.grow(bytes)?;
        Ok(room)
    }

    /// Says whether the log takes events. For who writes and applies it.
    pub fn set_flow(&self, flow: Flow) {
        self.flow.store(flow as u8, Ordering::Release);
    }

    /// Whether the log takes events.
    #[must_use]
    pub fn flow(&self) -> Flow {
        match self.flow.load(Ordering::Acquire) {
            1 => Flow::Behind,
            2 => Flow::Failed,
            _ => Flow::Open,
        }
    }

    /// Waits until few enough others unpack; who waits has room, so that they are few.
    pub async fn unpack(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.unpacking).acquire_owned().await.ok()
    }

    /// Says that there is a present: somebody sent events of it, or got an answer.
    pub(super) fn present(&self) {
        self.last.store(self.millis(), Ordering::Relaxed);
    }

    /// Whether there was one within so long.
    pub(super) fn was_live(&self, within: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        self.live.load(Ordering::Acquire) > 0
            || last > 0 && u128::from(self.millis().saturating_sub(last)) < within.as_millis()
    }

    fn millis(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 + 1
    }

    /// Waits while something of the present is under way. Where there always is something, only for so many of those, so that the past comes
    /// to an end.
    pub(super) async fn yield_to_live(&self) {
        for _ in 0..GOES_BEFORE {
            // Listening begins before the look, so that no word is missed.
            let done = self.done.notified();
            if self.live.load(Ordering::Acquire) == 0 || self.past_has_ended() {
                break;
            }
            done.await;
        }
    }

    /// From now on nothing of the past is sent to the log; who waits for their turn need not.
    pub(super) fn end_past(&self) {
        self.past_ended.store(true, Ordering::Release);
        self.done.notify_waiters();
    }

    pub(super) fn past_has_ended(&self) -> bool {
        self.past_ended.load(Ordering::Acquire)
    }

    /// Bytes that are taken now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Most bytes that were taken at a time.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Acquire)
    }

    /// How often nobody was let in.
    #[must_use]
    pub fn turned_away(&self) -> usize {
        self.turned_away.load(Ordering::Acquire)
    }

    fn turn_away(&self, why: Busy) -> Error {
        self.turned_away.fetch_add(1, Ordering::AcqRel);
        Error::Busy { why }
    }

    fn take(&self, lane: Lane, bytes: usize) -> bool {
        let most = if lane == Lane::Backfill { self.most / 2 } else { self.most };
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= most);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        if let Ok(before) = taken {
            self.peak.fetch_max(before + bytes, Ordering::AcqRel);
        }
        taken.is_ok()
    }
}

impl Reservation {
    /// Takes more room.
    ///
    /// # Errors
    /// [`Error::Busy`] where there is none; [`Error::Invalid`] where there would be none even for this body alone.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let wanted = self.used.saturating_add(bytes);
        if wanted > self.held {
            let least = wanted - self.held;
            // A step where there is one, else as much as is needed.
            let step = least.max(STEP);
            let most = if self.lane == Lane::Backfill { self.of.most / 2 } else { self.of.most };
            if wanted > most {
                return Err(Error::invalid(
                    "body",
                    format!(
                        "takes more memory than the {most} bytes there are ([server] event_memory); send it in parts"
                    ),
                ));
            }
            let taken = [step, least].into_iter().find(|bytes| self.of.take(self.lane, *bytes));
            self.held += taken.ok_or_else(|| self.of.turn_away(Busy::Full))?;
        }
        self.used = wanted;
        Ok(())
    }

    /// Gives room back; what is left of a step stays.
    pub fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
        let spare = self.held.saturating_sub(self.used.saturating_add(STEP));
        if spare > STEP {
            self.held -= spare;
            self.of.used.fetch_sub(spare, Ordering::AcqRel);
        }
    }

    /// Bytes that the body takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.used
    }

    /// For whom it is.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Where the room is.
    #[must_use]
    pub fn of(&self) -> &Arc<Admission> {
        &self.of
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.held, Ordering::AcqRel);
        self.of.bodies.fetch_sub(1, Ordering::AcqRel);
        if self.lane == Lane::Live {
            self.of.live.fetch_sub(1, Ordering::AcqRel);
            self.of.done.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(outcome: Result<Reservation>) -> Busy {
        match outcome {
            Err(Error::Busy { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn room_is_bounded_and_comes_back() {
        let all = Admission::new(1 << 20);
        let mut one = all.admit(Lane::Live, 10).unwrap();
        assert_eq!((one.bytes(), all.used()), (10, STEP));
        one.grow((1 << 20) - 10).unwrap();
        assert_eq!(all.used(), 1 << 20);
        assert_eq!(why(all.admit(Lane::Live, 1)), Busy::Full);
        assert!(matches!(one.grow(1).unwrap_err(), Error::Invalid { .. }));
        one.give_back(1 << 19);
        assert_eq!(all.used(), (1 << 19) + STEP);
        let two = all.admit(Lane::Live, 1 << 18).unwrap();
        assert!(matches!(one.grow(1 << 19).unwrap_err(), Error::Busy { why: Busy::Full }));
        drop(one);
        assert_eq!(all.used(), 1 << 18);
        drop(two);
        assert_eq!((all.used(), all.peak(), all.turned_away()), (0, 1 << 20, 2));
    }

    #[test]
    fn the_past_leaves_half_to_the_present() {
        let all = Admission::new(1 << 20);
        let past = all.admit(Lane::Backfill, 1 << 19).unwrap();
        assert_eq!(why(all.admit(Lane::Backfill, 1)), Busy::Full);
        assert!(all.admit(Lane::Live, 1 << 19).is_ok());
        drop(past);
        assert!(all.admit(Lane::Backfill, (1 << 19) + 1).is_err());
    }

    #[test]
    fn bodies_without_bytes_are_bounded_too() {
        let all = Admission::new(1 << 30);
        let many: Vec<Reservation> = (0..MOST_BODIES).map(|_| all.admit(Lane::Live, 0).unwrap()).collect();
        assert_eq!(why(all.admit(Lane::Live, 0)), Busy::Full);
        drop(many);
        assert!(all.admit(Lane::Live, 0).is_ok());
    }

    #[test]
    fn a_log_that_can_t_follow_lets_nobody_in() {
        let all = Admission::new(1 << 20);
        all.set_flow(Flow::Behind);
        assert_eq!(why(all.admit(Lane::Live, 0)), Busy::Behind);
        all.set_flow(Flow::Failed);
        assert_eq!(why(all.admit(Lane::Live, 0)), Busy::Failed);
        all.set_flow(Flow::Open);
        assert!(all.admit(Lane::Live, 0).is_ok());
    }

    #[test]
    fn the_past_waits_for_the_present_but_not_for_ever() {
        use futures::FutureExt;
        use futures::executor::block_on;
        let all = Admission::new(1 << 20);
        assert!(!all.was_live(Duration::MAX));
        assert!(all.yield_to_live().now_or_never().is_some());
        let mut one = Some(all.admit(Lane::Live, 0).unwrap());
        let mut past = Box::pin(all.yield_to_live());
        assert!(past.as_mut().now_or_never().is_none());
        one.take();
        block_on(past);
        assert!(all.was_live(Duration::MAX));
        // There is always another one.
        let _one = all.admit(Lane::Live, 0).unwrap();
        let mut past = Box::pin(all.yield_to_live());
        let mut waited = 0;
        while past.as_mut().now_or_never().is_none() {
            drop(all.admit(Lane::Live, 0).unwrap());
            waited += 1;
        }
        assert_eq!(waited, GOES_BEFORE);
    }
}
