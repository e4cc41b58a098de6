//! The start of the way in: the live store and the memory of duplicates, from a snapshot and the log. Not for what goes on then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::dedupe::{self, Dedupe};
use super::jobs::Job;
use super::joint::Joint;
use super::rebuild::{Rebuild, Rebuilding};
use super::shared::Sharing;
use super::snapshots::{self, Clockwork, Snapshots, Sort, is_shared, items, newest_good};
use crate::config::{Backend, Config};
use crate::erase::{Erasures, Plan};
use crate::live::Live;
use crate::live::snapshot::{Loaded, Maker};
use crate::log::{self, EntryRef, Growth, Holds, Stream, Writer, entries::segments, format, record};
use crate::types::{Event, Position, Record};
use crate::{Error, Result};

/// Records that are applied together at a start: enough for two threads to be busy, and some tens of megabytes.
const TOGETHER: usize = 64 * 1024;

/// The logs of events and of decisions, the first with a drawn number where it is new.
pub(super) fn writers(config: &Config, drawn: u64) -> Result<(Writer, Writer)> {
    let events = Writer::open(&config.events_folder(), Stream::Events, &config.namespace, drawn)?;
    let (folder, producer) = (config.decisions_folder(), events.producer());
    Ok((events, Writer::open(&folder, Stream::Decisions, &config.namespace, producer)?))
}

/// Starts a thread of that name.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    config: &Config,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map_err(Error::io(&config.log.dir))
}

/// How far a start is. Read at any time, from any thread.
#[derive(Debug, Default)]
pub struct CatchUp {
    from: AtomicU64,
    at: AtomicU64,
    of: AtomicU64,
}

impl CatchUp {
    /// The record that counts, the one from which the log was replayed, and the last one that was there at the start.
    #[must_use]
    pub fn standing(&self) -> (u64, u64, u64) {
        let [at, from, of] = [&self.at, &self.from, &self.of].map(|number| number.load(Ordering::Acquire));
        (at, from, of)
    }

    pub(super) fn begin(&self, from: u64, of: u64) {
        self.from.store(from, Ordering::Release);
        self.at.store(from, Ordering::Release);
        self.of.store(of, Ordering::Release);
    }

    fn reach(&self, at: u64) {
        self.at.store(at, Ordering::Release);
    }
}

/// What a start gives.
pub(super) struct Started {
    /// The live store as the log has it.
    pub live: Live,
    /// What made it.
    pub maker: Maker,
    /// The snapshot that it began with: the log, and the number in its name.
    pub loaded: Option<Position>,
    /// What made the items that it began with, where that was not what makes them now.
    pub outdated: Option<Maker>,
}

/// The live store as the log has it: the newest snapshot that is good, and the log behind it.
pub(super) fn state(
    config: &Config,
    mut dedupe: Option<&mut Dedupe>,
    last: u64,
    told: &CatchUp,
    erasures: Option<&Erasures>,
) -> Result<Started> {
    told.begin(0, last);
    let now = snapshots::maker(config);
    let (live, maker, loaded, outdated) = match dedupe.as_deref_mut().filter(|_| is_shared(config)) {
        Some(dedupe) => match items::begin(config, dedupe)? {
            Some(begun) => (begun.loaded.live, now, begun.own, begun.outdated),
            None => (Live::before(config), now, None, None),
        },
        None => match snapshot(config, dedupe.as_deref_mut())? {
            Some(loaded) => {
                let at = Some(loaded.live.applied()).filter(|at| at.sequence > 0);
                (loaded.live, loaded.head.maker, at, None)
            }
            None => (Live::before(config), now, None, None),
        },
    };
    told.begin(live.applied().sequence, last);
    replay(config, &live, dedupe, told, erasures)?;
    Ok(Started { live, maker, loaded, outdated })
}

/// Starts this server's part in what servers share, where the configuration says so. Nothing of its log counts before all partitions have
/// taken it.
pub(super) fn share(
    config: &Config,
    live: &Arc<Live>,
    growth: Arc<Growth>,
    snapshots: Option<&Arc<Snapshots>>,
    outdated: Option<Maker>,
) -> Result<Option<Sharing>> {
    let Backend::Redis(shared) = &config.live.backend else { return Ok(None) };
    live.applied.send_replace(0);
    Sharing::start(config, shared, live, growth, snapshots.cloned(), outdated).map(Some)
}

/// What this server's log takes up of types that others say, where a Redis is shared; the log holds records up to `last`.
pub(super) fn joint(config: &Config, live: &Arc<Live>, last: u64) -> Option<Joint> {
    is_shared(config).then(|| Joint::new(live, last))
}

/// The newest snapshot of this log that is good. One of other rules serves until state is made anew, which who only reads does at once where
/// the log is whole.
fn snapshot(config: &Config, dedupe: Option<&mut Dedupe>) -> Result<Option<Loaded>> {
    let Some(producer) = log::producer(&config.events_folder())? else { return Ok(None) };
    let folder = snapshots::folder(config);
    // Who only reads fetches nothing.
    if dedupe.is_some() {
        snapshots::fetch(config, producer);
    }
    let (actions, keep) = (&config.actions, &config.live.keep);
    let Some((_, mut loaded)) = newest_good(&folder, Sort::Log, producer, actions, keep)? else {
        return Ok(None);
    };
    if loaded.head.maker != snapshots::maker(config) {
        tracing::warn!("what is kept of events has changed since the newest snapshot: state is made anew");
        let whole = segments(&config.events_folder())?.first().is_none_or(|(first, _)| *first <= 1);
        if dedupe.is_none() && whole {
            return Ok(None);
        }
    }
    if let Some(dedupe) = dedupe
        && let Err(detail) = snapshots::remembered(&mut loaded, dedupe)
    {
        tracing::warn!(detail, "what a snapshot remembers of events can't be read: replaying the log");
        *dedupe = Dedupe::new(config.log.dedupe);
        return Ok(None);
    }
    // It may be of what servers shared; this one is alone.
    loaded.live.streams.lock().clear();
    tracing::info!(position = %loaded.head.position(), "loaded a snapshot");
    Ok(Some(loaded))
}

/// Applies every record of the event log behind what a live store has applied.
fn replay(
    config: &Config,
    live: &Live,
    mut dedupe: Option<&mut Dedupe>,
    told: &CatchUp,
    erasures: Option<&Erasures>,
) -> Result<()> {
    let plan = Plan::unfinished(&config.log.dir.join(&config.namespace))?;
    let (folder, after) = (config.events_folder(), live.applied().sequence);
    let with_keys = dedupe.is_some();
    let elsewhere = with_keys && is_shared(config);
    let decode = |entry: EntryRef<'_>| {
        if entry.kind == format::VOID || entry.sequence <= after {
            return Ok(None);
        }
        let record = record(entry, &folder)?;
        let key = if with_keys { key(&entry, &record)? } else { 0 };
        // As the log will be when the rewriting has ended that a process before this one was at.
        let record = match &plan {
            Some(plan) => plan.record(record),
            None => Some(record),
        };
        Ok(record.map(|record| (record, key)))
    };
    let from = if after == 0 { 0 } else { after + 1 };
    let mut records = Vec::new();
    let apply = |records: &mut Vec<Record>| {
        let last = records.last().map(|record| record.sequence);
        erasures.map_or(Ok(()), |erasures| erasures.note(records))?;
        if elsewhere {
            keep_schemas(live, records);
        }
        live.apply(records)?;
        last.into_iter().for_each(|last| told.reach(last));
        records.clear();
        Ok::<_, Error>(())
    };
    let (last, producer) = log::replay::replay(&folder, Stream::Events, from, decode, |chunk| {
        for (record, key) in chunk {
            if let Some(dedupe) = &mut dedupe {
                dedupe.insert(key, record.received_ms);
                dedupe.keep();
            }
            records.push(record);
        }
        if records.len() >= TOGETHER {
            apply(&mut records)?;
        }
        Ok(())
    })?;
    apply(&mut records)?;
    if last < after {
        return Err(ends_early(config, last, after));
    }
    live.follow(producer.unwrap_or(live.applied().producer));
    Ok(())
}

/// Of records that count elsewhere, the types of attributes hold here at once; on top of a snapshot they are only joined to what others have said
/// since.
fn keep_schemas(live: &Live, records: &mut Vec<Record>) {
    records.retain(|record| matches!(record.event, Event::Schema(_)));
    if !live.streams.lock().is_empty() {
        live.join_schemas(records.drain(..).filter_map(|record| match record.event {
            Event::Schema(schema) => Some(schema),
            _ => None,
        }));
    }
}

/// By what a record is known for a repeat.
pub(crate) fn key(entry: &EntryRef<'_>, record: &Record) -> Result<dedupe::Key> {
    if entry.version == format::RECORD_VERSION {
        return Ok(dedupe::key(&record.event, entry.payload));
    }
    // Older versions wrote another payload for the same content.
    let payload = format::encode_event(&record.event).map_err(|detail| Error::invalid("log", detail))?;
    Ok(dedupe::key(&record.event, &payload))
}

/// That the log ends before the newest snapshot.
fn ends_early(config: &Config, last: u64, after: u64) -> Error {
    let name = format!("{} of {}", last + 1, config.events_folder().display());
    let hint = format!(
        "; the newest snapshot has records up to {after}: bring the log back from a backup, or remove {} to go on without them",
        snapshots::folder(config).display()
    );
    Error::NotFound { what: "record", name, hint }
}

/// Where snapshots are kept; `None` where the configuration wants none.
pub(super) fn snapshots(
    config: &Config,
    live: &Arc<Live>,
    maker: &Maker,
    loaded: Option<Position>,
) -> Result<Option<Arc<Snapshots>>> {
    let wanted = config.live.snapshots.every.is_some();
    let snapshots = wanted.then(|| Snapshots::new(config, Arc::clone(live), maker.clone(), loaded));
    Ok(snapshots.transpose()?.map(Arc::new))
}

/// The thread that takes them.
pub(super) fn clock(
    config: &Config,
    snapshots: Option<&Arc<Snapshots>>,
    jobs: &Sender<Job>,
) -> Result<Option<Clockwork>> {
    let Some((snapshots, every)) = snapshots.zip(config.live.snapshots.every) else { return Ok(None) };
    let every = Duration::from_millis(every.unsigned_abs());
    Clockwork::start(config, Arc::clone(snapshots), jobs.clone(), every).map(Some)
}

/// Makes state anew where it was made by other rules than those of now.
pub(super) fn rebuild(
    config: &Config,
    live: &Arc<Live>,
    jobs: &Sender<Job>,
    maker: &Maker,
    snapshots: Option<&Arc<Snapshots>>,
) -> Result<Option<Rebuild>> {
    let now = snapshots::maker(config);
    if *maker == now {
        return Ok(None);
    }
    let parts = maker.changed(&now).to_make();
    let (snapshots, jobs) = (snapshots.cloned(), jobs.clone());
    let then = move || {
        if let Some(snapshots) = snapshots {
            snapshots.made_anew(now, || snapshots::ask(&jobs));
        }
    };
    tracing::info!(%parts, "state is made anew from archive and log");
    Rebuild::start(config, Arc::clone(live), parts, then).map(Some)
}

/// Who needs what is in the log.
pub(super) fn holds(
    snapshots: Option<&Arc<Snapshots>>,
    rebuilding: Option<&Arc<Rebuilding>>,
    sharing: Option<&Sharing>,
) -> Arc<Mutex<Vec<Arc<dyn Holds>>>> {
    let one = snapshots.map(|snapshots| Arc::clone(snapshots) as Arc<dyn Holds>);
    let two = rebuilding.map(|rebuilding| Arc::clone(rebuilding) as Arc<dyn Holds>);
    Arc::new(Mutex::new(one.into_iter().chain(two).chain(sharing.map(Sharing::holds)).collect()))
}
