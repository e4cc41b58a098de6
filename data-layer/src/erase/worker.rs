//! The thread that rewrites what is on the disk once the erasures asked for are old enough: all of them in one go, with pauses, so that it
//! stands in nobody's way. It goes on where a process before it ended, and tries again what fails. Not for what becomes of a record: `plan.rs`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::archives::Archive;
use super::entry::Entry;
use super::journal::Erasures;
use super::peers::Peers;
use super::plan::{Plan, asker};
use super::secret::Secret;
use super::{segments, staged};
use crate::archive::{Bell, Store, turn};
use crate::config::Config;
use crate::log::{Holds, Stream, entries};
use crate::types::{Event, Millis, Person, time};
use crate::{Error, Result};

/// How often is looked for something to do, at most and at least.
const LOOK: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(200));
/// How often is looked for what other servers were asked, at most.
const LOOK_AT_PEERS: Duration = Duration::from_secs(2);
/// Longest pause between two files; each is followed by one as long as it took.
const REST: Duration = Duration::from_secs(2);
/// Folder, in that of the log, of what is fetched from an archive and written for it.
const DRAFTS: &str = "erasing";
/// Folder, likewise, of a backup that is being put back. Never beside a server: what is there was left by one that was killed.
pub(crate) const RESTORING: &str = "restoring";

/// Something that somebody else does.
pub(crate) type Seal = Box<dyn Fn() -> Result<()> + Send>;

/// Takes people out of what servers share, as far as a log asks for it.
pub(crate) type Sweep = Box<dyn Fn(&HashSet<Person>, u64) -> Result<()> + Send>;

/// What the thread works on.
pub(crate) struct Work {
    /// Folder of the log of one namespace.
    pub folder: PathBuf,
    /// What the configuration says of the log, and whose it is.
    pub config: Config,
    /// Identity of the log.
    pub producer: u64,
    /// Who is erased.
    pub erasures: Arc<Erasures>,
    /// Who keeps what they made of the log.
    pub holds: Arc<Mutex<Vec<Arc<dyn Holds>>>>,
    /// Held by whoever changes the archive.
    pub archiving: Arc<Mutex<()>>,
    /// Makes all that was written so far part of sealed segments.
    pub seal: Seal,
    /// Replaces snapshots of the live state by a new one.
    pub renew: Seal,
    /// Puts a record into this log that goes nowhere else.
    pub append: Box<dyn Fn(Event) -> Result<()> + Send>,
    /// The other servers, where a Redis is shared.
    pub peers: Option<Peers>,
    /// Takes out of there what is kept of people beside their state, once what this log asks for up to a sequence counts.
    pub sweep: Sweep,
}

/// The running thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Eraser {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Eraser {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn start(work: Work) -> Result<Self> {
        let bell = Arc::<Bell>::default();
        let (ears, place) = (Arc::clone(&bell), work.folder.clone());
        let thread = std::thread::Builder::new().name("weir-erase".to_owned());
        let thread = thread.spawn(move || run(&work, &ears)).map_err(Error::io(place))?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

impl Drop for Eraser {
    fn drop(&mut self) {
        self.bell.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that erases failed");
        }
    }
}

fn run(work: &Work, bell: &Bell) {
    let every = Duration::from_millis(u64::try_from(work.config.log.erase_every).unwrap_or(0));
    let most = if work.peers.is_some() { LOOK_AT_PEERS } else { LOOK.0 };
    let wait = every.clamp(LOOK.1, most);
    let (mut away, mut rests) = (false, None::<Instant>);
    while !bell.ended() {
        let looked = work.peers.as_ref().map_or(Ok(()), |peers| peers.look(work, time::now()));
        if let Err(error) = &looked
            && !away
        {
            tracing::warn!(%error, "erasures of other servers are not known of; trying again");
        }
        away = looked.is_err();
        // Each try ends segments.
        if rests.is_none_or(|rests| rests <= Instant::now()) {
            let passed = work.erasures.mend().and_then(|()| pass(work, time::now(), &|| bell.ended()));
            if let Err(error) = &passed {
                tracing::error!(%error, "erasures do not get on; trying again");
            }
            rests = passed.is_err().then(|| Instant::now() + every.clamp(LOOK.1, LOOK.0));
        }
        if !bell.ended() {
            bell.wait(wait);
        }
    }
}

/// Rewrites what has to be, if the time has come; whether anything was ended.
pub(super) fn pass(work: &Work, now: Millis, ended: &dyn Fn() -> bool) -> Result<bool> {
    let Some(due) = due(work, now) else { return Ok(false) };
    let newest = due.iter().map(|entry| entry.sequence).max().unwrap_or_default();
    let holds: Vec<Arc<dyn Holds>> = work.holds.lock().clone();
    if holds.iter().any(|hold| hold.needs_from() <= newest) {
        (work.renew)()?;
    }
    for hold in &holds {
        if !hold.renew(newest)? {
            tracing::info!(who = hold.name(), newest, "an erasure waits");
            return Ok(false);
        }
    }
    (work.seal)()?;
    // From here on nothing comes into the archive: what is archived later is archived as rewritten.
    let Some(_archiving) = turn(&work.archiving, ended) else { return Ok(false) };
    let begun = begin(work, due, now)?;
    let archive = match &work.config.log.archive {
        Some(address) => Some(Store::open(address, &work.config.log.store, &work.config.namespace)?),
        None => None,
    };
    let drafts = work.folder.join(DRAFTS);
    let archive =
        archive.as_ref().map(|store| Archive { store, producer: work.producer, drafts: drafts.clone() });
    clear(&drafts)?;
    clear(&work.folder.join(RESTORING))?;
    staged::sweep(&work.config, work.producer)?;
    std::fs::create_dir(&drafts).map_err(Error::io(&drafts))?;
    let rewritten = Rewriting { work, archive, begun, ended, looked_through: 0, of: 0 }.run();
    clear(&drafts)?;
    rewritten
}

/// The erasures that are to be dealt with now: all that are old enough, where one has waited its time or has begun.
fn due(work: &Work, now: Millis) -> Option<Vec<Entry>> {
    let log = &work.config.log;
    // What is sent again within the window is known by what the log holds of it.
    let told = |entry: &Entry| work.peers.is_none() || entry.told;
    let settled = |entry: &Entry| entry.began.is_some() || told(entry) && entry.time + log.dedupe < now;
    let waited = |entry: &Entry| entry.began.is_some() || entry.time + log.erase_every < now;
    let due: Vec<Entry> = work.erasures.open_entries().into_iter().filter(settled).collect();
    due.iter().any(waited).then_some(due)
}

/// Draws the keys of the pseudonyms of those that have not begun, and puts them on the disk.
fn begin(work: &Work, due: Vec<Entry>, now: Millis) -> Result<Vec<Entry>> {
    let mut begun = Vec::with_capacity(due.len());
    for mut entry in due {
        if entry.secret.is_none() {
            let (person, secret) = (asker(&work.folder, entry.sequence)?, Secret::draw()?);
            entry.becomes = Some(secret.pseudonym(&person)?.id.to_string());
            entry.secret = Some(secret.hex());
            entry.began = Some(now);
        }
        begun.push(entry);
    }
    work.erasures.put(begun.clone())?;
    Ok(begun)
}

fn clear(drafts: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(drafts) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(drafts)(error)),
        _ => Ok(()),
    }
}

/// One rewriting of everything.
struct Rewriting<'a> {
    work: &'a Work,
    archive: Option<Archive<'a>>,
    begun: Vec<Entry>,
    ended: &'a dyn Fn() -> bool,
    looked_through: u64,
    of: u64,
}

impl Rewriting<'_> {
    /// Decisions first, as they are told by the people that events tie; then events, the archived ones before those of the log,
    /// oldest first, so that a record which names somebody goes before the one that asks for them to be erased.
    fn run(mut self) -> Result<bool> {
        let sealed = |stream: Stream| -> Result<Vec<(u64, PathBuf)>> {
            let folder = self.work.folder.join(stream.folder());
            segments::sweep(&folder)?;
            let mut all = entries::segments(&folder)?;
            all.pop();
            Ok(all)
        };
        let (events, decisions) = (sealed(Stream::Events)?, sealed(Stream::Decisions)?);
        let before = events.first().map_or(u64::MAX, |(first, _)| *first);
        let archive = self.archive.take();
        let plan =
            Plan::of(&self.work.folder, self.work.producer, &self.begun, &mut |each| match &archive {
                Some(archive) => archive.events(before, each),
                None => Ok(()),
            })?;
        // While there is somebody who knows the names.
        let newest = self.begun.iter().map(|entry| entry.sequence).max().unwrap_or_default();
        (self.work.sweep)(&plan.people(), newest)?;
        let mut archived = Vec::new();
        for stream in [Stream::Decisions, Stream::Events] {
            if let Some(archive) = &archive {
                archived.extend(archive.manifests(stream)?.into_iter().map(|found| (stream, found)));
            }
        }
        self.of = (events.len() + decisions.len() + archived.len()) as u64;
        self.work.erasures.tell(0, self.of);
        if !self.segments(Stream::Decisions, &decisions, &plan)? {
            return Ok(false);
        }
        if let Some(archive) = &archive {
            for (stream, (name, manifest)) in &archived {
                let start = Instant::now();
                let (files, records) = archive.rewrite(*stream, name, manifest, &plan)?;
                if !self.next(start, files, records) {
                    return Ok(false);
                }
            }
            archive.sweep(Stream::Decisions)?;
            archive.sweep(Stream::Events)?;
        }
        if !self.segments(Stream::Events, &events, &plan)? {
            return Ok(false);
        }
        self.finish(u64::MAX)?;
        Ok(true)
    }

    /// Rewrites segments, oldest first; `false` where it is to stop.
    fn segments(&mut self, stream: Stream, all: &[(u64, PathBuf)], plan: &Plan) -> Result<bool> {
        let folder = self.work.folder.join(stream.folder());
        for (at, (first, path)) in all.iter().enumerate() {
            let start = Instant::now();
            let records = segments::rewrite(&folder, stream, (*first, path), plan, self.ended)?;
            if !self.next(start, u64::from(records > 0), records) {
                return Ok(false);
            }
            if let (Stream::Events, Some((next, _))) = (stream, all.get(at + 1)) {
                self.finish(*next)?;
            }
        }
        Ok(true)
    }

    /// Counts a file and rests as long as it took; `false` where it is to stop.
    fn next(&mut self, start: Instant, files: u64, records: u64) -> bool {
        self.looked_through += 1;
        self.work.erasures.tell(self.looked_through, self.of);
        for entry in &mut self.begun {
            entry.files += files;
            entry.records += records;
        }
        let until = Instant::now() + start.elapsed().min(REST);
        while !(self.ended)() && Instant::now() < until {
            std::thread::sleep(
                Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())),
            );
        }
        !(self.ended)()
    }

    /// Ends the erasures whose own record lies before a sequence: it was the last that named them.
    fn finish(&mut self, before: u64) -> Result<()> {
        let (mut ended, rest): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.begun).into_iter().partition(|entry| entry.sequence < before);
        self.begun = rest;
        for entry in &mut ended {
            (entry.secret, entry.becomes, entry.ended) = (None, None, Some(time::now()));
            tracing::info!(entry.sequence, entry.files, entry.records, "an erasure is done");
        }
        if ended.is_empty() { Ok(()) } else { self.work.erasures.put(ended) }
    }
}
