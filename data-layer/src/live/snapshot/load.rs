//! A snapshot back into a live side, its sections unpacked and read by as many threads as there are cores. Nothing of a file that does not
//! hold what it should ever serves.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;

use super::super::codec::wire::{Read, Said};
use super::super::deeds::{Deeds, Entry, Owner};
use super::super::people::EmbeddedPeople;
use super::super::sources::Source;
use super::super::trending::Named;
use super::super::{Copies, Ids, ItemTable, Items, Live};
use super::frame::{Kind, Packed, Reader};
use super::piece::Piece;
use super::put::{self, Later, Place, Renamed};
use super::unblock::{self, Shape};
use super::{COPIES, Carried, Head, deeds, people, single};
use crate::config::{ActionId, Actions, Keep, Parts};
use crate::types::{Id, Millis, Ordinal};
use crate::{Error, Result};

/// Sections that may wait between two threads.
const WAITING: usize = 16;

/// A live side as it was.
#[derive(Debug)]
pub struct Loaded {
    /// The state; it says that it has applied its log up to the position of the snapshot.
    pub live: Live,
    /// What the first section said.
    pub head: Head,
    /// What it held for others.
    pub carried: Vec<Carried>,
}

/// What was read of one section.
enum Section {
    Fresh(Vec<(Ordinal, Millis, u32)>),
    Ids(u32, Vec<Id>),
    Words(u32, Vec<String>),
    Items(Vec<Piece>),
    /// They are where they belong.
    People,
    Owners(u32, Arc<Vec<Owner>>),
    Deeds(u32, Arc<Vec<Entry>>),
    Carried(u32, Carried),
}

/// What the first section of a snapshot says.
///
/// # Errors
/// [`Error::Io`], [`Error::Newer`], [`Error::Corrupt`].
pub fn head(path: &Path) -> Result<Head> {
    read_head(&mut open(path)?)
}

/// Holds every section of a snapshot against its sum; what the first one says.
///
/// # Errors
/// As [`head`].
pub fn verify(path: &Path) -> Result<Head> {
    let mut sections = open(path)?;
    let head = read_head(&mut sections)?;
    while let Some(section) = sections.next()? {
        section.unpack()?;
    }
    Ok(head)
}

fn open(path: &Path) -> Result<Reader<File>> {
    let file = File::open(path).map_err(Error::io(path))?;
    let len = file.metadata().map_err(Error::io(path))?.len();
    Reader::new(file, len, path)
}

fn read_head<R: std::io::Read>(sections: &mut Reader<R>) -> Result<Head> {
    let Some(first) = sections.next()? else {
        return Err(Error::invalid("snapshot", "expected a section, found none"));
    };
    if first.kind != Kind::Head {
        return Err(first.wrong(0, "expected the head first"));
    }
    serde_json::from_slice(&first.unpack()?).map_err(|error| first.wrong(0, error))
}

/// Reads a snapshot. What was done by actions that are no longer configured is left out.
///
/// # Errors
/// [`Error::Io`], [`Error::Newer`]; [`Error::Corrupt`] with the section that does not hold what it should.
pub fn load(path: &Path, actions: &Actions, keep: &Keep) -> Result<Loaded> {
    let mut sections = open(path)?;
    let head = read_head(&mut sections)?;
    let live = Live::with(actions.clone(), head.schema.clone(), keep.clone());
    load_into(live, sections, head, path)
}

/// As [`load`], with the actions, bounds, ids and ordinals of a store that is there, whose items it is to take the place of.
///
/// # Errors
/// As [`load`].
pub fn load_beside(path: &Path, there: &Live) -> Result<Loaded> {
    let mut sections = open(path)?;
    let head = read_head(&mut sections)?;
    let live = there.beside(Parts::ALL);
    live.set_schema(&head.schema);
    load_into(live, sections, head, path)
}

fn load_into(mut live: Live, mut sections: Reader<File>, head: Head, path: &Path) -> Result<Loaded> {
    let actions: Vec<Option<ActionId>> = head.actions.iter().map(|name| live.actions.id(name)).collect();
    let table = live.items.get_mut();
    table.sources.list = sources(&mut sections, path)?;
    let shape =
        Shape { version: sections.version(), head: &head, actions, sources: table.sources.list.len() };
    let columns = columns(table, &head, path)?;
    let (numbers, fresh) = names(&mut sections, table, &shape, path)?;
    let renamed = Renamed::of(numbers);
    put::prepare(table, table.ids.len());
    let mut rest = Rest::default();
    {
        let Live { items, lists, people, ids, actions: known, .. } = &mut live;
        let (people, ids, known) = (&*people, &**ids, &**known);
        let (items, lists) = (items.get_mut(), lists.get_mut());
        let mut to = Place { items, lists, columns: &columns, renamed: &renamed };
        let decode = |packed: &Packed| read_section(packed, &shape, people, ids, known);
        run(
            &mut sections,
            |_| false,
            decode,
            |section| {
                rest.take(section, &mut to);
                Ok(())
            },
        )?;
    }
    let carried = rest.put(&mut live, &head, path)?;
    put_fresh(&mut live, &head, fresh, &renamed).ok_or_else(|| short(path, "fresh", head.items, 0))?;
    live.follow(head.position().producer);
    live.applied.send_replace(head.sequence);
    live.streams.get_mut().clone_from(&head.streams);
    Ok(Loaded { live, head, carried })
}

fn sources(sections: &mut Reader<File>, path: &Path) -> Result<Vec<Source>> {
    let Some(first) = sections.next()? else { return Err(short(path, "sources", 1, 0)) };
    if first.kind != Kind::Sources {
        return Err(first.wrong(0, "expected the sources"));
    }
    let raw = first.unpack()?;
    let mut read = Read::new(&raw);
    single::read_sources(&mut read).map_err(|detail| first.wrong(read.at(), detail))
}

/// Columns of the table by their numbers in the file.
fn columns(table: &ItemTable, head: &Head, path: &Path) -> Result<Vec<usize>> {
    let columns = put::columns(table, &head.columns);
    let typed =
        |(at, (_, of)): (&usize, &(_, _))| table.columns.get(*at).map(|c| c.value_type()) == Some(*of);
    if columns.iter().zip(&head.columns).all(typed) {
        return Ok(columns);
    }
    let detail = "the columns are not those of the schema".to_owned();
    Err(Error::Corrupt { path: path.to_owned(), section: "head".into(), offset: 0, detail })
}

/// Items that were named, what is new of them.
type Names = (Vec<Ordinal>, Vec<(Ordinal, Millis, u32)>);

/// Ids and texts: the ordinals of items in the order of their numbers in the file, and what is new.
fn names(
    sections: &mut Reader<File>,
    table: &mut ItemTable,
    shape: &Shape<'_>,
    path: &Path,
) -> Result<Names> {
    let (mut ids, mut words, mut fresh) = (Queue::default(), Queue::default(), Vec::new());
    let mut known = Vec::with_capacity(shape.head.items);
    table.words.reserve(shape.head.words);
    let take = |section| {
        match section {
            Section::Ids(number, list) => ids.push(number, list, |id: Id| known.push(id)),
            Section::Words(number, list) => {
                words.push(number, list, |word: String| {
                    table.words.intern(&word);
                });
            }
            Section::Fresh(list) => fresh = list,
            _ => {}
        }
        Ok(())
    };
    let named = |kind| matches!(kind, Kind::Fresh | Kind::Ids | Kind::Words);
    run(sections, |kind| !named(kind), read_names, take)?;
    let numbers = match table.ids.is_empty() {
        true => {
            let items = known.len();
            if !table.ids.fill(known) {
                let detail = "two items have the same id".to_owned();
                return Err(Error::Corrupt {
                    path: path.to_owned(),
                    section: "ids".into(),
                    offset: 0,
                    detail,
                });
            }
            (0..items as Ordinal).collect()
        }
        false => known.iter().map(|id| table.ids.intern(id)).collect::<Vec<_>>(),
    };
    for (name, expected, found) in
        [("ids", shape.head.items, numbers.len()), ("words", shape.head.words, table.words.len())]
    {
        if expected != found {
            return Err(short(path, name, expected, found));
        }
    }
    Ok((numbers, fresh))
}

fn put_fresh(
    live: &mut Live,
    head: &Head,
    list: Vec<(Ordinal, Millis, u32)>,
    renamed: &Renamed,
) -> Option<()> {
    let (items, fresh) = (live.items.get_mut(), &mut live.lists.get_mut().fresh);
    fresh.put_kinds(&head.fresh_kinds);
    for (item, begins, kind) in list {
        let kind = head.fresh_kinds.get(kind as usize)?;
        if item as usize >= head.items {
            return None;
        }
        let item = renamed.ordinal(item);
        fresh.say(Named { item, tie: items.tie(item), kind }, Some(begins));
    }
    Some(())
}

/// What is behind the names, in whatever order it comes.
#[derive(Default)]
struct Rest {
    later: Later,
    owners: BTreeMap<u32, Arc<Vec<Owner>>>,
    entries: BTreeMap<u32, Arc<Vec<Entry>>>,
    carried: BTreeMap<u32, Carried>,
}

impl Rest {
    fn take(&mut self, section: Section, to: &mut Place<'_>) {
        match section {
            Section::Items(pieces) => {
                pieces.into_iter().for_each(|piece| put::put(piece, to, &mut self.later));
            }
            Section::Owners(number, list) => drop(self.owners.insert(number, list)),
            Section::Deeds(number, list) => drop(self.entries.insert(number, list)),
            Section::Carried(number, one) => drop(self.carried.insert(number, one)),
            Section::People | Section::Fresh(_) | Section::Ids(..) | Section::Words(..) => {}
        }
    }

    /// Puts back what waited for all of it; what is carried for others.
    fn put(self, live: &mut Live, head: &Head, path: &Path) -> Result<Vec<Carried>> {
        if self.later.items != head.items {
            return Err(short(path, "items", head.items, self.later.items));
        }
        self.later.put(live, head);
        let (entries, owners) = (self.entries.into_values().collect(), self.owners.into_values().collect());
        *live.deeds.get_mut() = Deeds::of(live.keep.deeds, entries, head.first_deed, owners);
        let (own, carried): (Vec<_>, Vec<_>) = self.carried.into_values().partition(|one| one.name == COPIES);
        for copies in own {
            *live.copies.get_mut() = Copies::decode(&copies.bytes, "the section of copies of a snapshot")?;
        }
        Ok(carried)
    }
}

fn read_names(packed: &Packed) -> Result<Section> {
    let raw = packed.unpack()?;
    let mut read = Read::new(&raw);
    let section = match packed.kind {
        Kind::Ids => single::read_ids(&mut read).map(|list| Section::Ids(packed.number, list)),
        Kind::Words => single::read_texts(&mut read).map(|list| Section::Words(packed.number, list)),
        _ => single::read_fresh(&mut read).map(Section::Fresh),
    };
    section.map_err(|detail| packed.wrong(read.at(), detail))
}

fn read_section(
    packed: &Packed,
    shape: &Shape<'_>,
    people: &EmbeddedPeople,
    ids: &Ids,
    actions: &Actions,
) -> Result<Section> {
    let raw = packed.unpack()?;
    let mut read = Read::new(&raw);
    let section: Said<Section> = match packed.kind {
        Kind::Items | Kind::Counts | Kind::Near => {
            unblock::decode(&mut read, packed.kind, shape).map(Section::Items)
        }
        Kind::People => people::read(&mut read, people, ids, actions).map(|_| Section::People),
        Kind::Owners => deeds::read_owners(&mut read).map(|list| Section::Owners(packed.number, list)),
        Kind::Deeds => deeds::read(&mut read, shape.head.items, &shape.actions)
            .map(|list| Section::Deeds(packed.number, list)),
        Kind::Carried => read.text().map(str::to_owned).map(|name| {
            let bytes = raw[read.at()..].to_vec();
            Section::Carried(packed.number, Carried { name, bytes })
        }),
        _ => Err("it is out of order".to_owned()),
    };
    section.map_err(|detail| packed.wrong(read.at(), detail))
}

fn short(path: &Path, section: &str, expected: usize, found: usize) -> Error {
    let detail = format!("expected {expected}, found {found}");
    Error::Corrupt { path: path.to_owned(), section: section.to_owned(), offset: 0, detail }
}

/// Lists that must be taken in order, and come in any.
struct Queue<T> {
    next: u32,
    waiting: BTreeMap<u32, Vec<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    fn push(&mut self, number: u32, list: Vec<T>, mut take: impl FnMut(T)) {
        self.waiting.insert(number, list);
        while let Some(list) = self.waiting.remove(&self.next) {
            list.into_iter().for_each(&mut take);
            self.next += 1;
        }
    }
}

/// Reads sections up to the first of which `until` says so, has them decoded on threads, and takes what comes of it here, in no order.
fn run<T: Send>(
    sections: &mut Reader<File>,
    until: impl Fn(Kind) -> bool + Send,
    decode: impl Fn(&Packed) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let (to, from): (SyncSender<Packed>, Receiver<Packed>) = sync_channel(WAITING);
    let (out, results) = sync_channel(WAITING);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        // Dropped with the last of the threads, so that nobody waits for them for ever.
        let from = Arc::new(Mutex::new(from));
        for _ in 0..threads {
            let (from, out, decode) = (Arc::clone(&from), out.clone(), &decode);
            scope.spawn(move || {
                loop {
                    let next = from.lock().recv();
                    let Ok(packed) = next else { return };
                    if out.send(decode(&packed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(from);
        scope.spawn(move || {
            loop {
                match sections.next() {
                    Ok(Some(section)) if until(section.kind) => return sections.give_back(section),
                    Ok(Some(section)) => {
                        if to.send(section).is_err() {
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(error) => return drop(out.send(Err(error))),
                }
            }
        });
        for result in results {
            take(result?)?;
        }
        Ok(())
    })
}
