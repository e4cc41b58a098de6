//! The work of an owner of people's partitions: which states and notes records need, and what comes of them. Not for what one record
//! does: that is `desk.rs`'s; not for how records come and effects go: that is `crate::shared`'s.

use std::collections::HashSet;
use std::sync::Arc;

use super::desk::Desk;
use super::letter::{Letter, is_letter};
use super::note::{self, Note, Owner, When};
use crate::config::{Actions, Keep};
use crate::ingest::dedupe;
use crate::live::deeds::id_key;
use crate::log::format;
use crate::shared::{Arrived, Begun, Found, Needs, NoteKey, Notes, Outcome, Packed, Place, Sender, Work};
use crate::types::{Event, Millis, Person};
use crate::{Error, Result};

/// What happens to people, by actions and bounds of a configuration.
#[derive(Debug, Clone)]
pub struct PeopleWork {
    pub(super) actions: Arc<Actions>,
    pub(super) keep: Arc<Keep>,
}

/// Something that arrived.
#[derive(Debug)]
pub(super) enum Said {
    Event(Event),
    Letter(Letter),
}

/// One record, read.
#[derive(Debug)]
pub(super) struct Came {
    pub what: Said,
    /// Who sent it, under which number.
    pub from: (Sender, u64),
    pub received_ms: Millis,
    /// Whether it came by the lane of the past.
    pub past: bool,
}

impl Came {
    /// When a server took it.
    pub(super) fn when(&self) -> When {
        let (sender, sequence) = self.from;
        let producer = if let Sender::Log(producer) = sender { producer } else { 0 };
        When { received_ms: self.received_ms, producer, sequence }
    }
}

/// Records of one partition, read.
#[derive(Debug)]
pub struct Task {
    pub(super) place: Place,
    pub(super) records: Vec<Came>,
}

impl PeopleWork {
    /// The work of a configuration.
    #[must_use]
    pub fn new(actions: Arc<Actions>, keep: Arc<Keep>) -> Self {
        Self { actions, keep }
    }

    fn read(&self, arrived: &Arrived<'_>) -> Result<Came> {
        let Packed { version, kind, sequence, received_ms, payload } = arrived.record;
        let what = if is_letter(kind) {
            Letter::decode(kind, payload, &self.actions).map(Said::Letter)
        } else {
            format::decode_event(version, kind, payload).map(Said::Event)
        };
        let from = (arrived.sender, sequence);
        let wrong = |detail| Error::invalid(format!("record {sequence} of {}", arrived.sender), detail);
        let past = kind & format::PAST != 0;
        Ok(Came { what: what.map_err(wrong)?, from, received_ms, past })
    }
}

impl Work for PeopleWork {
    type Task = Task;

    fn id(&self, record: &Packed<'_>) -> Option<u64> {
        if is_letter(record.kind) {
            return None;
        }
        // What can't be read is named when it is worked on.
        let event = format::decode_event(record.version, record.kind, record.payload).ok()?;
        Some(dedupe::key(&event, record.payload) as u64)
    }

    fn begin(&mut self, place: Place, records: &[Arrived<'_>]) -> Result<Begun<Task>> {
        let records: Vec<Came> = records.iter().map(|arrived| self.read(arrived)).collect::<Result<_>>()?;
        let notes = records.iter().filter_map(|came| came.what.note()).collect();
        Ok(Begun { task: Task { place, records }, notes })
    }

    fn needs(&self, task: &Task, notes: &Notes) -> Result<Needs> {
        let mut needs = Needs::default();
        for came in &task.records {
            needs.people.extend(came.what.people());
            let Said::Event(Event::Retraction(event)) = &came.what else { continue };
            let Some(bytes) = notes.get(&id_key(&event.id)) else { continue };
            let Note::Done(_, Some(Owner { person, life })) = self.note(task.place, bytes)? else { continue };
            needs.notes.insert(note::of_life(life));
            needs.people.insert(person);
        }
        Ok(needs)
    }

    fn finish(&mut self, task: Task, found: Found) -> Result<Outcome> {
        let Task { place, records } = task;
        let mut desk = Desk::new(self, place, found)?;
        for came in &records {
            desk.take(came)?;
        }
        desk.outcome()
    }
}

impl PeopleWork {
    pub(super) fn note(&self, place: Place, bytes: &[u8]) -> Result<Note> {
        let wrong = |detail| Error::invalid(format!("note of {place}"), detail);
        Note::decode(bytes, &self.actions).map_err(wrong)
    }
}

impl Said {
    /// The note that must be looked at first.
    fn note(&self) -> Option<NoteKey> {
        match self {
            Self::Event(Event::Interaction(event)) => event.id.as_ref().map(id_key),
            Self::Event(Event::Retraction(event)) => Some(id_key(&event.id)),
            Self::Letter(Letter::Undo { id, .. }) => Some(*id),
            Self::Letter(letter @ (Letter::Join { .. } | Letter::Tie { .. })) => {
                Some(note::of_erased(&letter.to()))
            }
            Self::Event(Event::Erase(event)) => Some(note::of_erased(&event.person)),
            Self::Event(_) | Self::Letter(Letter::Forget { .. }) => None,
        }
    }

    /// Whom it is about, of the partition to which it came.
    fn people(&self) -> HashSet<Person> {
        let who = match self {
            Self::Letter(letter) => Some(letter.to()),
            Self::Event(Event::Retraction(event)) => event.person.clone(),
            Self::Event(Event::Identify(event)) => Some(Person::anonymous(event.anonymous.clone())),
            Self::Event(event) => event.person(),
        };
        who.into_iter().collect()
    }
}
