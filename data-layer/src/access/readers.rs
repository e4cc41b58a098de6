//! Threads that read lists of lazy tables for requests, which wait for them under a timeout. A page that must come from the disk
//! holds up one of these threads, never a request's own. Not for tables in memory: those are read where they are needed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::ahead::{Ahead, Slot, Wanted};
use super::{Access, Snapshot};
use crate::live::Live;
use crate::types::Millis;
use crate::{Error, Result};

/// Keys that a thread reads before it turns to another request: a few pages each.
const BLOCK: usize = 4;
/// Requests that may wait for the threads; one more is refused at once, with what it wanted left out.
const MOST_WAITING: usize = 4_096;

/// What lists are read from. The same for all of a request.
#[derive(Debug, Clone)]
pub struct Source {
    /// The tables.
    pub snapshot: Arc<Snapshot>,
    /// The live side, whose lists are merged in.
    pub live: Arc<Live>,
    /// The time of the request.
    pub now_ms: Millis,
}

/// The threads.
#[derive(Debug)]
pub struct Readers {
    queue: Arc<Queue>,
}

/// While it lives, no thread begins another block. For tests of what happens when the disk hangs.
#[derive(Debug)]
pub struct Hold {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Arc<Job>>,
    holds: usize,
    stopped: bool,
}

/// What one request wants. Threads take its blocks in turns with those of others.
#[derive(Debug)]
struct Job {
    source: Source,
    wanted: Vec<Wanted>,
    /// Blocks begun, and to be done yet.
    begun: AtomicUsize,
    left: AtomicUsize,
    /// The request waits no more.
    over: AtomicBool,
    slots: Mutex<Vec<Vec<Slot>>>,
    done: Notify,
}

impl Readers {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// What the system said.
    pub fn start(threads: usize) -> Result<Self> {
        let queue = Arc::new(Queue::default());
        let readers = Self { queue: Arc::clone(&queue) };
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let named = std::thread::Builder::new().name(format!("weir-read-{number}"));
            // Not joined anywhere: one that hangs in a page fault must not keep the process from ending.
            named.spawn(move || queue.work()).map_err(Error::io("thread"))?;
        }
        Ok(readers)
    }

    /// Reads lists on the threads and waits for them. What is not there after `within` is left out, and [`Ahead`] says so.
    pub async fn read(&self, source: Source, wanted: Vec<Wanted>, within: Duration) -> Ahead {
        let job = Arc::new(Job::new(source, wanted));
        if job.blocks() > 0 {
            if !self.queue.push(&job) {
                let detail = format!("{MOST_WAITING} requests wait for lazy tables already");
                return job.end("overload", &detail);
            }
            let _ = tokio::time::timeout(within, job.done.notified()).await;
        }
        job.end("deadline", &format!("not read within {} ms", within.as_secs_f64() * 1e3))
    }

    /// Holds the threads up: blocks that were begun end, no other is begun until the hold is dropped.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.queue.state.lock().holds += 1;
        Hold { queue: Arc::clone(&self.queue) }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.state.lock().stopped = true;
        self.queue.wake.notify_all();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.queue.state.lock().holds -= 1;
        self.queue.wake.notify_all();
    }
}

/// Reads lists on this thread, however long it takes. For batch work, which holds nobody up.
#[must_use]
pub fn read_here(source: Source, wanted: Vec<Wanted>) -> Ahead {
    let job = Job::new(source, wanted);
    while let Some(block) = job.begin() {
        job.read(block);
    }
    job.end("error", "not read")
}

impl Queue {
    fn push(&self, job: &Arc<Job>) -> bool {
        let mut state = self.state.lock();
        if state.jobs.len() >= MOST_WAITING {
            // Those whose requests wait no more make room.
            state.jobs.retain(|job| !job.over.load(Ordering::Relaxed));
            if state.jobs.len() >= MOST_WAITING {
                return false;
            }
        }
        state.jobs.push_back(Arc::clone(job));
        drop(state);
        self.wake.notify_all();
        true
    }

    /// The life of a thread.
    fn work(&self) {
        while let Some((job, block)) = self.next() {
            let read = catch_unwind(AssertUnwindSafe(|| job.read(block)));
            if read.is_err() {
                tracing::error!("reading a lazy table failed; what was asked for is left out");
                job.settle();
            }
        }
    }

    /// The next block, of the request whose turn it is.
    fn next(&self) -> Option<(Arc<Job>, usize)> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            let job = if state.holds == 0 { state.jobs.pop_front() } else { None };
            let Some(job) = job else {
                self.wake.wait(&mut state);
                continue;
            };
            if job.over.load(Ordering::Relaxed) {
                continue;
            }
            if let Some(block) = job.begin() {
                if block + 1 < job.blocks() {
                    state.jobs.push_back(Arc::clone(&job));
                }
                return Some((job, block));
            }
        }
    }
}

impl Job {
    fn new(source: Source, wanted: Vec<Wanted>) -> Self {
        let slots = wanted.iter().map(|wanted| vec![Slot::Waiting; wanted.keys().len()]).collect();
        let blocks = wanted.iter().map(|wanted| wanted.keys().len().div_ceil(BLOCK)).sum();
        Self {
            source,
            wanted,
            begun: AtomicUsize::new(0),
            left: AtomicUsize::new(blocks),
            over: AtomicBool::new(false),
            slots: Mutex::new(slots),
            done: Notify::new(),
        }
    }

    fn blocks(&self) -> usize {
        self.wanted.iter().map(|wanted| wanted.keys().len().div_ceil(BLOCK)).sum()
    }

    fn begin(&self) -> Option<usize> {
        let block = self.begun.fetch_add(1, Ordering::Relaxed);
        (block < self.blocks()).then_some(block)
    }

    /// Reads a block and hands it over, where somebody still waits for it.
    fn read(&self, block: usize) {
        let mut first = block;
        for (number, wanted) in self.wanted.iter().enumerate() {
            let blocks = wanted.keys().len().div_ceil(BLOCK);
            if first >= blocks {
                first -= blocks;
                continue;
            }
            let from = first * BLOCK;
            let keys = wanted.keys().iter().skip(from).take(BLOCK);
            let read: Vec<Slot> = keys.map(|key| self.slot(wanted, key)).collect();
            let mut slots = self.slots.lock();
            // Taken away where nobody waits any more.
            if let Some(slots) = slots.get_mut(number) {
                slots.iter_mut().skip(from).zip(read).for_each(|(slot, read)| *slot = read);
            }
            break;
        }
        self.settle();
    }

    fn slot(&self, wanted: &Wanted, key: &str) -> Slot {
        if self.over.load(Ordering::Relaxed) {
            return Slot::Waiting;
        }
        let Source { snapshot, live, now_ms } = &self.source;
        let access = Access { snapshot, live: live.lists(), now_ms: *now_ms };
        let mut list = Vec::new();
        match access.list(wanted.spec(), key, wanted.at_most(), &mut list) {
            Ok(true) => Slot::Found(list),
            Ok(false) => Slot::Absent,
            Err(Error::NotFound { what, name, .. }) => Slot::Missing(format!("{what} {name} is not there")),
            Err(error) => Slot::Failed(error.to_string()),
        }
    }

    /// One block less to wait for.
    fn settle(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    /// What was read by now; nobody waits for the rest.
    fn end(&self, cause: &'static str, detail: &str) -> Ahead {
        self.over.store(true, Ordering::Relaxed);
        let slots = std::mem::take(&mut *self.slots.lock());
        Ahead::of(Arc::clone(&self.source.snapshot), self.wanted.clone(), slots, cause, detail)
    }
}
