//! Dynamic data in: decode, check, append to the log, then let every consumer apply it to the live store.
//!
//! The order is: on the caller's thread room (`admission.rs`), `decode.rs`, `check/` and `prepare.rs` (types, payload, key); on the log
//! thread (`pipeline.rs`) duplicates (`dedupe.rs`), log, acknowledgement; on the third (`applier.rs`, behind `backlog.rs`) `apply/` and `consumer/`.
//! Not for reading: that is `live/`.

pub mod admission;
mod applier;
pub mod apply;
mod backlog;
pub mod check;
pub mod consumer;
pub mod decode;
pub mod dedupe;
pub mod delta;
mod fields;
pub mod follow;
mod jobs;
mod joint;
mod past;
mod pipeline;
mod prepare;
mod read;
mod rebuild;
mod sealed;
pub mod shared;
pub mod snapshots;
mod split;
mod standing;
mod start;
pub mod stream;
#[cfg(test)]
mod tests;
mod threads;
mod tree;
pub mod typing;

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::archive::Bell;
use crate::config::{Actions, Config};
use crate::erase::Erasures;
use crate::live::Live;
use crate::log::Lock;
use crate::types::{Decision, Event, Millis, Position, Schema, time};
use crate::{Error, Result};

pub use admission::{Admission, Flow, Lane, Reservation};
pub use backlog::Lag;
pub use decode::Form;
pub use pipeline::Stats;
pub use read::{Arrival, Taken, parse_sent_at, read_json};
pub use rebuild::Rebuilding;
pub use start::CatchUp;
pub(crate) use start::key as key_of;

use check::Checker;
use dedupe::Dedupe;
use jobs::{Batch, Job};
use past::Past;
use pipeline::{Outlet, Pipeline};
use sealed::{Sealed, Standings};
use snapshots::Snapshots;
use threads::Threads;

/// Bytes that an event which a program made is taken to have.
pub const TYPED_BYTES: usize = 256;
/// Decisions that may wait for the log; more are dropped and counted.
const MOST_DECISIONS: u64 = 4096;

/// What became of the events of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// New ones, now durable.
    pub accepted: u32,
    /// Ones that came before.
    pub duplicates: u32,
    /// Ones with an error, in order of their place.
    pub rejected: Vec<Rejected>,
    /// When this has been applied, all of them count.
    #[serde(serialize_with = "as_text")]
    pub position: Position,
}

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// Place in the call, from 0.
    pub index: usize,
    /// Field, expected and found.
    pub detail: String,
}

/// The way in for events and decisions of one namespace. Clones share one writer thread.
#[derive(Debug, Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    jobs: Sender<Job>,
    /// Where bodies of the past go, on their way to the same thread.
    past: Sender<Option<Batch>>,
    admission: Arc<Admission>,
    ahead: Millis,
    actions: Arc<Actions>,
    live: Arc<Live>,
    stats: Arc<Stats>,
    /// The schema that is on the disk, and what the configuration says of it.
    settled: Arc<ArcSwap<Schema>>,
    fixed: Arc<Schema>,
    threads: Mutex<Option<Threads>>,
    /// Who needs what is in the log, and who is erased from it.
    sealed: Sealed,
    standings: Standings,
    snapshots: Option<Arc<Snapshots>>,
    rebuilding: Option<Arc<Rebuilding>>,
    shared: Option<Arc<shared::Standing>>,
}

impl Ingest {
    /// Locks the log, cuts a torn tail off, replays everything into a new live store, and starts the writer.
    ///
    /// # Errors
    /// [`Error::Locked`] beside another server; [`Error::Corrupt`] and [`Error::Newer`] for a log that can't be read;
    /// [`Error::Io`].
    pub fn open(config: &Config) -> Result<Self> {
        Self::open_telling(config, &CatchUp::default())
    }

    /// As [`Ingest::open`], telling how far it is.
    ///
    /// # Errors
    /// As [`Ingest::open`].
    pub fn open_telling(config: &Config, told: &CatchUp) -> Result<Self> {
        let lock = Lock::take(&config.log.dir.join(&config.namespace))?;
        let (events, decisions) = start::writers(config, draw())?;
        let (producer, mut dedupe) = (events.producer(), Dedupe::new(config.log.dedupe));
        let erasures = Arc::new(Erasures::open(&config.log.dir.join(&config.namespace), producer)?);
        let made = start::state(config, Some(&mut dedupe), events.last(), told, Some(&erasures))?;
        let live = Arc::new(made.live);
        live.follow(producer);
        let (stats, growth) = (Arc::new(Stats::default()), events.growth());
        stats.lag.start_at(events.last());
        let (settled, fixed) = (Arc::new(ArcSwap::new(live.schema())), Arc::new(config.schema.clone()));
        let mut pipeline = Pipeline {
            events,
            decisions,
            dedupe,
            schema: live.schema(),
            settled: Arc::clone(&settled),
            fixed: Arc::clone(&fixed),
            stats: Arc::clone(&stats),
            erasures: Arc::clone(&erasures),
            joint: start::joint(config, &live, stats.lag.logged()),
            lock,
        };
        pipeline.configure(config, &live)?;
        let (admission, ahead) = (Admission::new(config.server.event_memory), config.log.ahead);
        let ((jobs, inbox), bell) = (channel(), Arc::<Bell>::default());
        let outlet = Arc::new(Outlet::new(&stats, &admission, &bell));
        let (out, applied) = (Arc::clone(&outlet), Arc::clone(&live));
        let log = start::spawn("weir-log", config, move || pipeline.run(&inbox, &out))?;
        let snapshots = start::snapshots(config, &live, &made.maker, made.loaded)?;
        let sharing = start::share(config, &live, growth, snapshots.as_ref(), made.outdated)?;
        let shared = sharing.as_ref().map(|sharing| Arc::clone(sharing.standing()));
        let apply = start::spawn("weir-apply", config, move || applier::run(&outlet, &applied))?;
        let rebuild = start::rebuild(config, &live, &jobs, &made.maker, snapshots.as_ref())?;
        let rebuilding = rebuild.as_ref().map(|rebuild| Arc::clone(rebuild.standing()));
        let holds = start::holds(snapshots.as_ref(), rebuilding.as_ref(), sharing.as_ref());
        let sealed = Sealed { producer, holds, erasures, archiving: Arc::default() };
        let (workers, standings) = sealed.start(config, &bell, (&jobs, &admission), &snapshots, &live)?;
        let clock = start::clock(config, snapshots.as_ref(), &jobs)?;
        let (past, inbox) = Past::start(config, &jobs, &admission, &live)?;
        Ok(Self {
            inner: Arc::new(Inner {
                jobs,
                past: inbox,
                admission,
                ahead,
                actions: Arc::clone(live.actions()),
                live,
                stats,
                settled,
                fixed,
                threads: Mutex::new(Some(Threads { log, past, apply, clock, rebuild, sharing, workers })),
                sealed,
                standings,
                snapshots,
                rebuilding,
                shared,
            }),
        })
    }

    /// The live store as the log has it now, without a lock, beside a server or without one. An absent log is an empty one.
    ///
    /// # Errors
    /// As [`Ingest::open`], without [`Error::Locked`].
    pub fn read_only(config: &Config) -> Result<Arc<Live>> {
        let live = Arc::new(start::state(config, None, 0, &CatchUp::default(), None)?.live);
        if let Some(schema) = typing::configured(&live.schema(), &config.schema, config.schema_unknown) {
            live.set_schema(&schema);
        }
        Ok(live)
    }

    /// The live store that follows this log.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.inner.live
    }

    /// How this server gets on with the others, where they share a Redis.
    #[must_use]
    pub fn shared(&self) -> Option<&shared::Standing> {
        self.inner.shared.as_deref()
    }

    /// The room for bodies, and whether the log takes any.
    #[must_use]
    pub fn admission(&self) -> &Arc<Admission> {
        &self.inner.admission
    }

    /// Takes a body of events. What the future gives is true once it is given: accepted events are on the disk.
    ///
    /// # Errors
    /// [`Error::Invalid`] at once where nothing could be read, [`Error::Busy`] where there is no room; from the future [`Error::Io`] where
    /// the log failed, and nothing of the body was taken.
    pub fn submit(
        &self,
        body: &[u8],
        form: Form,
        received_ms: Millis,
    ) -> Result<impl Future<Output = Result<Receipt>> + Send + 'static + use<>> {
        let room = self.inner.admission.admit(Lane::Live, 0)?;
        Ok(self.take(self.read(body, form, received_ms, room)?))
    }

    /// Reads a body and checks its events, in room that the caller took for the body; nothing is in the log yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] where nothing could be read, [`Error::Busy`] where there is no room.
    pub fn read(
        &self,
        body: &[u8],
        form: Form,
        arrival: impl Into<Arrival>,
        room: Reservation,
    ) -> Result<Taken> {
        read::read(self, body, form, arrival.into(), room)
    }

    /// Takes events that were read. What the future gives is true once it is given: accepted events are on the disk.
    pub fn take(&self, taken: Taken) -> impl Future<Output = Result<Receipt>> + Send + 'static + use<> {
        self.send(Ok(taken))
    }

    /// Takes events that are typed already: erasures, deletions. Times may lie in the future.
    pub fn submit_events(
        &self,
        events: Vec<Event>,
        received_ms: Millis,
    ) -> impl Future<Output = Result<Receipt>> + Send + 'static + use<> {
        let room = self.inner.admission.admit(Lane::Live, events.len() * TYPED_BYTES);
        self.send(room.map(|room| self.check(events, received_ms, room)))
    }

    /// As [`Ingest::submit_events`], in room that the caller waited for: bulk loads.
    pub fn submit_events_in(
        &self,
        events: Vec<Event>,
        received_ms: Millis,
        room: Reservation,
    ) -> impl Future<Output = Result<Receipt>> + Send + 'static + use<> {
        self.send(Ok(self.check(events, received_ms, room)))
    }

    fn check(&self, events: Vec<Event>, received_ms: Millis, room: Reservation) -> Taken {
        let checker = Checker::new(&self.inner.actions, received_ms);
        let (mut good, mut rejected) = (Vec::with_capacity(events.len()), Vec::new());
        for (index, event) in events.into_iter().enumerate() {
            match checker.check_typed(&event) {
                Ok(()) => good.push((index, event)),
                Err(detail) => rejected.push(Rejected { index, detail }),
            }
        }
        Taken { events: good, rejected, received_ms, room }
    }

    /// Replaces the types of attributes, for all events from now on. Its version is one more than that of the schema it was made of; where
    /// the log has moved on since, it is among the rejected of the receipt.
    pub fn set_schema(
        &self,
        schema: Schema,
        received_ms: Millis,
    ) -> impl Future<Output = Result<Receipt>> + Send + 'static + use<> {
        let room = self.inner.admission.admit(Lane::Live, (schema.items.len() + schema.users.len()) * 128);
        let events = vec![(0, Event::Schema(schema))];
        self.send(room.map(|room| Taken { events, rejected: Vec::new(), received_ms, room }))
    }

    /// Appends a decision to its log some time soon. Never waits: where the log can't follow, it is dropped and counted.
    pub fn decide(&self, decision: Decision) {
        self.inner.admission.present();
        let stats = &self.inner.stats;
        if stats.decisions_waiting.fetch_add(1, Ordering::Relaxed) >= MOST_DECISIONS
            || self.inner.jobs.send(Job::Decision(Box::new(decision))).is_err()
        {
            stats.decisions_waiting.fetch_sub(1, Ordering::Relaxed);
            Stats::add(&stats.decisions_dropped, 1);
        }
    }

    /// Writes and syncs all that came, ends the writer, and unlocks the log; other clones can't submit any more.
    ///
    /// # Errors
    /// [`Error::Io`] where the last sync failed.
    pub fn close(self) -> Result<()> {
        self.inner.close()
    }

    fn send(&self, taken: Result<Taken>) -> impl Future<Output = Result<Receipt>> + Send + 'static + use<> {
        let batch = taken.map(|taken| {
            let Taken { events, mut rejected, received_ms, room } = taken;
            let Inner { settled, live, shared, fixed, .. } = &*self.inner;
            let schema = joint::current(settled, live, shared.is_some());
            let events = prepare::prepare(events, &mut rejected, &schema, fixed);
            let (reply, answer) = oneshot::channel();
            (Batch { events, rejected, received_ms, reply, room: Arc::new(room) }, answer)
        });
        // At once, not when somebody waits for the answer: what is under way together is synced together.
        let sent = batch.and_then(|(batch, answer)| {
            let sent = match batch.room.lane() {
                Lane::Live => self.inner.jobs.send(Job::Batch(batch)).is_ok(),
                Lane::Backfill => self.inner.past.send(Some(batch)).is_ok(),
            };
            sent.then_some(answer).ok_or_else(closed)
        });
        async move { sent?.await.map_err(|_| closed())? }
    }
}

impl Inner {
    fn close(&self) -> Result<()> {
        self.threads.lock().take().map_or(Ok(()), |threads| threads.close(&self.jobs))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the log could not be closed");
        }
    }
}

/// What who comes too late is told.
fn closed() -> Error {
    Error::Io { path: "log".into(), source: std::io::Error::other("closed") }
}

/// A number that no other log has.
fn draw() -> u64 {
    RandomState::new().hash_one((time::now(), std::process::id()))
}

fn as_text<S: serde::Serializer>(position: &Position, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(position)
}
