//! Groups that are in the log and wait to be applied, in order, in bounded memory; and how far behind that is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::types::Record;

/// Bytes of groups that may wait; the log waits for room beyond.
const MOST_BYTES: usize = 64 << 20;
/// Records that are applied as one group where more than one group waits: what is done at once is done quicker.
const TOGETHER: usize = 2048;
/// Memory that a record takes beside its payload, about.
const RECORD_BYTES: usize = 512;

/// What one group added to the log.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In order of their sequence.
    pub records: Vec<Record>,
    /// Bytes of their payloads.
    pub bytes: usize,
    /// Whether what is added to it just now came by the lane of the past.
    pub past: bool,
}

impl Group {
    fn weight(&self) -> usize {
        self.bytes + self.records.len() * RECORD_BYTES
    }

    fn last(&self) -> u64 {
        self.records.last().map_or(0, |record| record.sequence)
    }
}

/// How far applying is behind the log. Read at any time, from any thread.
#[derive(Debug)]
pub struct Lag {
    started: Instant,
    logged: AtomicU64,
    applied: AtomicU64,
    /// When the oldest group that is not applied was in the log, in milliseconds since the start.
    since_ms: AtomicU64,
    behind: AtomicBool,
}

impl Default for Lag {
    fn default() -> Self {
        let (logged, applied, since_ms) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { started: Instant::now(), logged, applied, since_ms, behind: AtomicBool::new(false) }
    }
}

impl Lag {
    /// Records that are in the log and not applied.
    #[must_use]
    pub fn records(&self) -> u64 {
        let applied = self.applied.load(Ordering::Acquire);
        self.logged.load(Ordering::Acquire).saturating_sub(applied)
    }

    /// The last record that is in the log.
    #[must_use]
    pub fn logged(&self) -> u64 {
        self.logged.load(Ordering::Acquire)
    }

    /// How long the oldest of them has waited, in milliseconds; 0 where there is none.
    #[must_use]
    pub fn millis(&self) -> u64 {
        if self.records() == 0 {
            return 0;
        }
        self.now().saturating_sub(self.since_ms.load(Ordering::Acquire))
    }

    /// Whether so much waits that no more should be taken.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    pub(super) fn start_at(&self, sequence: u64) {
        self.logged.store(sequence, Ordering::Release);
        self.applied.store(sequence, Ordering::Release);
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// The queue between the log thread and the one that applies.
#[derive(Debug)]
pub(super) struct Backlog {
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
    pub lag: std::sync::Arc<Lag>,
}

#[derive(Debug, Default)]
struct State {
    /// With the time at which each was in the log.
    groups: VecDeque<(u64, Group)>,
    weight: usize,
    /// Nothing more comes.
    closed: bool,
    /// Nobody takes any more.
    abandoned: bool,
}

impl Backlog {
    pub(super) fn new(lag: std::sync::Arc<Lag>) -> Self {
        Self { state: Mutex::default(), filled: Condvar::new(), drained: Condvar::new(), lag }
    }

    /// Adds a group that is in the log; waits while there is no room.
    pub(super) fn push(&self, group: Group) {
        let (last, weight) = (group.last(), group.weight());
        let mut state = self.state.lock();
        while state.weight > 0 && state.weight + weight > MOST_BYTES && !state.abandoned {
            self.lag.behind.store(true, Ordering::Release);
            self.drained.wait(&mut state);
        }
        let now = self.lag.now();
        if self.lag.records() == 0 {
            self.lag.since_ms.store(now, Ordering::Release);
        }
        self.lag.logged.store(last, Ordering::Release);
        if state.abandoned {
            self.lag.behind.store(true, Ordering::Release);
            return;
        }
        state.weight += weight;
        state.groups.push_back((now, group));
        self.measure(&state);
        self.filled.notify_one();
    }

    /// The next group, with those behind it that are small and wait as well; waits for one. `None` at the end.
    pub(super) fn pop(&self) -> Option<Group> {
        let mut state = self.state.lock();
        loop {
            if let Some((since, mut group)) = state.groups.pop_front() {
                self.lag.since_ms.store(since, Ordering::Release);
                let fits = |so_far: usize, next: &Group| so_far + next.records.len() <= TOGETHER;
                while let Some((_, next)) =
                    state.groups.pop_front_if(|(_, next)| fits(group.records.len(), next))
                {
                    group.bytes += next.bytes;
                    group.records.extend(next.records);
                }
                return Some(group);
            }
            if state.closed {
                return None;
            }
            self.filled.wait(&mut state);
        }
    }

    /// A group that was taken has been applied.
    pub(super) fn applied(&self, group: &Group) {
        self.lag.applied.store(group.last(), Ordering::Release);
        let mut state = self.state.lock();
        state.weight = state.weight.saturating_sub(group.weight());
        self.measure(&state);
        self.drained.notify_one();
    }

    /// Waits a while before something is tried again; `false` where nothing more comes and there is no time for it.
    pub(super) fn pause(&self, span: Duration) -> bool {
        let (until, mut state) = (Instant::now() + span, self.state.lock());
        while !state.closed && !self.filled.wait_until(&mut state, until).timed_out() {}
        !state.closed
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// Nobody takes any more.
    pub(super) fn abandon(&self) {
        self.state.lock().abandoned = true;
        self.drained.notify_all();
    }

    /// Half full is behind; a quarter full is not any more.
    fn measure(&self, state: &State) {
        if state.weight > MOST_BYTES / 2 {
            self.lag.behind.store(true, Ordering::Release);
        } else if state.weight < MOST_BYTES / 4 {
            self.lag.behind.store(false, Ordering::Release);
        }
    }
}
