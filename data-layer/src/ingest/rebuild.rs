//! State made anew, beside the one that serves, where what is kept of events has changed since that was made: the parts that have changed, from
//! the archive and the log, in order, then put in their place. What is accepted meanwhile is in both. Not for a start without any state, which
//! replays the log at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::start;
use crate::archive::history;
use crate::config::{Config, Parts};
use crate::erase::Plan;
use crate::live::Live;
use crate::log::{Cursor, EntryRef, Holds, Stream, entries::segments, format, record, replay};
use crate::types::Record;
use crate::{Error, Result};

/// So few records are applied while nothing else is.
const NEAR: u64 = 1_000;
/// Records that are applied together on the way there.
const CHUNK: usize = 1024;
/// How often is looked for a record that is applied and can't be read yet.
const LOOK: Duration = Duration::from_millis(1);

/// A state that is being made anew, on a thread of its own.
#[derive(Debug)]
pub(super) struct Rebuild {
    standing: Arc<Rebuilding>,
    thread: Option<JoinHandle<()>>,
}

/// How far it is. Read at any time, from any thread.
#[derive(Debug, Default)]
pub struct Rebuilding {
    /// The last record that is in the new state.
    at: AtomicU64,
    done: AtomicBool,
    failed: AtomicBool,
    ended: AtomicBool,
}

impl Rebuilding {
    /// The last record that is in the new state; `None` once it serves.
    #[must_use]
    pub fn at(&self) -> Option<u64> {
        (!self.done.load(Ordering::Acquire)).then(|| self.at.load(Ordering::Acquire))
    }

    /// Whether it was given up; the old state serves on.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

impl Holds for Rebuilding {
    fn name(&self) -> &'static str {
        "rebuild"
    }

    fn needs_from(&self) -> u64 {
        if self.done.load(Ordering::Acquire) || self.failed() {
            u64::MAX
        } else {
            self.at.load(Ordering::Acquire) + 1
        }
    }
}

impl Rebuild {
    /// Starts it, for some of the parts; `then` is called once they serve.
    pub(super) fn start(
        config: &Config,
        live: Arc<Live>,
        parts: Parts,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let standing = Arc::new(Rebuilding::default());
        let (own, told) = (config.clone(), Arc::clone(&standing));
        let work = move || match rebuild(&own, &live, parts, &told) {
            Ok(true) => {
                told.done.store(true, Ordering::Release);
                tracing::info!(position = %live.applied(), %parts, "state was made anew and serves");
                then();
            }
            Ok(false) => {}
            Err(error) => {
                told.failed.store(true, Ordering::Release);
                tracing::error!(%error, "state could not be made anew; what was made before serves on");
            }
        };
        let thread = Some(start::spawn("weir-rebuild", config, work)?);
        Ok(Self { standing, thread })
    }

    pub(super) fn standing(&self) -> &Arc<Rebuilding> {
        &self.standing
    }
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        self.standing.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that makes state anew failed");
        }
    }
}

/// Makes the state anew and puts it in its place; `false` where it was told to end.
fn rebuild(config: &Config, live: &Live, parts: Parts, told: &Rebuilding) -> Result<bool> {
    let folder = config.events_folder();
    let (fresh, producer) = (live.beside(parts), live.applied().producer);
    let mut take = |records: Vec<Record>| {
        if told.ended.load(Ordering::Acquire) {
            return Err(Error::invalid("rebuild", "ended"));
        }
        fresh.apply(&records)?;
        told.at.store(fresh.applied().sequence, Ordering::Release);
        Ok(())
    };
    let made = make(config, &folder, producer, &mut take).and_then(|()| {
        let mut cursor = Cursor::new(&folder, Stream::Events, fresh.applied().sequence, None);
        while live.applied().sequence.saturating_sub(cursor.position().sequence) > NEAR {
            let to = live.applied().sequence;
            follow(&mut cursor, to, &mut take)?;
        }
        Ok(cursor)
    });
    let mut cursor = match made {
        Err(_) if told.ended.load(Ordering::Acquire) => return Ok(false),
        made => made?,
    };
    live.replace(fresh, |fresh, to| follow(&mut cursor, to, &mut |records| fresh.apply(&records)))?;
    Ok(true)
}

/// Archive and log as they are.
fn make(
    config: &Config,
    folder: &Path,
    producer: u64,
    take: &mut dyn FnMut(Vec<Record>) -> Result<()>,
) -> Result<()> {
    let first = segments(folder)?.first().map_or(1, |(first, _)| *first);
    // As archive and log will be when the rewriting has ended that a process before this one was at.
    let plan = Plan::unfinished_with(&config.log.dir.join(&config.namespace), &mut |each| match first {
        0 | 1 => Ok(()),
        _ => history::before(config, producer, first, &mut |records| {
            records.iter().for_each(&mut *each);
            Ok(())
        }),
    })?;
    let planned = |record: Record| match &plan {
        Some(plan) => plan.record(record),
        None => Some(record),
    };
    if first > 1 {
        history::before(config, producer, first, &mut |records| {
            take(records.into_iter().filter_map(planned).collect())
        })?;
    }
    let decode = |entry: EntryRef<'_>| match entry.kind {
        format::VOID => Ok(None),
        _ => record(entry, folder).map(planned),
    };
    replay::replay(folder, Stream::Events, first, decode, take).map(drop)
}

/// The records behind a cursor up to a sequence that is in the log.
fn follow(cursor: &mut Cursor, to: u64, take: &mut dyn FnMut(Vec<Record>) -> Result<()>) -> Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    while cursor.position().sequence < to {
        match cursor.read_record()? {
            Some(record) => chunk.push(record),
            // It is on the disk, and is told of soon; or the last ones were erased.
            None => std::thread::sleep(LOOK),
        }
        if chunk.len() == CHUNK {
            take(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))?;
        }
    }
    take(chunk)
}
