//! The thread that brings sealed segments into the archive, oldest first, and removes from the log what is older than `retention`, is in the
//! archive, and is needed by nobody. It tries again what fails, and never stands in the way of events.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::watch;

use super::days::{self, File};
use super::{Day, Manifest, Store, VERSION};
use crate::erase::Erasures;
use crate::log::{Holds, Stream, entries::segments};
use crate::types::Millis;
use crate::types::time::{self, DAY};
use crate::{Error, Result};

/// How often is looked for something to do, where nothing rings.
const LOOK: Duration = Duration::from_secs(60);
/// How long to wait after a failure, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Folder, in that of the log, of what is written for the archive.
const DRAFTS: &str = "archiving";

/// How far the archive is. Read at any time, from any thread.
#[derive(Debug, Default)]
pub struct Standing {
    /// Segments of both streams that this process archived.
    pub segments: AtomicU64,
    /// Sealed segments that are not in the archive.
    pub waiting: AtomicU64,
    /// Segments that were removed from the log.
    pub removed: AtomicU64,
    /// Tries that failed.
    pub failures: AtomicU64,
}

/// Manifests of segments that are in the log too, by stream and first sequence: a store is asked for each but once.
pub(super) type Known = std::collections::BTreeMap<(&'static str, u64), Manifest>;

/// What the thread works on.
pub(crate) struct Work {
    /// Folder of the log of one namespace.
    pub folder: PathBuf,
    /// Identity of the log.
    pub producer: u64,
    /// Where to; used by the thread alone.
    pub store: Store,
    /// Age at which segments may go; `None` is never.
    pub retention: Option<Millis>,
    /// Who else needs what is in the log.
    pub holds: Arc<Mutex<Vec<Arc<dyn Holds>>>>,
    /// Rung when there is something to do.
    pub bell: Arc<Bell>,
    /// Who is erased: the record that asks for it stays until it is done.
    pub erasures: Arc<Erasures>,
    /// Held by whoever changes the archive.
    pub archiving: Arc<Mutex<()>>,
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub struct Archivist {
    standing: Arc<Standing>,
    bell: Arc<Bell>,
    stop: Arc<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

/// Wakes the thread.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    ended: AtomicBool,
    /// Whether it was rung and nobody has looked since.
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    /// Makes the thread look for what there is to do.
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.heard.notify_all();
    }

    /// Tells the thread to end.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether the thread is to end.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until it is rung, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) {
        let (until, mut rung) = (std::time::Instant::now() + at_most, self.rung.lock());
        while !*rung && !self.heard.wait_until(&mut rung, until).timed_out() {}
        *rung = false;
    }
}

/// How long is waited for a lock before it is looked whether to end.
const TURN: Duration = Duration::from_millis(50);

/// Takes a lock that may be held for long; `None` where it is to end meanwhile.
pub(crate) fn turn<'a>(lock: &'a Mutex<()>, ended: &dyn Fn() -> bool) -> Option<MutexGuard<'a, ()>> {
    loop {
        let held = lock.try_lock_for(TURN);
        if held.is_some() || ended() {
            return held;
        }
    }
}

impl Archivist {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn start(work: Work) -> Result<Self> {
        let (standing, bell, stop) = (Arc::<Standing>::default(), Arc::clone(&work.bell), work.store.stop());
        let thread = {
            let standing = Arc::clone(&standing);
            let place = work.folder.clone();
            let thread = std::thread::Builder::new().name("weir-archive".to_owned());
            thread.spawn(move || run(&work, &standing)).map_err(Error::io(place))?
        };
        Ok(Self { standing, bell, stop, thread: Some(thread) })
    }

    /// How far it is.
    #[must_use]
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }
}

impl Drop for Archivist {
    fn drop(&mut self) {
        self.bell.end();
        // A store that does not answer would hold the end up.
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the archive thread failed");
        }
    }
}

fn run(work: &Work, standing: &Standing) {
    let (mut pause, mut known) = (PAUSE.0, Known::default());
    loop {
        let wait = match pass(work, &mut known, standing, time::now()) {
            Ok(()) => {
                pause = PAUSE.0;
                LOOK
            }
            Err(_) if work.bell.ended() => return,
            Err(error) => {
                standing.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "the archive does not get on; trying again");
                pause = (pause * 2).min(PAUSE.1);
                pause
            }
        };
        if !work.bell.ended() {
            work.bell.wait(wait);
        }
        if work.bell.ended() {
            return;
        }
    }
}

/// Archives what is sealed, then removes what may go.
pub(super) fn pass(work: &Work, known: &mut Known, standing: &Standing, now: Millis) -> Result<()> {
    let Some(_archiving) = turn(&work.archiving, &|| work.bell.ended()) else { return Ok(()) };
    for stream in [Stream::Events, Stream::Decisions] {
        let folder = work.folder.join(stream.folder());
        let mut sealed = segments(&folder)?;
        sealed.pop();
        let mut archived = Vec::with_capacity(sealed.len());
        for (at, (first, path)) in sealed.iter().enumerate() {
            standing.waiting.store((sealed.len() - at) as u64, Ordering::Relaxed);
            if work.bell.ended() {
                return Ok(());
            }
            let manifest = match known.remove(&(stream.folder(), *first)) {
                Some(manifest) => manifest,
                None => match found(work, stream, *first)? {
                    Some(manifest) => manifest,
                    None => {
                        let manifest = seal(work, stream, *first, path)?;
                        standing.segments.fetch_add(1, Ordering::Relaxed);
                        manifest
                    }
                },
            };
            archived.push((*first, path, manifest));
        }
        standing.waiting.store(0, Ordering::Relaxed);
        let needed = needed(work, stream);
        let mut leading = true;
        for (first, path, manifest) in archived {
            let old = work.retention.is_some_and(|retention| manifest.newest_ms < now - retention);
            leading &= old && manifest.last < needed;
            if !leading {
                known.insert((stream.folder(), first), manifest);
                continue;
            }
            std::fs::remove_file(path).map_err(Error::io(path))?;
            std::fs::File::open(&folder).and_then(|f| f.sync_all()).map_err(Error::io(&folder))?;
            standing.removed.fetch_add(1, Ordering::Relaxed);
            tracing::info!(path = %path.display(), "removed a segment that is archived and older than retention");
        }
    }
    Ok(())
}

/// Smallest sequence that somebody still needs. Without anybody who keeps the live state, a start needs the whole log.
fn needed(work: &Work, stream: Stream) -> u64 {
    match stream {
        Stream::Events => {
            let held = work.holds.lock().iter().map(|holds| holds.needs_from()).min();
            held.unwrap_or(0).min(work.erasures.needs_from())
        }
        Stream::Decisions => u64::MAX,
    }
}

/// The manifest of a segment that is in the archive.
fn found(work: &Work, stream: Stream, first: u64) -> Result<Option<Manifest>> {
    let name = Manifest::name(stream, work.producer, first);
    let found = work.store.get(&name)?;
    found.map(|bytes| Manifest::parse(&bytes, &work.store.shown(&name))).transpose()
}

/// A folder for what is being written; what a process that was killed left in it goes with the next one.
struct Drafts(PathBuf);

impl Drafts {
    fn new(work: &Work) -> Result<Self> {
        let drafts = Self(work.folder.join(DRAFTS));
        drafts.clear().and_then(|()| std::fs::create_dir(&drafts.0)).map_err(Error::io(&drafts.0))?;
        Ok(drafts)
    }

    fn clear(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(path = %self.0.display(), %error, "what was written for the archive could not be removed");
        }
    }
}

/// Writes the days of a segment, then its manifest. Cut off anywhere and done again, it makes the same files.
fn seal(work: &Work, stream: Stream, first: u64, path: &Path) -> Result<Manifest> {
    let folder = work.folder.join(stream.folder());
    let drafts = Drafts::new(work)?;
    let written = days::write(&folder, stream, (first, path), &drafts.0)?;
    let mut files = Vec::with_capacity(written.files.len());
    for File { day, by_time, draft, rows } in written.files {
        let (bytes, sum) = days::sum_of(&draft)?;
        let date = time::format_rfc3339(day * DAY);
        let date = date.split('T').next().unwrap_or_default();
        let lane = if by_time { ".past" } else { "" };
        let name = format!("date={date}/{:016x}-{first:020}{lane}.parquet", work.producer);
        work.store.put_file(&format!("{}/{name}", stream.folder()), &draft)?;
        files.push(Day { name, rows, bytes, sum, by_time });
    }
    let producer = format!("{:016x}", work.producer);
    let version = if files.iter().any(|day| day.by_time) { VERSION } else { 1 };
    let (last, newest_ms) = (written.last, written.newest_ms);
    let manifest = Manifest { version, producer, first, last, newest_ms, files };
    let json = serde_json::to_vec_pretty(&manifest);
    let json = json.map_err(|error| Error::invalid("the manifest", error.to_string()))?;
    work.store.put(&Manifest::name(stream, work.producer, first), json)?;
    tracing::info!(stream = stream.folder(), first, last, "archived a segment");
    Ok(manifest)
}
