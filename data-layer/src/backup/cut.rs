//! What servers share through Redis as of one position of each log: people from there, items from what their partitions say, as one snapshot
//! that any server can begin with. All outboxes stand still while it is read; servers go on answering, and events wait in their logs. Beside
//! servers or without any. Not for the log itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::recent::recent;
use crate::config::{Config, Shared};
use crate::ingest::Ingest;
use crate::ingest::dedupe::Dedupe;
use crate::ingest::shared::carry::Bringing;
use crate::ingest::snapshots::{self, Sort};
use crate::live::Live;
use crate::live::codec::wire::Wire;
use crate::live::snapshot::{self, Carried, Limits};
use crate::shared::whole::places;
use crate::shared::{Lane, Link, Mark, Partitions, Sender, StreamId, Tail, Tailed};
use crate::types::Position;
use crate::{Error, Result};

/// Name of the section with the marks of all partitions.
pub(super) const MARKS: &str = "marks";
/// How often is looked whether all stand still.
const LOOK: Duration = Duration::from_millis(20);
/// How often a pause is made to last on.
const PROLONG: Duration = Duration::from_secs(2);
/// How long a pause may last in all, and how long a server that was started for the backup may take to send its log.
const LONGEST: Duration = Duration::from_secs(600);
/// How long all may take to come to a stop.
const STOP: Duration = Duration::from_secs(60);

/// What was cut.
pub(super) struct Cut {
    /// The snapshot: a file that is removed when this is dropped.
    pub file: Draft,
    /// Positions of all logs, that of the backup's own first.
    pub positions: Vec<Position>,
    /// How long outboxes stood still.
    pub paused: Duration,
}

/// A file that is removed when dropped.
pub(super) struct Draft(pub PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // Where it is not there, it was moved.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A connection for a backup, with the threads that it lives on.
pub(super) fn connect(config: &Config, shared: &Shared) -> Result<(Runtime, Partitions)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(Error::io("the runtime of redis"))?;
    let link = Link::open(&shared.redis, runtime.handle())?;
    let partitions = Partitions::new(link, &config.namespace, shared.forget_after);
    Ok((runtime, partitions.with_note_life(shared.retractable_for)))
}

/// Makes a snapshot of what servers share, as of a position of the log of this configuration. Where no server of it runs, one is started
/// for the time being, so that what waits in its log is taken.
///
/// # Errors
/// [`Error::Store`] for Redis, [`Error::Invalid`] where it can't be read whole, or all do not stand still in time.
pub(super) fn cut(config: &Config, shared: &Shared, producer: u64) -> Result<Cut> {
    let own = match Ingest::open(config) {
        Ok(server) => Some(server),
        Err(Error::Locked { .. }) => None,
        Err(error) => return Err(error),
    };
    let (runtime, partitions) = connect(config, shared)?;
    if let Some(server) = &own {
        let (until, last) = (Instant::now() + LONGEST, server.stats().lag.logged());
        while server.shared().is_some_and(|standing| standing.forwarded() < last) {
            in_time(until, "the log is not taken by Redis")?;
            std::thread::sleep(LOOK);
        }
    }
    let (live, at) = base(config, producer)?;
    let mut tail = Tail::new(partitions.clone(), at)?;
    while runtime.block_on(follow(&mut tail, &live))? {}
    let token = format!("{producer:016x}-{}-{}", std::process::id(), crate::types::time::now());
    if !runtime.block_on(partitions.pause(&token))? {
        let detail = "another backup has servers stand still just now; try again when it is done";
        return Err(Error::invalid(partitions.link().place(), detail));
    }
    let start = Instant::now();
    let prolonging = prolong(&runtime, &partitions, &token);
    let read = read(&runtime, &partitions, &token, (&live, &mut tail), producer);
    prolonging.abort();
    let still = runtime.block_on(partitions.paused());
    let ended = runtime.block_on(partitions.unpause(&token));
    let (paused, (marks, positions, mut carried)) = (start.elapsed(), read?);
    if still?.as_deref() != Some(token.as_str()) {
        let detail =
            "the pause ended by itself before all was read: Redis or this machine was too slow; try again";
        return Err(Error::invalid(partitions.link().place(), detail));
    }
    if let Err(error) = ended {
        tracing::warn!(%error, "servers stand still until the pause ends by itself");
    }
    carried.push(marks_section(&marks));
    let streams: Vec<StreamId> = tail.at().to_vec();
    live.follow(producer);
    live.applied.send_replace(positions.first().map_or(0, |own| own.sequence));
    let file = write(config, &live, &streams, carried)?;
    own.map_or(Ok(()), Ingest::close)?;
    Ok(Cut { file, positions, paused })
}

/// Items as the newest snapshot of this server has them, and up to where; or as they were before everything.
fn base(config: &Config, producer: u64) -> Result<(Live, Vec<StreamId>)> {
    let folder = snapshots::folder(config);
    let (actions, keep) = (&config.actions, &config.live.keep);
    let newest = snapshots::newest_good(&folder, Sort::Items, producer, actions, keep)?;
    if let Some((_, loaded)) = newest
        && let Some(at) = streams_of(&loaded.head.streams)
    {
        return Ok((loaded.live, at));
    }
    Ok((Live::before(config), Tail::beginning()))
}

/// Positions of the streams of items as a snapshot has them, where it is of what servers share.
pub(super) fn streams_of(at: &[StreamId]) -> Option<Vec<StreamId>> {
    (at.len() == usize::from(Lane::Items.partitions())).then(|| at.to_vec())
}

/// Brings items up to what came since; whether anything did.
async fn follow(tail: &mut Tail, live: &Live) -> Result<bool> {
    match tail.read().await? {
        Tailed::Came(deltas) => {
            live.apply_deltas_to(&deltas, tail.upto())?;
            tail.take();
            Ok(!deltas.is_empty())
        }
        Tailed::Lost => {
            let detail =
                "redis has lost what it said of items; servers find that out, try again when they have";
            Err(Error::invalid("redis", detail))
        }
        Tailed::Trimmed => {
            let detail = "what was said of items is no longer in redis from where this server's newest snapshot ends, or it has none; \
                          try again when it has taken one, or with the configuration of another server";
            Err(Error::invalid("redis", detail))
        }
    }
}

/// Makes a pause last on, until it is aborted.
pub(super) fn prolong(runtime: &Runtime, partitions: &Partitions, token: &str) -> JoinHandle<()> {
    let (partitions, token) = (partitions.clone(), token.to_owned());
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(PROLONG).await;
            if let Err(error) = partitions.prolong(&token).await {
                tracing::warn!(%error, "a pause for a backup could not be prolonged");
            }
        }
    })
}

fn in_time(until: Instant, what: &str) -> Result<()> {
    if Instant::now() < until { Ok(()) } else { Err(Error::invalid("backup", format!("{what}; given up"))) }
}

/// What is read while all stand still.
type Read = (Vec<Mark>, Vec<Position>, Vec<Carried>);

/// Waits until all stand still and everything that was sent is taken, then reads all of it.
fn read(
    runtime: &Runtime,
    partitions: &Partitions,
    token: &str,
    (live, tail): (&Live, &mut Tail),
    producer: u64,
) -> Result<Read> {
    let (until, stop) = (Instant::now() + LONGEST, Instant::now() + STOP);
    loop {
        let marks = runtime.block_on(settled(partitions, token, producer, stop))?;
        let still = runtime.block_on(partitions.still(token))?;
        while runtime.block_on(follow(tail, live))? {
            in_time(until, "what happened to items is not read in time")?;
        }
        live.forget_people();
        let mut bringing = Bringing::into(live);
        let mut between = || in_time(until, "people are not read in time");
        runtime.block_on(partitions.each_kept(&mut |kept| bringing.take(kept), &mut between))?;
        let again = runtime.block_on(partitions.settled())?;
        let ends = marks[usize::from(Lane::People.partitions())..].iter();
        let items = ends.zip(tail.at()).all(|(mark, at)| (mark.sent, mark.chain) == (at.ms, at.number));
        let here = runtime.block_on(partitions.at_work())?.iter().all(|one| still.contains_key(one));
        if again.as_ref() == Some(&marks) && items && here {
            let own = still.get(&producer).copied().ok_or_else(|| {
                Error::invalid(
                    "backup",
                    "expected the server of this log to stand still; start it, or stop it",
                )
            })?;
            let others = positions(&marks, &still, producer);
            let own = Position { producer, sequence: own };
            return Ok((marks, std::iter::once(own).chain(others).collect(), bringing.finish()?));
        }
        // Somebody who had been given up was at work after all.
        in_time(stop, "something changed while it was read")?;
    }
}

/// The marks of all partitions once every server that is at work stands still and nothing is under way.
async fn settled(partitions: &Partitions, token: &str, own: u64, until: Instant) -> Result<Vec<Mark>> {
    loop {
        let still = partitions.still(token).await?;
        let at_work = partitions.at_work().await?.into_iter().chain([own]);
        let waiting: Vec<u64> = at_work.filter(|one| !still.contains_key(one)).collect();
        if waiting.is_empty()
            && let Some(marks) = partitions.settled().await?
        {
            return Ok(marks);
        }
        let what = match waiting.first() {
            Some(one) => format!("the server of log {one:016x} does not stand still"),
            None => "what was sent to partitions is not taken: no server works on them, or not fast enough"
                .to_owned(),
        };
        in_time(until, &what)?;
        tokio::time::sleep(LOOK).await;
    }
}

/// How far each other log has been taken: as its server said, else as far as any partition has it.
fn positions(marks: &[Mark], still: &std::collections::BTreeMap<u64, u64>, own: u64) -> Vec<Position> {
    let mut furthest = std::collections::BTreeMap::new();
    for (sender, sequence) in marks.iter().flat_map(|mark| &mark.taken) {
        if let Sender::Log(producer) = sender {
            let known = furthest.entry(*producer).or_insert(0);
            *known = (*sequence).max(*known);
        }
    }
    furthest.extend(still.iter().map(|(producer, sequence)| (*producer, *sequence)));
    furthest.remove(&own);
    furthest.into_iter().map(|(producer, sequence)| Position { producer, sequence }).collect()
}

fn marks_section(marks: &[Mark]) -> Carried {
    let mut wire = Wire::default();
    debug_assert_eq!(marks.len(), places().count());
    wire.count(marks.len());
    marks.iter().for_each(|mark| wire.bytes(&mark.encode()));
    Carried { name: MARKS.to_owned(), bytes: wire.0 }
}

/// Writes the snapshot where drafts of snapshots are, with what the log remembers of events that came.
fn write(config: &Config, live: &Live, at: &[StreamId], mut carried: Vec<Carried>) -> Result<Draft> {
    carried.extend(remembered(config)?);
    let folder = snapshots::folder(config);
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let draft = Draft(folder.join(format!("backup-{}.snapshot.tmp", std::process::id())));
    let maker = snapshots::maker(config);
    write_snapshot(&draft.0, live, &maker, at, carried)?;
    Ok(draft)
}

/// What the log of a configuration remembers of events that came.
pub(super) fn remembered(config: &Config) -> Result<Vec<Carried>> {
    let mut dedupe = Dedupe::new(config.log.dedupe);
    recent(&config.events_folder(), config.log.dedupe, &mut |record, key| {
        dedupe.insert(key, record.received_ms);
        dedupe.keep();
    })?;
    Ok(snapshots::carried(&dedupe).collect())
}

/// Writes a snapshot of a live side to a file.
pub(super) fn write_snapshot(
    path: &std::path::Path,
    live: &Live,
    maker: &snapshot::Maker,
    at: &[StreamId],
    carried: Vec<Carried>,
) -> Result<()> {
    let file = std::fs::File::create(path).map_err(Error::io(path))?;
    let mut to = std::io::BufWriter::with_capacity(1 << 20, &file);
    *live.streams.lock() = at.to_vec();
    snapshot::write(live, maker, || Ok(carried), &mut to, path, Limits::default())?;
    drop(to);
    file.sync_all().map_err(Error::io(path))
}
