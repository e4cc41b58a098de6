//! A backup put into what servers share through Redis: people and notes under their partitions, marks behind the positions that it holds, so that
//! nothing up to there is taken again, and a snapshot of items with which servers start. Not while servers are at work.

use std::collections::BTreeMap;
use std::path::Path;

use super::cut::{self, MARKS, remembered, streams_of, write_snapshot};
use super::recent::recent;
use crate::config::{Config, Shared};
use crate::ingest::Ingest;
use crate::ingest::shared::carry::{self, Origins};
use crate::ingest::snapshots::{self, Sort};
use crate::live::Live;
use crate::live::codec::wire::Read;
use crate::live::snapshot::{self, Carried};
use crate::shared::pause::PAUSE;
use crate::shared::whole::places;
use crate::shared::{Kept, Lane, Mark, Partitions, Place, Sender, StreamId};
use crate::types::{Person, Position};
use crate::{Error, Result};

/// States and notes that are written together.
const TOGETHER: usize = 1_000;

/// A state that is put into Redis.
struct State {
    live: Live,
    carried: Vec<Carried>,
    marks: BTreeMap<Place, Mark>,
}

/// Whom the servers of a namespace are erasing: what they told each other names them until all are done.
///
/// # Errors
/// [`Error::Store`], [`Error::Invalid`].
pub(super) fn being_erased(config: &Config, shared: &Shared) -> Result<Vec<Person>> {
    let (runtime, partitions) = cut::connect(config, shared)?;
    runtime.block_on(crate::erase::being_erased(&partitions))
}

/// Puts what was fetched into `drafts`, a log folder with a snapshot beside, into Redis, and a snapshot of its items in the place of that
/// snapshot; how many keys were removed for it. `force` says that there may be some.
///
/// # Errors
/// [`Error::Invalid`] beside servers that are at work, and without `force` where the namespace has anything; [`Error::Store`].
pub(super) fn put(config: &Config, shared: &Shared, drafts: &Config, force: bool) -> Result<usize> {
    let (runtime, partitions) = cut::connect(config, shared)?;
    let place = partitions.link().place().to_owned();
    if !runtime.block_on(partitions.at_work())?.is_empty() {
        let detail = format!(
            "expected no server at work in namespace {:?}; stop all, and wait some seconds where one was killed",
            config.namespace
        );
        return Err(Error::invalid(place, detail));
    }
    if !force && !runtime.block_on(partitions.is_empty())? {
        let detail = format!(
            "expected nothing of namespace {:?}, found keys of it; --force removes them for the backup",
            config.namespace
        );
        return Err(Error::invalid(place, detail));
    }
    let state = state(drafts)?;
    // A server that is started meanwhile sends nothing before all is there.
    let token = format!("restore-{}-{}", std::process::id(), crate::types::time::now());
    if !runtime.block_on(partitions.pause(&token))? {
        let detail =
            format!("a backup or a restore is at work there; it ends, or runs out within {PAUSE} ms");
        return Err(Error::invalid(place, detail));
    }
    let prolonging = cut::prolong(&runtime, &partitions, &token);
    let written = write(&runtime, &partitions, &state, drafts);
    prolonging.abort();
    let ended = runtime.block_on(partitions.unpause(&token));
    let removed = written?;
    ended?;
    renew(drafts, &state)?;
    Ok(removed)
}

/// The state of a backup: as it was cut, where it comes from Redis; else its snapshot and the log behind it.
fn state(drafts: &Config) -> Result<State> {
    let newest = snapshots::list(&snapshots::folder(drafts), None)?.into_iter().next();
    if let Some((_, path)) = newest
        && let Some(at) = streams_of(&snapshot::head(&path)?.streams)
    {
        let loaded = snapshot::load(&path, &drafts.actions, &drafts.live.keep)?;
        let marks = marks_of(&loaded.carried, &at, &path)?;
        return Ok(State { live: loaded.live, carried: loaded.carried, marks });
    }
    let live = Ingest::read_only(drafts)?;
    let gone = || Error::invalid("restore", "the state is still in use");
    let live = std::sync::Arc::into_inner(live).ok_or_else(gone)?;
    let marks = marks_behind(live.applied());
    Ok(State { live, carried: Vec::new(), marks })
}

/// Marks of partitions that have taken a log up to a position. Those of items have sent one message that is not there: who starts without the
/// snapshot is told so.
fn marks_behind(position: Position) -> BTreeMap<Place, Mark> {
    let taken = BTreeMap::from([(Sender::Log(position.producer), position.sequence)]);
    let mark = |place: Place| {
        let is_item = place.lane == Lane::Items;
        let (sent, chain) = if is_item { (1, draw() | 1) } else { (0, 0) };
        (place, Mark { token: draw(), at: StreamId::default(), sent, chain, taken: taken.clone() })
    };
    places().map(mark).collect()
}

/// Marks as they were, but for what concerns streams, which begin anew.
fn marks_of(carried: &[Carried], at: &[StreamId], path: &Path) -> Result<BTreeMap<Place, Mark>> {
    let wrong = |detail: String| Error::Corrupt {
        path: path.to_owned(),
        section: MARKS.to_owned(),
        offset: 0,
        detail,
    };
    let Some(section) = carried.iter().find(|one| one.name == MARKS) else {
        return Err(wrong("expected the marks of all partitions, found none".to_owned()));
    };
    let mut read = Read::new(&section.bytes);
    let count = read.count(1).map_err(&wrong)?;
    let mut marks = BTreeMap::new();
    for place in places() {
        let old = read.bytes().and_then(Mark::decode).map_err(&wrong)?;
        let end = match place.lane {
            Lane::People => StreamId::default(),
            Lane::Items => at[usize::from(place.partition)],
        };
        let (sent, chain) = (end.ms, end.number);
        marks.insert(place, Mark { token: draw(), at: StreamId::default(), sent, chain, taken: old.taken });
    }
    if count != marks.len() {
        return Err(wrong(format!("expected marks of {} partitions, found {count}", marks.len())));
    }
    Ok(marks)
}

fn draw() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "a mark")
}

/// Removes what is there and writes the state, marks last.
fn write(
    runtime: &tokio::runtime::Runtime,
    partitions: &Partitions,
    state: &State,
    drafts: &Config,
) -> Result<usize> {
    let removed = runtime.block_on(partitions.remove_all())?;
    let mut origins = Origins::default();
    let (_, note_life) = partitions.lives();
    recent(&drafts.events_folder(), note_life, &mut |record, _| origins.record(record))?;
    let mut together = Vec::with_capacity(TOGETHER);
    carry::each_kept(&state.live, &state.carried, &origins, &mut |kept: Kept| {
        together.push(kept);
        if together.len() == TOGETHER {
            runtime.block_on(partitions.put(std::mem::take(&mut together)))?;
        }
        Ok(())
    })?;
    runtime.block_on(partitions.put(together))?;
    runtime.block_on(partitions.put_marks(&state.marks))?;
    Ok(removed)
}

/// A snapshot of the items, where their streams begin, in the place of all others.
fn renew(drafts: &Config, state: &State) -> Result<()> {
    let folder = snapshots::folder(drafts);
    let old = snapshots::list(&folder, None)?;
    state.live.forget_people();
    let ends = |place: Place| {
        let mark = state.marks.get(&place).cloned().unwrap_or_default();
        StreamId { ms: mark.sent, number: mark.chain }
    };
    let at: Vec<StreamId> = Lane::Items.places().map(ends).collect();
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let draft = folder.join("restored.snapshot.tmp");
    write_snapshot(&draft, &state.live, &snapshots::maker(drafts), &at, remembered(drafts)?)?;
    old.iter().try_for_each(|(_, path)| std::fs::remove_file(path).map_err(Error::io(path)))?;
    let sequence = crate::types::time::now().unsigned_abs();
    let name = Sort::Items.file_name(Position { sequence, ..state.live.applied() });
    let path = folder.join(name);
    std::fs::rename(&draft, &path).map_err(Error::io(&path))
}
