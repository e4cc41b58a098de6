//! When snapshots of the live side are taken, and where they are kept: in a folder, the newest few, and on demand in a store as well. What is
//! in one is `live/snapshot/`'s. The log stays the truth: without any snapshot a start replays all of it.

mod files;
pub(super) mod items;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::consumer;
use super::dedupe::Dedupe;
use super::jobs::Job;
use crate::archive::Store;
use crate::config::{Backend, Config};
use crate::live::Live;
use crate::live::snapshot::{Carried, Limits, Loaded, Maker, Written, configured, configured_parts};
use crate::log::Holds;
use crate::types::Position;
use crate::{Error, Result};

use files::Place;
pub(crate) use files::{Kept, Sort, file_name, list, newest_good, try_copies};

/// Name of the section with what is remembered of events that came.
const DEDUPE: &str = "dedupe";
/// What a snapshot at the end may take; the log is there where it takes longer.
const AT_CLOSE: Duration = Duration::from_secs(30);

/// What makes state here.
#[must_use]
pub fn maker(config: &Config) -> Maker {
    let consumers = consumer::ALL.iter().map(|one| (one.part().name().to_owned(), one.version())).collect();
    let (actions, keep) = (&config.actions, &config.live.keep);
    Maker { consumers, configured: configured(actions, keep), parts: configured_parts(actions, keep) }
}

/// Where the snapshots of a configuration are.
#[must_use]
pub fn folder(config: &Config) -> PathBuf {
    crate::config::namespace_root(&config.live.dir, &config.namespace).join("snapshots")
}

/// The store to which a configuration has snapshots copied.
fn store(config: &Config) -> Result<Option<Store>> {
    let to = config.live.snapshots.store.as_ref();
    to.map(|to| Store::open(to, &config.log.store, &config.namespace)).transpose()
}

/// Whether servers share what the live side is made of: who serves then takes snapshots of items alone; who only reads has its own log alone.
pub(super) fn is_shared(config: &Config) -> bool {
    matches!(config.live.backend, Backend::Redis(_))
}

/// Brings the newest snapshot of a log from the store to where there is none; a store that is away is told of, and changes nothing.
pub(super) fn fetch(config: &Config, producer: u64) {
    if config.live.snapshots.every.is_none() {
        return;
    }
    let fetched = store(config)
        .and_then(|store| store.map_or(Ok(()), |store| files::fetch(&folder(config), &store, producer)));
    if let Err(error) = fetched {
        tracing::warn!(%error, "no snapshot could be fetched");
    }
}

/// What a snapshot remembers of events that came.
pub(super) fn remembered(loaded: &mut Loaded, dedupe: &mut Dedupe) -> std::result::Result<(), String> {
    let ours = loaded.carried.extract_if(.., |carried| carried.name == DEDUPE);
    let mut sections = ours.into_iter();
    sections.try_for_each(|carried| dedupe.push_section(&carried.bytes))
}

/// What a snapshot carries of what is remembered of events.
pub(crate) fn carried(dedupe: &Dedupe) -> impl Iterator<Item = Carried> + use<> {
    dedupe.sections().map(|bytes| Carried { name: DEDUPE.to_owned(), bytes })
}

/// Counts of snapshots, for metrics. Read at any time, from any thread.
#[derive(Debug, Default)]
pub struct Taken {
    /// Snapshots that were taken.
    pub taken: AtomicU64,
    /// Tries that failed.
    pub failures: AtomicU64,
    /// Bytes of the newest.
    pub bytes: AtomicU64,
    /// How long it took, in milliseconds.
    pub took_ms: AtomicU64,
    /// The longest time for which it held applying up, in microseconds.
    pub pause_us: AtomicU64,
}

/// The snapshots of one server.
#[derive(Debug)]
pub struct Snapshots {
    place: Place,
    /// What made the state, and whether the newest snapshot is of what made it before.
    maker: Mutex<(Maker, bool)>,
    live: Arc<Live>,
    taken: Taken,
    /// Of whoever takes one.
    one: Mutex<()>,
    /// Set when this server ends: what is being taken is given up, and begun anew with less time.
    ends: Arc<AtomicBool>,
}

impl Holds for Snapshots {
    fn name(&self) -> &'static str {
        "snapshots"
    }

    /// Behind the oldest that is kept, so that it may stand in for newer ones that are damaged.
    fn needs_from(&self) -> u64 {
        self.place.oldest().map_or(0, |kept| kept.sequence + 1)
    }

    /// What is said again later comes to the same from any state on.
    fn needs_all_from(&self) -> u64 {
        u64::MAX
    }
}

impl Snapshots {
    /// `loaded` is the snapshot that the state began with.
    /// Its position has the number in its name.
    pub(super) fn new(
        config: &Config,
        live: Arc<Live>,
        maker: Maker,
        loaded: Option<Position>,
    ) -> Result<Self> {
        let sort = if is_shared(config) { Sort::Items } else { Sort::Log };
        let place = Place::open(folder(config), sort, config.live.snapshots.keep, store(config)?, loaded)?;
        let maker = Mutex::new((maker, false));
        Ok(Self { place, maker, live, taken: Taken::default(), one: Mutex::new(()), ends: Arc::default() })
    }

    /// The oldest that is kept.
    pub(super) fn oldest(&self) -> Option<Kept> {
        self.place.oldest()
    }

    /// Whether a new server could start from none of those that are kept.
    pub(super) fn lacks_copy(&self) -> bool {
        self.place.lacks_copy()
    }

    /// As long as it takes, unless this server ends.
    fn limits(&self) -> Limits {
        Limits { stop: Some(Arc::clone(&self.ends)), ..Limits::default() }
    }

    /// Counts since the start.
    #[must_use]
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// Takes one, where anything was applied since the newest. `remembered` is asked once its moment is fixed.
    pub(super) fn take(
        &self,
        remembered: impl FnOnce() -> Option<Dedupe>,
        limits: Limits,
    ) -> Result<Option<Written>> {
        let _one = self.one.lock();
        let (maker, outdated) = self.maker.lock().clone();
        let (at, streams) = (self.live.applied().sequence, self.live.streams.lock().clone());
        // Before it is known what of the log counts, only the streams tell.
        let same =
            |newest: Kept| [newest.sequence, 0].contains(&at) && newest.streams == streams && newest.copied;
        let nothing = at == 0 && streams.iter().all(|stream| stream.ms == 0);
        if nothing || (self.place.newest().is_some_and(same) && !outdated) {
            return Ok(None);
        }
        let gone = || Error::invalid("snapshot", "the log was closed before it knew what came before");
        let carried = || Ok(carried(&remembered().ok_or_else(gone)?).collect());
        let written = self.place.write(&self.live, &maker, carried, limits);
        match &written {
            Ok(written) => {
                self.maker.lock().1 = false;
                self.taken.taken.fetch_add(1, Ordering::Relaxed);
                self.taken.bytes.store(written.bytes, Ordering::Relaxed);
                self.taken.took_ms.store(written.took.as_millis() as u64, Ordering::Relaxed);
                self.taken.pause_us.store(written.longest_pause.as_micros() as u64, Ordering::Relaxed);
                let (bytes, took, pause) = (written.bytes, written.took, written.longest_pause);
                tracing::info!(position = %written.position, bytes, ?took, longest_pause = ?pause, "took a snapshot");
            }
            Err(error) => {
                self.taken.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "no snapshot could be taken; the log has everything");
            }
        }
        written.map(Some)
    }

    /// The newest is of other rules than those of now, wherever it stands.
    pub(super) fn outdate(&self) {
        self.maker.lock().1 = true;
    }

    /// The state was made anew: a snapshot says so at once, or a restart would make it again.
    pub(super) fn made_anew(&self, maker: Maker, remembered: impl FnOnce() -> Option<Dedupe>) {
        *self.maker.lock() = (maker, true);
        drop(self.take(remembered, self.limits()));
    }

    /// Takes one now and drops all that are older: what was erased meanwhile is in none of them.
    pub(super) fn renew(&self, remembered: impl FnOnce() -> Option<Dedupe>) -> Result<()> {
        self.take(remembered, self.limits())?;
        let _one = self.one.lock();
        self.place.keep(1, self.live.applied().producer)
    }
}

/// Takes snapshots from time to time, on a thread of its own; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Clockwork {
    snapshots: Arc<Snapshots>,
    bell: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Clockwork {
    /// Starts the thread, which asks the log thread for what is remembered.
    pub(super) fn start(
        config: &Config,
        snapshots: Arc<Snapshots>,
        jobs: Sender<Job>,
        every: Duration,
    ) -> Result<Self> {
        let bell = Arc::<(Mutex<bool>, Condvar)>::default();
        let (theirs, own) = (Arc::clone(&bell), Arc::clone(&snapshots));
        let work = move || {
            let (ended, heard) = &*theirs;
            // What the store lacks, a new server can't start from.
            let mut until = Instant::now() + if own.lacks_copy() { Duration::ZERO } else { every };
            loop {
                {
                    let mut ended = ended.lock();
                    while !*ended && !heard.wait_until(&mut ended, until).timed_out() {}
                    if *ended {
                        return;
                    }
                }
                // What failed was said; the next try is when the time comes again.
                drop(own.take(|| ask(&jobs), own.limits()));
                until = Instant::now() + every;
            }
        };
        let thread = Some(super::start::spawn("weir-snapshots", config, work)?);
        Ok(Self { snapshots, bell, thread })
    }

    /// Gives up what is being taken: this server ends, and takes a last one then.
    pub(super) fn hurry(&self) {
        self.snapshots.ends.store(true, Ordering::Release);
    }

    /// Takes the last one, with what the log thread has left, and ends.
    pub(super) fn close(mut self, remembered: Dedupe) {
        self.end();
        let limits = Limits { until: Some(Instant::now() + AT_CLOSE), ..Limits::default() };
        drop(self.snapshots.take(|| Some(remembered), limits));
    }

    fn end(&mut self) {
        self.hurry();
        *self.bell.0.lock() = true;
        self.bell.1.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the snapshot thread failed");
        }
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the log thread remembers of events that came; `None` where it has ended.
pub(super) fn ask(jobs: &Sender<Job>) -> Option<Dedupe> {
    let (reply, answer) = oneshot::channel();
    jobs.send(Job::Remember(reply)).ok()?;
    answer.blocking_recv().ok()
}
