//! One batch of records of a partition, worked on: states and notes as they were found, then as they are after each record. What an event
//! does to a state is the consumers'; here is who it concerns, and what goes on to another partition.

use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use super::letter::{self, Letter};
use super::note::{self, Act, Note, Owner, When};
use super::people::{Came, PeopleWork, Said};
use crate::ingest::apply::people::{content_key, counts_by_day, recalled};
use crate::ingest::consumer::{self, Around, Change, Effect};
use crate::ingest::delta;
use crate::live::codec::{self, kept};
use crate::live::deeds::id_key;
use crate::live::levels::NO_DAY;
use crate::live::{Deed, Ids, Side, Stamp, Tie, UserState};
use crate::shared::{Found, Message, NoteKey, Outcome, Place, Sender};
use crate::types::event::{Edge, Identify, Impression, Interaction, Retraction};
use crate::types::{Event, Id, Ordinal, Person};
use crate::{Error, Result};

/// What is known of one person.
#[derive(Debug, Default)]
struct Held {
    /// `None` where nothing is known.
    known: Option<Known>,
    /// Whether anything was kept when the batch began.
    was: bool,
    changed: bool,
}

#[derive(Debug)]
struct Known {
    /// The first is their own; the others went into it.
    lives: Vec<u64>,
    state: UserState,
}

/// A batch on its way.
pub(super) struct Desk<'a> {
    work: &'a PeopleWork,
    place: Place,
    /// Items that the states and records name; numbers of this batch only.
    ids: Ids,
    people: HashMap<Person, Held>,
    notes: HashMap<NoteKey, Note>,
    /// Keys of new notes.
    noted: HashSet<NoteKey>,
    messages: Vec<Message>,
    effects: Vec<Effect<'static>>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(work: &'a PeopleWork, place: Place, found: Found) -> Result<Self> {
        let mut desk = Self {
            work,
            place,
            ids: Ids::default(),
            people: HashMap::new(),
            notes: HashMap::new(),
            noted: HashSet::new(),
            messages: Vec::new(),
            effects: Vec::new(),
        };
        for (key, bytes) in &found.notes {
            desk.notes.insert(*key, work.note(place, bytes)?);
        }
        for (person, bytes) in &found.states {
            let known = Some(desk.known(bytes)?);
            desk.people.insert(person.clone(), Held { known, was: true, changed: false });
        }
        Ok(desk)
    }

    fn known(&mut self, bytes: &[u8]) -> Result<Known> {
        let place = self.place.to_string();
        let (lives, state) = kept::split(bytes, &place)?;
        let ids = &mut self.ids;
        let mut intern = |text: &str| {
            let id = Id::new(text).map_err(|error| Error::invalid(place.clone(), error.to_string()))?;
            Ok(ids.intern(&id))
        };
        let state = codec::decode(state, &place, &self.work.actions, &mut intern)?;
        Ok(Known { lives, state })
    }

    /// What the batch comes to.
    pub(super) fn outcome(self) -> Result<Outcome> {
        let Self { work, ids, people, notes, noted, mut messages, effects, .. } = self;
        let mut states = Vec::new();
        for (person, Held { known, was, changed }) in people {
            match known {
                Some(Known { lives, state }) if changed => {
                    let bytes = kept::encode(&lives, &codec::encode(&state, &ids, &work.actions));
                    states.push((person, Some(bytes)));
                }
                None if was => states.push((person, None)),
                _ => {}
            }
        }
        let note = |key: NoteKey| Some((key, notes.get(&key)?.encode(&work.actions)));
        let notes = noted.into_iter().filter_map(note).collect();
        messages.extend(delta::encode(&effects, &ids, &work.actions)?);
        Ok(Outcome { states, notes, messages })
    }

    /// Takes one record.
    pub(super) fn take(&mut self, came: &Came) -> Result<()> {
        match &came.what {
            Said::Event(event) => self.event(event, came),
            Said::Letter(letter) => return self.letter(letter, came.from),
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, came: &Came) {
        let (from, when) = (came.from, came.when());
        match event {
            Event::User(event) => self.change(&event.person, from, &Change::Said(event)),
            Event::Interaction(event) => self.did(event, came),
            Event::Retraction(event) => self.undo(event),
            Event::Impression(event) => self.saw(event, from),
            Event::Identify(event) => self.identify(event, when),
            Event::Erase(event) => self.erase(&event.person, when),
            Event::Edge(event) => self.tie(event, from, when),
            // Of items, and never sent here.
            Event::Item(_) | Event::Schema(_) | Event::Load(_) => {}
        }
    }

    fn letter(&mut self, letter: &Letter, from: (Sender, u64)) -> Result<()> {
        let user = letter.to();
        match letter {
            Letter::Join { when, kept, .. } => {
                if !self.was_erased(&user, when) {
                    let guest = self.known(kept)?;
                    self.join(&user, guest, from);
                }
            }
            Letter::Tie { when, relation, tie, .. } => {
                if self.was_erased(&user, when) {
                    // Whom they were tied to was told before this was known.
                    let forget = Letter::Forget { user: tie.other.clone(), name: user.id };
                    self.messages.push(forget.message(&self.work.actions));
                } else {
                    let change = Change::Tied { relation, side: letter::SIDE, tie };
                    self.change(&user, from, &change);
                }
            }
            Letter::Forget { name, .. } => {
                let held = self.people.entry(user).or_default();
                if let Some(known) = held.known.as_mut().filter(|known| known.state.ties.name(name)) {
                    known.state.ties.forget(name);
                    held.changed = true;
                }
            }
            Letter::Undo { id, life, act, .. } => {
                if !matches!(self.notes.get(id), Some(Note::Undone)) {
                    self.note(*id, Note::Undone);
                    let deed = self.deed(act);
                    self.take_back(&user, *life, &deed);
                    self.effects.push(Effect::Undone(deed));
                }
            }
        }
        Ok(())
    }

    fn did(&mut self, event: &Interaction, came: &Came) {
        let id = event.id.as_ref().map(id_key);
        if id.is_some_and(|id| self.notes.contains_key(&id)) {
            return;
        }
        let mut deed = Deed {
            item: self.ids.intern(&event.item),
            action: self.work.actions.id(&event.action),
            offset: if came.past { NO_DAY } else { 0 },
            value: event.value,
            time: event.time,
            key: id.map_or_else(|| content_key(event), |id| id[0]),
        };
        let mut owner = None;
        if deed.action.is_some() {
            let around = Around { ids: &self.ids, actions: &self.work.actions, keep: &self.work.keep };
            let held = self.people.entry(event.person.clone()).or_default();
            let Known { lives, state } = known(held, &event.person, came.from);
            if state.personalize() {
                if !came.past && counts_by_day(&deed, &around) {
                    deed.offset = around.keep.calendar.offset(state.attribute("timezone"), deed.time);
                }
                consumer::on_person(&Change::Did(&deed), state, &around, &mut self.effects);
                owner = lives.first().map(|life| Owner { person: event.person.clone(), life: *life });
            }
        }
        if let Some(id) = id {
            let act = self.act(&deed);
            self.note(id, Note::Done(act, owner));
        }
        self.effects.push(Effect::Did(deed));
    }

    fn undo(&mut self, event: &Retraction) {
        let id = id_key(&event.id);
        let (act, owner) = match self.notes.get(&id) {
            Some(Note::Done(act, owner)) => (act.clone(), owner.clone()),
            Some(_) => return,
            None => return self.undo_unknown(event, id),
        };
        self.note(id, Note::Undone);
        let deed = self.deed(&act);
        if let Some(Owner { person, life }) = owner
            && !self.take_back(&person, life, &deed)
            && let Some(Note::Joined(user)) = self.notes.get(&note::of_life(life))
        {
            let letter = Letter::Undo { user: user.clone(), id, life, act };
            return self.messages.push(letter.message(&self.work.actions));
        }
        self.effects.push(Effect::Undone(deed));
    }

    /// What somebody's recent actions know of a deed that the partition has not noted, or no longer.
    fn undo_unknown(&mut self, event: &Retraction, id: NoteKey) {
        let known = event.person.as_ref().and_then(|person| {
            let known = self.people.get(person)?.known.as_ref()?;
            Some((person, *known.lives.first()?, recalled(&known.state, id[0])?))
        });
        let Some((person, life, deed)) = known else { return self.note(id, Note::Awaited) };
        self.note(id, Note::Undone);
        self.take_back(person, life, &deed);
        self.effects.push(Effect::Undone(deed));
    }

    fn saw(&mut self, event: &Impression, from: (Sender, u64)) {
        let items: Vec<Ordinal> = event.items.iter().map(|seen| self.ids.intern(&seen.id)).collect();
        let around = Around { ids: &self.ids, actions: &self.work.actions, keep: &self.work.keep };
        let held = self.people.entry(event.person.clone()).or_default();
        let Known { state, .. } = known(held, &event.person, from);
        if state.personalize() {
            let change = Change::Saw { items: &items, time: event.time };
            consumer::on_person(&change, state, &around, &mut self.effects);
        }
        self.effects.extend(items.iter().map(|item| Effect::Saw { item: *item, time: event.time }));
    }

    /// This end of an edge; the other one is told.
    fn tie(&mut self, edge: &Edge, from: (Sender, u64), when: When) {
        let said = Stamp::new(edge.time, edge.source.as_deref(), &self.work.keep.sources);
        let stamp = Stamp { present: !edge.deleted, ..said };
        let tie = Tie { other: edge.to.clone(), stamp };
        let change = Change::Tied { relation: &edge.relation, side: Side::To, tie: &tie };
        self.change(&Person::user(edge.from.clone()), from, &change);
        let tie = Tie { other: edge.from.clone(), stamp };
        let letter = Letter::Tie { user: edge.to.clone(), when, relation: edge.relation.clone(), tie };
        self.messages.push(letter.message(&self.work.actions));
    }

    /// Sends what is known of an anonymous person to the user that they are.
    fn identify(&mut self, event: &Identify, when: When) {
        let guest = Person::anonymous(event.anonymous.clone());
        let Some(Known { lives, state }) = self.people.get_mut(&guest).and_then(|held| held.known.take())
        else {
            return;
        };
        lives.iter().for_each(|life| self.note(note::of_life(*life), Note::Joined(event.user.clone())));
        let kept = kept::encode(&lives, &codec::encode(&state, &self.ids, &self.work.actions));
        let letter = Letter::Join { user: event.user.clone(), when, kept };
        self.messages.push(letter.message(&self.work.actions));
    }

    fn join(&mut self, user: &Person, guest: Known, from: (Sender, u64)) {
        let around = Around { ids: &self.ids, actions: &self.work.actions, keep: &self.work.keep };
        let held = self.people.entry(user.clone()).or_default();
        let Known { lives, state } = known(held, user, from);
        // Nothing enters the state of who wants nothing learnt, so no retraction may take it out of there.
        if state.personalize() {
            consumer::on_person(&Change::Joined(&guest.state), state, &around, &mut self.effects);
            lives.extend(guest.lives);
            if lives.len() > kept::MOST_LIVES {
                let most = lives.len() - kept::MOST_LIVES;
                lives.drain(1..=most);
            }
        }
    }

    /// Drops all that is known of a person, and their name from where others hold it.
    fn erase(&mut self, person: &Person, when: When) {
        let known = self.people.get_mut(person).and_then(|held| held.known.take());
        let key = note::of_erased(person);
        let widely = matches!(self.notes.get(&key), Some(Note::Erased(_, true)))
            || known.as_ref().is_some_and(|known| known.state.ties.more());
        // What others send of them may be under way still.
        self.note(key, Note::Erased(when, widely));
        let Some(known) = known else { return };
        for other in known.state.ties.others() {
            let letter = Letter::Forget { user: other.clone(), name: person.id.clone() };
            self.messages.push(letter.message(&self.work.actions));
        }
    }

    /// Takes something back where it was learnt; whether it was in that life's state.
    fn take_back(&mut self, person: &Person, life: u64, deed: &Deed) -> bool {
        let around = Around { ids: &self.ids, actions: &self.work.actions, keep: &self.work.keep };
        let Some(held) = self.people.get_mut(person) else { return false };
        let Some(known) = held.known.as_mut().filter(|known| known.lives.contains(&life)) else {
            return false;
        };
        consumer::on_person(&Change::Undone(deed), &mut known.state, &around, &mut self.effects);
        held.changed = true;
        true
    }

    fn change(&mut self, person: &Person, from: (Sender, u64), change: &Change<'_>) {
        let around = Around { ids: &self.ids, actions: &self.work.actions, keep: &self.work.keep };
        let held = self.people.entry(person.clone()).or_default();
        let Known { state, .. } = known(held, person, from);
        consumer::on_person(change, state, &around, &mut self.effects);
    }

    fn was_erased(&self, person: &Person, when: &When) -> bool {
        matches!(self.notes.get(&note::of_erased(person)), Some(Note::Erased(then, _)) if when.is_before(then))
    }

    fn note(&mut self, key: NoteKey, note: Note) {
        self.notes.insert(key, note);
        self.noted.insert(key);
    }

    fn deed(&mut self, act: &Act) -> Deed {
        let Act { ref item, action, offset, value, time, key } = *act;
        Deed { item: self.ids.intern(item), action, offset, value, time, key }
    }

    fn act(&self, deed: &Deed) -> Act {
        let Deed { item, action, offset, value, time, key } = *deed;
        Act { item: self.ids.id(item).clone(), action, offset, value, time, key }
    }
}

/// What is known of a person, who is known from now on.
fn known<'h>(held: &'h mut Held, person: &Person, (sender, sequence): (Sender, u64)) -> &'h mut Known {
    held.changed = true;
    held.known.get_or_insert_with(|| {
        let life = xxh3_64(format!("{sender} {sequence} {:?} {}", person.kind, person.id).as_bytes());
        Known { lives: vec![life], state: UserState::default() }
    })
}
