//! The one writer thread: takes what arrived together, settles types, drops duplicates, appends, syncs once, acknowledges, then
//! lets the live store apply it. Decisions ride along without anybody waiting for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::admission::Reservation;
use super::dedupe::{self, Dedupe};
use super::{Receipt, Rejected, typing};
use crate::live::Live;
use crate::log::{Lock, Writer, format};
use crate::types::{Decision, Event, Millis, Position, Record, Schema};
use crate::{Error, Result};

/// Batches that are written and synced together, at most.
const MOST_GROUP: usize = 4096;
/// A group is closed when it has this many bytes.
const MOST_GROUP_BYTES: usize = 8 << 20;
/// Decisions are synced at least this often.
const DECISION_SYNC: Duration = Duration::from_secs(1);

/// Events that came in one call.
pub(super) struct Batch {
    /// Place in the call, and event.
    pub events: Vec<(usize, Event)>,
    /// What was rejected before it got here.
    pub rejected: Vec<Rejected>,
    /// When it came.
    pub received_ms: Millis,
    /// Who waits.
    pub reply: oneshot::Sender<Result<Receipt>>,
    /// Share of the memory for what is under way.
    pub room: Reservation,
}

/// What the writer thread is asked to do.
pub(super) enum Job {
    /// Append and acknowledge.
    Batch(Batch),
    /// Append some time.
    Decision(Box<Decision>),
    /// Finish what came before, and end.
    Close,
}

/// Counts since the start, for metrics.
#[derive(Debug, Default)]
pub struct Stats {
    /// New events in the log.
    pub accepted: AtomicU64,
    /// Events that came before.
    pub duplicates: AtomicU64,
    /// Events with an error.
    pub rejected: AtomicU64,
    /// Unknown top-level fields of events.
    pub ignored_fields: AtomicU64,
    /// Groups that were synced.
    pub groups: AtomicU64,
    /// Decisions in the log.
    pub decisions: AtomicU64,
    /// Decisions that were dropped because the log could not follow, or failed.
    pub decisions_dropped: AtomicU64,
    /// Decisions that wait to be written.
    pub decisions_waiting: AtomicU64,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// State of the writer thread.
pub(super) struct Pipeline {
    pub events: Writer,
    pub decisions: Writer,
    pub dedupe: Dedupe,
    pub schema: Schema,
    /// What the configuration says of types.
    pub fixed: Schema,
    pub live: Arc<Live>,
    pub stats: Arc<Stats>,
    pub _lock: Lock,
}

/// What one group of batches adds to the log.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    remembered: usize,
}

impl Pipeline {
    /// Works until it is closed.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) -> Result<()> {
        let mut unsynced: Option<Instant> = None;
        loop {
            let first = match unsynced {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(since) => jobs.recv_timeout(DECISION_SYNC.saturating_sub(since.elapsed())),
            };
            let (batches, decisions, close) = match first {
                Ok(first) => gather(first, jobs),
                Err(RecvTimeoutError::Timeout) => (Vec::new(), Vec::new(), false),
                Err(RecvTimeoutError::Disconnected) => (Vec::new(), Vec::new(), true),
            };
            if !batches.is_empty() {
                self.commit(batches);
            }
            if !decisions.is_empty() {
                self.decide(&decisions);
                unsynced = unsynced.or_else(|| Some(Instant::now()));
            }
            if unsynced.is_some_and(|since| close || since.elapsed() >= DECISION_SYNC) {
                let synced = self.decisions.sync();
                unsynced = None;
                if let Err(error) = synced {
                    tracing::error!(%error, "decisions could not be synced");
                }
            }
            if close {
                return self.events.sync();
            }
        }
    }

    /// Appends one record of the server's own, at start.
    pub(super) fn append_own(&mut self, event: Event, received_ms: Millis) -> Result<()> {
        let mut group = Group::default();
        self.append(event, None, received_ms, &mut group).map_err(|d| Error::invalid("log", d))?;
        self.events.flush()?;
        self.events.sync()?;
        self.live.apply(&group.records)
    }

    fn commit(&mut self, batches: Vec<Batch>) {
        let before = self.schema.clone();
        let mut group = Group::default();
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            let receipt = self.stage(batch.events, batch.rejected, batch.received_ms, &mut group);
            answers.push((batch.reply, receipt, batch.room));
        }
        let written = self.events.flush().and_then(|()| {
            // A group of duplicates and rejections only has nothing to wait for: what they repeat was synced.
            if group.records.is_empty() { Ok(()) } else { self.events.sync() }
        });
        if let Err(error) = written {
            tracing::error!(%error, "events could not be appended");
            self.dedupe.take_back(group.remembered);
            self.schema = before;
            answers.into_iter().for_each(|(reply, ..)| drop(reply.send(Err(again(&error)))));
            return;
        }
        Stats::add(&self.stats.groups, 1);
        for (reply, receipt, _room) in answers {
            Stats::add(&self.stats.accepted, receipt.accepted as usize);
            Stats::add(&self.stats.duplicates, receipt.duplicates as usize);
            Stats::add(&self.stats.rejected, receipt.rejected.len());
            // Nobody waiting any more is no error: the events are in the log.
            drop(reply.send(Ok(receipt)));
        }
        if let Err(error) = self.live.apply(&group.records) {
            tracing::error!(%error, "events are in the log but could not be applied; they will be at the next start");
        }
    }

    /// Buffers the events of one call and writes its receipt.
    fn stage(
        &mut self,
        events: Vec<(usize, Event)>,
        mut rejected: Vec<Rejected>,
        received_ms: Millis,
        group: &mut Group,
    ) -> Receipt {
        let (mut accepted, mut duplicates) = (0, 0);
        for (index, mut event) in events {
            let settled = typing::settle(&mut event, &self.schema, &self.fixed);
            match settled.and_then(|schema| self.append(event, schema, received_ms, group)) {
                Ok(true) => accepted += 1,
                Ok(false) => duplicates += 1,
                Err(detail) => rejected.push(Rejected { index, detail }),
            }
        }
        rejected.sort_by_key(|r| r.index);
        let position = Position { producer: self.events.producer(), sequence: self.events.last() };
        Receipt { accepted, duplicates, rejected, position }
    }

    /// Buffers one event behind the schema it needs; `false` where it came before.
    fn append(
        &mut self,
        event: Event,
        schema: Option<Schema>,
        received_ms: Millis,
        group: &mut Group,
    ) -> std::result::Result<bool, String> {
        let payload = format::encode_event(&event)?;
        let before = schema.as_ref().map(|s| format::encode_event(&Event::Schema(s.clone()))).transpose()?;
        if !self.dedupe.insert(dedupe::key(&event, &payload), received_ms) {
            return Ok(false);
        }
        group.remembered += 1;
        if let (Some(schema), Some(payload)) = (schema, before) {
            self.push(Event::Schema(schema), &payload, received_ms, group);
        }
        self.push(event, &payload, received_ms, group);
        Ok(true)
    }

    fn push(&mut self, event: Event, payload: &[u8], received_ms: Millis, group: &mut Group) {
        if let Event::Schema(schema) = &event {
            self.schema = schema.clone();
        }
        let partition = event.person().map_or(0, |person| person.partition());
        let sequence = self.events.append(format::kind_of(&event), partition, received_ms, payload);
        group.records.push(Record { sequence, received_ms, partition, event });
    }

    fn decide(&mut self, decisions: &[Decision]) {
        self.stats.decisions_waiting.fetch_sub(decisions.len() as u64, Ordering::Relaxed);
        let mut written = 0;
        for decision in decisions {
            match format::encode_decision(decision) {
                Ok(payload) => {
                    self.decisions.append(format::DECISION, 0, decision.time, &payload);
                    written += 1;
                }
                Err(error) => tracing::error!(error, request = decision.request_id, "a decision was dropped"),
            }
        }
        if let Err(error) = self.decisions.flush() {
            tracing::error!(%error, "decisions could not be appended");
            written = 0;
        }
        Stats::add(&self.stats.decisions, written);
        Stats::add(&self.stats.decisions_dropped, decisions.len() - written);
    }
}

/// Everything that has arrived, up to the bounds of a group.
fn gather(first: Job, jobs: &Receiver<Job>) -> (Vec<Batch>, Vec<Decision>, bool) {
    let (mut batches, mut decisions, mut close) = (Vec::new(), Vec::new(), false);
    let (mut next, mut bytes) = (Some(first), 0);
    while let Some(job) = next {
        match job {
            Job::Batch(batch) => {
                bytes += batch.room.bytes();
                batches.push(batch);
            }
            Job::Decision(decision) => decisions.push(*decision),
            Job::Close => close = true,
        }
        let full = bytes >= MOST_GROUP_BYTES || batches.len() + decisions.len() >= MOST_GROUP || close;
        next = if full { None } else { jobs.try_recv().ok() };
    }
    (batches, decisions, close)
}

/// The same error for another caller of the same group.
fn again(error: &Error) -> Error {
    match error {
        Error::Io { path, source } => {
            Error::Io { path: path.clone(), source: std::io::Error::new(source.kind(), source.to_string()) }
        }
        other => Error::Io { path: "log".into(), source: std::io::Error::other(other.to_string()) },
    }
}
