//! People as servers that share a Redis keep them, brought into the live side of one process, and back: states with their lives, and notes of
//! what can be taken back, which one process keeps as numbers of people and a directory of deeds. Both ways for backups, which hold the
//! one form and carry the other. Not for how it comes and goes: that is `crate::backup`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use xxhash_rust::xxh3::xxh3_64;

use super::note::{self, Act, Note, Owner, get_person, put_person};
use crate::live::codec::wire::{Read, Said, Wire};
use crate::live::codec::{self, kept};
use crate::live::deeds::id_key;
use crate::live::people::Kept as Known;
use crate::live::snapshot::Carried;
use crate::live::{Deed, Deeds, Live, UserState};
use crate::shared::{Kept, Lane, NoteKey, Place};
use crate::types::{Event, Id, Ordinal, Partition, Person, Record};
use crate::{Error, Result};

/// Names of the sections with lives and with notes.
const LIVES: &str = "lives";
const NOTES: &str = "notes";
/// Bytes after which a section is full.
const FULL: usize = 1 << 20;
/// How what is brought is called in errors.
const PLACE: &str = "people in redis";

/// What was done, and in whose state it was counted; `None` where it is taken back.
type Noted = Option<(Act, Option<Owner>)>;

/// What Redis keeps of people, on its way into a live side that knows nobody.
pub struct Bringing<'a> {
    live: &'a Live,
    /// By life.
    numbers: FxHashMap<u64, u32>,
    /// By person, as they come.
    lives: Vec<(Person, Vec<u64>)>,
    notes: BTreeMap<(Partition, NoteKey), Vec<u8>>,
}

impl<'a> Bringing<'a> {
    /// Into this live side.
    #[must_use]
    pub fn into(live: &'a Live) -> Self {
        Self { live, numbers: FxHashMap::default(), lives: Vec::new(), notes: BTreeMap::new() }
    }

    /// Takes one thing; what came before is taken no second time.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::Newer`] for a state that can't be read.
    pub fn take(&mut self, kept: Kept) -> Result<()> {
        match kept {
            Kept::Person(person, bytes) => self.person(person, &bytes),
            Kept::Note(place, key, bytes) => {
                self.notes.insert((place.partition, key), bytes);
                Ok(())
            }
        }
    }

    fn person(&mut self, person: Person, bytes: &[u8]) -> Result<()> {
        let (lives, bytes) = kept::split(bytes, PLACE)?;
        if lives.iter().any(|life| self.numbers.contains_key(life)) {
            return Ok(());
        }
        let live = self.live;
        let mut intern = |text: &str| ordinal(live, text);
        let state = codec::decode(bytes, PLACE, &live.actions, &mut intern)?;
        let mut deeds = live.deeds.lock();
        let mut number = None;
        for life in &lives {
            let own = deeds.number(&person);
            self.numbers.insert(*life, own);
            match number {
                None => number = Some(own),
                Some(first) => deeds.merge(own, first),
            }
        }
        live.people.change(&person, |known| *known = Known { state: Arc::new(state), number });
        self.lives.push((person, lives));
        Ok(())
    }

    /// Puts what was noted into the directory of deeds; lives and notes as they were, to be carried for servers that share a Redis again.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a note that can't be read.
    pub fn finish(self) -> Result<Vec<Carried>> {
        let Self { live, mut numbers, lives, notes } = self;
        let mut taken: FxHashMap<NoteKey, Noted> = FxHashMap::default();
        for ((partition, key), bytes) in &notes {
            let wrong = |detail| Error::invalid(format!("note of p{partition}"), detail);
            match Note::decode(bytes, &live.actions).map_err(wrong)? {
                Note::Done(act, owner) => drop(taken.entry(*key).or_insert(Some((act, owner)))),
                // Taken back in one partition, awaited in others.
                Note::Undone => drop(taken.insert(*key, None)),
                Note::Awaited => drop(taken.entry(*key).or_insert(None)),
                Note::Joined(_) | Note::Erased(..) => {}
            }
        }
        let mut order: Vec<(NoteKey, Noted)> = taken.into_iter().collect();
        order.sort_by_key(|(key, done)| (done.as_ref().map(|(act, _)| act.time), *key));
        let mut deeds = live.deeds.lock();
        for (key, done) in order {
            let Some((Act { item, action, offset, value, time, key: of }, owner)) = done else {
                deeds.retract(key);
                continue;
            };
            let deed = Deed { item: ordinal(live, item.as_str())?, action, offset, value, time, key: of };
            let owner = owner.map(|Owner { person, life }| {
                *numbers.entry(life).or_insert_with(|| {
                    // A life that nobody has any more was erased.
                    let number = deeds.number(&person);
                    deeds.erase(number);
                    number
                })
            });
            deeds.remember(key, &deed, owner);
        }
        drop(deeds);
        let lives = lives.iter().map(|(person, lives)| {
            let mut wire = Wire::default();
            put_person(&mut wire, person);
            wire.count(lives.len());
            lives.iter().for_each(|life| wire.word(*life));
            wire.0
        });
        let notes = notes.iter().map(|((partition, key), bytes)| {
            let mut wire = Wire::default();
            wire.unsigned((*partition).into());
            key.iter().for_each(|half| wire.word(*half));
            wire.bytes(bytes);
            wire.0
        });
        Ok(sections(LIVES, lives).into_iter().chain(sections(NOTES, notes)).collect())
    }
}

fn ordinal(live: &Live, text: &str) -> Result<Ordinal> {
    Ok(live.intern(std::iter::once(text))?.first().copied().unwrap_or_default())
}

fn sections(name: &str, all: impl Iterator<Item = Vec<u8>>) -> Vec<Carried> {
    let mut sections: Vec<Carried> = Vec::new();
    for one in all {
        match sections.last_mut() {
            Some(last) if last.bytes.len() < FULL => last.bytes.extend_from_slice(&one),
            _ => sections.push(Carried { name: name.to_owned(), bytes: one }),
        }
    }
    sections
}

/// Who did what under which id, as a log says it: where what is noted of it belongs.
#[derive(Debug, Default)]
pub struct Origins {
    did: FxHashMap<NoteKey, Person>,
    /// Whom a retraction names, if anybody.
    undone: FxHashMap<NoteKey, Vec<Option<Person>>>,
}

impl Origins {
    /// Takes a record.
    pub fn record(&mut self, record: &Record) {
        match &record.event {
            Event::Interaction(event) => {
                if let Some(id) = &event.id {
                    self.did.entry(id_key(id)).or_insert_with(|| event.person.clone());
                }
            }
            Event::Retraction(event) => {
                self.undone.entry(id_key(&event.id)).or_default().push(event.person.clone());
            }
            _ => {}
        }
    }
}

/// Gives all people of a live side as Redis keeps them, and notes of what can be taken back: as they were carried, or, of a state that one
/// process made, of what `origins` knows.
///
/// # Errors
/// [`Error::Invalid`] for sections that can't be read; what `put` says.
pub fn each_kept(
    live: &Live,
    carried: &[Carried],
    origins: &Origins,
    put: &mut dyn FnMut(Kept) -> Result<()>,
) -> Result<()> {
    let of = |name: &'static str| carried.iter().filter(move |one| one.name == name);
    let deeds = live.deeds.lock();
    let mut known: FxHashMap<Person, Vec<u64>> = FxHashMap::default();
    for section in of(LIVES) {
        let read = read_lives(&section.bytes, &mut known);
        read.map_err(|detail| Error::invalid("the section of lives of a snapshot", detail))?;
    }
    let carries = !known.is_empty() || of(NOTES).next().is_some();
    let merged = merged(&deeds);
    let mut people: Vec<(Person, Arc<UserState>, Option<u32>)> = Vec::with_capacity(live.people.len());
    live.people
        .change_all(|person, kept| people.push((person.clone(), Arc::clone(&kept.state), kept.number)));
    for (person, state, number) in people {
        let lives = known.remove(&person).unwrap_or_else(|| match number {
            Some(number) => lives_of(number, &merged),
            None => vec![drawn(&format!("{:?} {}", person.kind, person.id))],
        });
        let bytes = kept::encode(&lives, &codec::encode(&state, &live.ids, &live.actions));
        put(Kept::Person(person, bytes))?;
    }
    for section in of(NOTES) {
        let read = read_notes(&section.bytes, put);
        read.map_err(|detail| Error::invalid("the section of notes of a snapshot", detail))??;
    }
    if carries { Ok(()) } else { noted(live, &deeds, origins, put) }
}

/// Numbers by the one into which they were merged.
fn merged(deeds: &Deeds) -> FxHashMap<u32, Vec<u32>> {
    let mut merged: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for number in 0..deeds.numbers() as u32 {
        if let Some(into) = deeds.merged_into(number) {
            merged.entry(into).or_default().push(number);
        }
    }
    merged
}

/// The life for which a number stands.
fn life_of(number: u32) -> u64 {
    drawn(&format!("number {number}"))
}

fn drawn(what: &str) -> u64 {
    xxh3_64(format!("restored {what}").as_bytes())
}

fn lives_of(number: u32, merged: &FxHashMap<u32, Vec<u32>>) -> Vec<u64> {
    let others = merged.get(&number).map(Vec::as_slice).unwrap_or_default();
    let newest = others.len().saturating_sub(kept::MOST_LIVES - 1);
    std::iter::once(number).chain(others[newest..].iter().copied()).map(life_of).collect()
}

/// What the directory of deeds knows, as notes of the partitions where it was done.
fn noted(
    live: &Live,
    deeds: &Deeds,
    origins: &Origins,
    put: &mut dyn FnMut(Kept) -> Result<()>,
) -> Result<()> {
    let mut joined = FxHashSet::default();
    for (key, done, number) in deeds.each() {
        let did = origins.did.get(&key);
        let Some(deed) = done else {
            let mut places: FxHashSet<Place> = did.map(Place::of_person).into_iter().collect();
            for person in origins.undone.get(&key).into_iter().flatten() {
                match person {
                    Some(person) => drop(places.insert(Place::of_person(person))),
                    None if did.is_some() => {}
                    None => places.extend(Lane::People.places()),
                }
            }
            let note = if did.is_some() { Note::Undone } else { Note::Awaited };
            let bytes = note.encode(&live.actions);
            places.into_iter().try_for_each(|place| put(Kept::Note(place, key, bytes.clone())))?;
            continue;
        };
        let Some(person) = did else { continue };
        let place = Place::of_person(person);
        if let Some(user) =
            number.and_then(|number| deeds.merged_into(number)).and_then(|into| deeds.owner(into))
        {
            let life = life_of(number.unwrap_or_default());
            if joined.insert(life) {
                let note = Note::Joined(user.id.clone()).encode(&live.actions);
                put(Kept::Note(place, note::of_life(life), note))?;
            }
        }
        let Deed { item, action, offset, value, time, key: of } = deed;
        let item: Id = live.ids.id(item).clone();
        let owner = number.map(|number| Owner { person: person.clone(), life: life_of(number) });
        let note = Note::Done(Act { item, action, offset, value, time, key: of }, owner);
        put(Kept::Note(place, key, note.encode(&live.actions)))?;
    }
    Ok(())
}

fn read_lives(bytes: &[u8], known: &mut FxHashMap<Person, Vec<u64>>) -> Said<()> {
    let mut read = Read::new(bytes);
    while !read.is_at_end() {
        let person = get_person(&mut read)?;
        let lives = (0..read.count(8)?).map(|_| read.word()).collect::<Said<_>>()?;
        known.insert(person, lives);
    }
    Ok(())
}

fn read_notes(bytes: &[u8], put: &mut dyn FnMut(Kept) -> Result<()>) -> Said<Result<()>> {
    let mut read = Read::new(bytes);
    while !read.is_at_end() {
        let partition: Partition = read.number()?;
        if partition >= Lane::People.partitions() {
            return Err(format!(
                "expected a partition below {}, found {partition}",
                Lane::People.partitions()
            ));
        }
        let key = [read.word()?, read.word()?];
        let place = Place { lane: Lane::People, partition };
        if let Err(error) = put(Kept::Note(place, key, read.bytes()?.to_vec())) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
