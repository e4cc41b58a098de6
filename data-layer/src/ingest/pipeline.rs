//! The log thread: takes what arrived together, drops duplicates, appends, syncs once, acknowledges, and hands it to the thread that
//! applies (`applier.rs`). Decisions ride along without anybody waiting for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::admission::{Admission, Flow, Lane};
use super::backlog::{Backlog, Group, Lag};
use super::dedupe::Dedupe;
use super::jobs::{Batch, Gathered, Job, gather};
use super::joint::Joint;
use super::prepare::{Encoded, Prepared, Ready, encode};
use super::{Receipt, Rejected, typing};
use crate::archive::Bell;
use crate::config::Config;
use crate::erase::Erasures;
use crate::live::Live;
use crate::log::{Lock, Writer, format};
use crate::types::{Decision, Event, Millis, Partition, Position, Record, Schema, time};
use crate::{Error, Result};

/// After a failure the log is taken for failed this long, unless it works again before.
const RETRY: Duration = Duration::from_secs(1);
/// Decisions are synced at least this often.
const DECISION_SYNC: Duration = Duration::from_secs(1);

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
    /// Payload bytes in the log.
    pub bytes: AtomicU64,
    /// Time that groups took to be written and synced, in microseconds, summed.
    pub sync_us: AtomicU64,
    /// Whether the newest group could not be written, within the last second.
    pub failed: AtomicBool,
    /// Events that are remembered as having come.
    pub remembered: AtomicU64,
    /// Memory for that, in bytes.
    pub remembered_bytes: AtomicU64,
    /// How far applying is behind the log.
    pub lag: Arc<Lag>,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, n: usize) {
        counter.fetch_add(n as u64, Ordering::Relaxed);
    }
}

/// State of the log thread.
pub(super) struct Pipeline {
    pub events: Writer,
    pub decisions: Writer,
    pub dedupe: Dedupe,
    pub schema: Arc<Schema>,
    /// The schema that is on the disk, for callers.
    pub settled: Arc<ArcSwap<Schema>>,
    /// What the configuration says of types.
    pub fixed: Arc<Schema>,
    pub stats: Arc<Stats>,
    pub erasures: Arc<Erasures>,
    /// What others say of types, where a Redis is shared.
    pub joint: Option<Joint>,
    pub lock: Lock,
}

/// Where the log thread leaves what it did: the backlog of the thread that applies, and whether more may come.
#[derive(Debug)]
pub(super) struct Outlet {
    pub backlog: Arc<Backlog>,
    pub stats: Arc<Stats>,
    pub admission: Arc<Admission>,
    /// What was told last.
    pub told: Mutex<Flow>,
    /// Rung when a segment is sealed.
    pub archive: Arc<Bell>,
}

impl Outlet {
    /// An outlet with nothing in it.
    pub(super) fn new(stats: &Arc<Stats>, admission: &Arc<Admission>, archive: &Arc<Bell>) -> Self {
        Self {
            backlog: Arc::new(Backlog::new(Arc::clone(&stats.lag))),
            stats: Arc::clone(stats),
            admission: Arc::clone(admission),
            told: Mutex::new(Flow::Open),
            archive: Arc::clone(archive),
        }
    }

    /// Tells those who let bodies in how the log is.
    pub(super) fn tell(&self) {
        let flow = if self.stats.failed.load(Ordering::Acquire) {
            Flow::Failed
        } else if self.stats.lag.is_behind() {
            Flow::Behind
        } else {
            Flow::Open
        };
        let mut told = self.told.lock();
        if *told != flow {
            *told = flow;
            self.admission.set_flow(flow);
        }
    }

    fn fail(&self, failed: bool) {
        self.stats.failed.store(failed, Ordering::Release);
        self.tell();
    }
}

/// However the log thread ends, nothing more comes to be applied.
struct Closing<'a>(&'a Backlog);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Pipeline {
    /// Writes what the configuration says of types, where the log says otherwise.
    pub(super) fn configure(&mut self, config: &Config, live: &Live) -> Result<()> {
        match typing::configured(&self.schema, &config.schema, config.schema_unknown) {
            Some(schema) => self.append_own(Event::Schema(schema), time::now(), live),
            None => Ok(()),
        }
    }

    /// Works until it is closed; what it remembers then, and the lock.
    pub(super) fn run(mut self, jobs: &Receiver<Job>, out: &Outlet) -> Result<(Dedupe, Lock)> {
        let _closing = Closing(&out.backlog);
        let mut segment = self.events.segment();
        let mut unsynced: Option<Instant> = None;
        let mut failed: Option<Instant> = None;
        loop {
            let waits = [unsynced.map(|since| (since, DECISION_SYNC)), failed.map(|since| (since, RETRY))];
            let wait =
                waits.into_iter().flatten().map(|(since, span)| span.saturating_sub(since.elapsed())).min();
            let first = match wait {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => jobs.recv_timeout(wait),
            };
            let Gathered { batches, decisions, asked, seals, close } = match first {
                Ok(first) => gather(first, jobs),
                Err(RecvTimeoutError::Timeout) => Gathered::default(),
                Err(RecvTimeoutError::Disconnected) => Gathered { close: true, ..Gathered::default() },
            };
            if !batches.is_empty() {
                failed = (!self.commit(batches, out)).then(Instant::now);
            }
            // What they get is on the disk. Nobody waiting any more is no error.
            asked.into_iter().for_each(|reply| drop(reply.send(self.dedupe.clone())));
            if failed.is_some_and(|since| since.elapsed() >= RETRY) {
                // Somebody may try whether it works again.
                failed = None;
                out.fail(false);
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
            self.seal(seals);
            if self.events.segment() != segment {
                segment = self.events.segment();
                out.archive.ring();
            }
            if close {
                return self.events.sync().map(|()| (self.dedupe, self.lock));
            }
        }
    }

    /// Starts a new segment of both streams, for those who asked for it.
    fn seal(&mut self, asked: Vec<Sender<Result<()>>>) {
        for done in asked {
            let sealed = self.events.seal().and_then(|()| self.decisions.seal());
            // Nobody waiting any more is no error.
            drop(done.send(sealed));
        }
    }

    /// Appends one record of the server's own, at start, and applies it.
    pub(super) fn append_own(&mut self, event: Event, received_ms: Millis, live: &Live) -> Result<()> {
        let (mut group, mut bytes) = (Group::default(), Vec::new());
        encode(&event, &mut bytes)
            .and_then(|encoded| self.append(event, None, &encoded, &bytes, received_ms, &mut group))
            .map_err(|detail| Error::invalid("log", detail))?;
        self.write()?;
        self.dedupe.keep();
        self.settled.store(Arc::clone(&self.schema));
        self.stats.lag.start_at(self.events.last());
        live.apply(&group.records)
    }

    /// Writes what is buffered and waits until it is on the disk.
    fn write(&mut self) -> Result<()> {
        let start = Instant::now();
        self.events.flush().and_then(|()| self.events.sync())?;
        Stats::add(&self.stats.sync_us, start.elapsed().as_micros() as usize);
        Ok(())
    }

    /// Lets callers see a new schema, and the live side what is on the disk.
    fn hand_over(&mut self, group: Group, out: &Outlet) {
        self.dedupe.keep();
        if !Arc::ptr_eq(&self.settled.load(), &self.schema) {
            self.settled.store(Arc::clone(&self.schema));
        }
        self.stats.remembered.store(self.dedupe.len() as u64, Ordering::Relaxed);
        self.stats.remembered_bytes.store(self.dedupe.bytes() as u64, Ordering::Relaxed);
        Stats::add(&self.stats.bytes, group.bytes);
        if !group.records.is_empty() {
            Stats::add(&self.stats.groups, 1);
            out.backlog.push(group);
        }
    }

    /// Puts batches into the log and answers them; `false` where the log failed.
    fn commit(&mut self, batches: Vec<Batch>, out: &Outlet) -> bool {
        let before = Arc::clone(&self.schema);
        let mut group = Group::default();
        if let Some((schema, payload)) = self.joint.as_ref().and_then(|joint| joint.next(&before)) {
            self.push(schema, 0, &payload, time::now(), &mut group);
        }
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            group.past = batch.room.lane() == Lane::Backfill;
            let receipt = self.stage(batch.events, batch.rejected, batch.received_ms, &mut group);
            answers.push((batch.reply, receipt, batch.room));
        }
        // A group of duplicates and rejections only has nothing to wait for: what they repeat was synced.
        let written = if group.records.is_empty() { Ok(()) } else { self.write() };
        if let Err(error) = written {
            tracing::error!(%error, "events could not be appended");
            self.dedupe.take_back();
            self.schema = before;
            out.fail(true);
            answers.into_iter().for_each(|(reply, ..)| drop(reply.send(Err(again(&error)))));
            return false;
        }
        out.fail(false);
        if let Err(error) = self.erasures.note(&group.records) {
            tracing::error!(%error, "an erasure is in the log, and not in its journal before the next start");
        }
        for (reply, receipt, _room) in answers {
            Stats::add(&self.stats.accepted, receipt.accepted as usize);
            Stats::add(&self.stats.duplicates, receipt.duplicates as usize);
            Stats::add(&self.stats.rejected, receipt.rejected.len());
            // Nobody waiting any more is no error: the events are in the log.
            drop(reply.send(Ok(receipt)));
        }
        self.hand_over(group, out);
        out.tell();
        true
    }

    /// Buffers the events of one call and writes its receipt.
    fn stage(
        &mut self,
        prepared: Prepared,
        mut rejected: Vec<Rejected>,
        received_ms: Millis,
        group: &mut Group,
    ) -> Receipt {
        let (mut accepted, mut duplicates) = (0, 0);
        let Prepared { events, bytes, schema } = prepared;
        let mut fresh = Vec::new();
        for Ready { index, mut event, encoded } in events {
            let typed = matches!(event, Event::Item(_) | Event::User(_) | Event::Schema(_));
            let appended = match encoded {
                Some(encoded) if !typed || Arc::ptr_eq(&schema, &self.schema) => {
                    self.append(event, None, &encoded, &bytes, received_ms, group)
                }
                // The schema has moved on since, or has to. What was widened before stays so.
                _ => typing::settle(&mut event, &self.schema, &self.fixed).and_then(|new| {
                    fresh.clear();
                    let encoded = encode(&event, &mut fresh)?;
                    self.append(event, new, &encoded, &fresh, received_ms, group)
                }),
            };
            match appended {
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
        encoded: &Encoded,
        bytes: &[u8],
        received_ms: Millis,
        group: &mut Group,
    ) -> std::result::Result<bool, String> {
        let before =
            schema.map(Event::Schema).map(|event| format::encode_event(&event).map(|bytes| (event, bytes)));
        let before = before.transpose()?;
        if !self.dedupe.insert(encoded.key, received_ms) {
            return Ok(false);
        }
        if let Some((schema, payload)) = before {
            self.push(schema, 0, &payload, received_ms, group);
        }
        self.push(event, encoded.partition, &bytes[encoded.payload.clone()], received_ms, group);
        Ok(true)
    }

    fn push(
        &mut self,
        event: Event,
        partition: Partition,
        payload: &[u8],
        received_ms: Millis,
        group: &mut Group,
    ) {
        if let Event::Schema(schema) = &event {
            self.schema = Arc::new(schema.clone());
        }
        let past = group.past && !matches!(event, Event::Schema(_));
        let kind = format::kind_of(&event) | if past { format::PAST } else { 0 };
        let sequence = self.events.append(kind, partition, received_ms, payload);
        if let (Event::Schema(_), Some(joint)) = (&event, &mut self.joint) {
            joint.says(sequence);
        }
        group.bytes += payload.len();
        group.records.push(Record { sequence, received_ms, partition, past, event });
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

/// The same error for another caller of the same group.
fn again(error: &Error) -> Error {
    match error {
        Error::Io { path, source } => {
            Error::Io { path: path.clone(), source: std::io::Error::new(source.kind(), source.to_string()) }
        }
        other => Error::Io { path: "log".into(), source: std::io::Error::other(other.to_string()) },
    }
}
