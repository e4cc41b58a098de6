//! The thread that compacts attributes from time to time, with pauses as long as its work, so that it stands in nobody's way. What it can't do now it does the
//! next time. Not for which records may go: `plan.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::plan::{Sealed, find};
use super::scan::MOST_KNOWN;
use super::segments::{rewrite, sweep};
use crate::archive::{Bell, Store, turn};
use crate::config::Config;
use crate::log::{Entries, Holds, Stream, entries};
use crate::types::{Millis, time};
use crate::{Error, Result};

/// When a process compacts first, at the latest.
const FIRST: Duration = Duration::from_secs(15 * 60);
/// Longest pause after a segment.
const REST: Duration = Duration::from_secs(2);

/// What compaction has come to since the start. Read at any time, from any thread.
#[derive(Debug, Default)]
pub struct Standing {
    /// Times that the log was looked through.
    pub runs: AtomicU64,
    /// Tries that failed.
    pub failures: AtomicU64,
    /// Segments that were written again.
    pub segments: AtomicU64,
    /// Records that went.
    pub records: AtomicU64,
    /// Bytes of those segments before.
    pub before: AtomicU64,
    /// Their bytes now.
    pub after: AtomicU64,
}

/// What the thread works on.
pub(crate) struct Work {
    /// Folder of the log of one namespace.
    pub folder: PathBuf,
    /// What the configuration says of the log, and whose it is.
    pub config: Config,
    /// Identity of the log.
    pub producer: u64,
    /// Who needs all of the log, from where on.
    pub holds: Arc<Mutex<Vec<Arc<dyn Holds>>>>,
    /// Held by whoever changes sealed segments, or copies them into the archive.
    pub archiving: Arc<Mutex<()>>,
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Compactor {
    standing: Arc<Standing>,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    /// Starts the thread, which works every so often.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn start(work: Work, every: Duration) -> Result<Self> {
        let (standing, bell) = (Arc::<Standing>::default(), Arc::<Bell>::default());
        let (told, ears, place) = (Arc::clone(&standing), Arc::clone(&bell), work.folder.clone());
        let run = move || {
            ears.wait(every.min(FIRST));
            while !ears.ended() {
                match pass(&work, time::now(), &told, &|| ears.ended()) {
                    Ok(()) => told.runs.fetch_add(1, Ordering::Relaxed),
                    Err(error) => {
                        tracing::error!(%error, "attributes in the log could not be compacted; trying again later");
                        told.failures.fetch_add(1, Ordering::Relaxed)
                    }
                };
                if !ears.ended() {
                    ears.wait(every);
                }
            }
        };
        let thread = std::thread::Builder::new().name("weir-compact".to_owned());
        let thread = Some(thread.spawn(run).map_err(Error::io(place))?);
        Ok(Self { standing, bell, thread })
    }

    /// What it has come to.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.bell.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that compacts failed");
        }
    }
}

/// Looks through the log once and writes segments again that have become smaller.
pub(super) fn pass(work: &Work, now: Millis, told: &Standing, ended: &dyn Fn() -> bool) -> Result<()> {
    let folder = work.folder.join(Stream::Events.folder());
    sweep(&folder)?;
    let listed = entries::segments(&folder)?;
    let candidates = candidates(work, &folder, &listed, now)?;
    if candidates == 0 {
        return Ok(());
    }
    let mut all: Vec<Sealed> = listed.into_iter().map(Sealed::new).collect();
    all.pop();
    let mut since = Instant::now();
    let mut rest = || {
        pause(since.elapsed(), ended);
        since = Instant::now();
        ended()
    };
    let sources = &work.config.live.keep.sources;
    let Some(marks) = find(&folder, &mut all, candidates, sources, MOST_KNOWN, &mut rest)? else {
        return Ok(());
    };
    for (number, segment) in all[..candidates].iter().enumerate().filter(|(number, _)| marks.any(*number)) {
        let start = Instant::now();
        {
            let Some(_archiving) = turn(&work.archiving, ended) else { break };
            // Retention may have removed it since, or an erasure may have written it again.
            if !segment.is_same() {
                continue;
            }
            if let Some(done) = rewrite(&folder, number, segment, &marks, ended)? {
                told.segments.fetch_add(1, Ordering::Relaxed);
                told.records.fetch_add(done.records, Ordering::Relaxed);
                told.before.fetch_add(done.before, Ordering::Relaxed);
                told.after.fetch_add(done.after, Ordering::Relaxed);
                let (records, before, after) = (done.records, done.before, done.after);
                tracing::info!(path = %segment.path.display(), records, before, after, "compacted attributes in a segment");
            }
        }
        pause(start.elapsed(), ended);
        if ended() {
            break;
        }
    }
    Ok(())
}

/// How many of the first segments may lose records: all of them are sealed, old enough, in the archive where there is one, and needed whole by nobody. None
/// where the log does not begin with its first record: what came before it is not known.
fn candidates(work: &Work, folder: &Path, all: &[(u64, PathBuf)], now: Millis) -> Result<usize> {
    let log = &work.config.log;
    if all.first().is_none_or(|(first, _)| *first != 1) {
        return Ok(0);
    }
    // What is sent again within the window is known by what the log holds of it.
    let until = now - log.compact_after.max(2 * log.dedupe);
    let needed = work.holds.lock().iter().map(|holds| holds.needs_all_from()).min().unwrap_or(u64::MAX);
    let archive = match &log.archive {
        Some(address) => Some(Store::open(address, &log.store, &work.config.namespace)?),
        None => None,
    };
    let mut count = 0;
    for pair in all.windows(2) {
        let [(first, _), (next, path)] = pair else { break };
        // What came after it is older still.
        let follower = Entries::sealed(folder, Stream::Events, *next, path).next().transpose();
        let old = matches!(follower, Ok(Some(entry)) if entry.received_ms < until);
        if !old || *next > needed {
            break;
        }
        if let Some(store) = &archive
            && !crate::archive::holds(store, Stream::Events, work.producer, *first)?
        {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// Waits as long as something took.
fn pause(took: Duration, ended: &dyn Fn() -> bool) {
    let until = Instant::now() + took.min(REST);
    while !ended() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())));
    }
}
