//! What becomes of each record when people are erased: their names give way to pseudonyms whose key is thrown away, so that totals
//! of items come out the same; what they said of themselves, and what was decided for them, goes. A pure function of the record.
//!
//! Anonymous people who turned out to be one of them go with them, up to the record that says so for the last time.

use std::path::Path;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::entry::Entry;
use super::journal::read;
use super::secret::Secret;
use crate::log::{Entries, Stream, format, record};
use crate::types::{Decision, Event, Id, Identify, Millis, Person, PersonKind, Position, Record};
use crate::{Error, Result};

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// At a sequence of the log that the erasures are of.
    Sequence(u64),
    /// In another log, received at this time.
    Time(Millis),
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// Another stands in its place.
    Change(Event),
    /// Nothing does.
    Void,
}

/// Up to some record, a name was somebody's.
#[derive(Debug, Clone)]
struct Span {
    /// Sequence of that record.
    to: u64,
    /// Its receipt time.
    until: Millis,
    /// Number of the erasure; `None` where that somebody stays.
    erasure: Option<usize>,
}

/// Who is erased together, and what they are called from then on.
#[derive(Debug)]
pub struct Plan {
    producer: u64,
    secrets: Vec<Arc<Secret>>,
    /// By name, oldest first.
    spans: FxHashMap<Person, Vec<Span>>,
}

/// Gives each record to a function.
pub type Archived<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&Record)) -> Result<()>;

/// The one attribute that says how other records are to be understood.
const STAYS: &str = "personalize";

impl Plan {
    /// The plan of some erasures that have begun, of the log in `folder` (that of a namespace) and what `archived` has of its events besides.
    /// Those whose own record has been rewritten are left out: nothing of them is left.
    ///
    /// # Errors
    /// Those of reading the log; [`Error::NotFound`] where it lacks a record that asks for one of them.
    pub(super) fn of(
        folder: &Path,
        producer: u64,
        entries: &[Entry],
        archived: Archived<'_>,
    ) -> Result<Self> {
        let mut plan = Self { producer, secrets: Vec::new(), spans: FxHashMap::default() };
        for entry in entries {
            let Some(secret) = entry.secret.as_deref().and_then(Secret::parse) else { continue };
            let person = asker(folder, entry.sequence)?;
            if entry.becomes.as_deref() != Some(person.id.as_str()) {
                let span = Span { to: entry.sequence, until: entry.time, erasure: Some(plan.secrets.len()) };
                plan.secrets.push(Arc::new(secret));
                plan.spans.entry(person).or_default().push(span);
            }
        }
        if !plan.is_empty() {
            plan.link(folder, archived)?;
        }
        Ok(plan)
    }

    /// The plan of the erasures that a process was at when it ended, as readers of the log in `folder` need it; `None` where there are none.
    ///
    /// # Errors
    /// Those of reading the journal and the log.
    pub fn unfinished(folder: &Path) -> Result<Option<Self>> {
        Self::unfinished_with(folder, &mut |_| Ok(()))
    }

    /// As [`Plan::unfinished`], as readers of what is archived need it, too: `archived` gives each event that the log has no more.
    ///
    /// # Errors
    /// As [`Plan::unfinished`]; what `archived` says.
    pub fn unfinished_with(folder: &Path, archived: Archived<'_>) -> Result<Option<Self>> {
        let begun: Vec<Entry> = read(folder)?.into_values().filter(|e| e.secret.is_some()).collect();
        if begun.is_empty() {
            return Ok(None);
        }
        let plan = Self::of(folder, 0, &begun, archived)?;
        Ok((!plan.is_empty()).then_some(plan))
    }

    /// All who are erased, by the names that they had.
    #[must_use]
    pub fn people(&self) -> std::collections::HashSet<Person> {
        let erased = |spans: &Vec<Span>| spans.iter().any(|span| span.erasure.is_some());
        self.spans.iter().filter(|(_, spans)| erased(spans)).map(|(person, _)| person.clone()).collect()
    }

    /// Whether nobody is left to be erased.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Finds the anonymous people who turned out to be one of those who are erased.
    fn link(&mut self, folder: &Path, archived: Archived<'_>) -> Result<()> {
        // First who they are, then all that they turned out to be.
        let mut guests: FxHashMap<Id, Vec<Span>> = FxHashMap::default();
        for whole in [false, true] {
            let mut learn = |record: &Record| {
                let Event::Identify(Identify { anonymous, user, .. }) = &record.event else { return };
                let erasure = self.erasure(&Person::user(user.clone()), At::Sequence(record.sequence));
                if !whole {
                    if erasure.is_some() {
                        guests.entry(anonymous.clone()).or_default();
                    }
                } else if let Some(spans) = guests.get_mut(anonymous) {
                    spans.push(Span { to: record.sequence, until: record.received_ms, erasure });
                }
            };
            archived(&mut learn)?;
            let events = folder.join(Stream::Events.folder());
            let mut entries = Entries::open(&events, Stream::Events, 0)?;
            while let Some(entry) = entries.next_ref()? {
                if entry.kind & !format::PAST == format::IDENTIFY {
                    learn(&record(entry, &events)?);
                }
            }
        }
        for (guest, spans) in guests {
            let all = self.spans.entry(Person::anonymous(guest)).or_default();
            all.extend(spans);
            all.sort_by_key(|span| span.to);
            all.dedup_by_key(|span| span.to);
        }
        Ok(())
    }

    fn erasure(&self, person: &Person, at: At) -> Option<usize> {
        let covers = |span: &&Span| match at {
            At::Sequence(sequence) => span.to >= sequence,
            At::Time(time) => span.until >= time,
        };
        self.spans.get(person)?.iter().find(covers)?.erasure
    }

    /// What a person is called from now on where a record names them; `None`: as before.
    fn name(&self, person: &Person, at: At) -> Option<Person> {
        self.secrets[self.erasure(person, at)?].pseudonym(person).ok()
    }

    /// What becomes of an event.
    #[must_use]
    pub fn event(&self, event: &Event, at: At) -> Fate {
        match event {
            Event::Item(_) | Event::Schema(_) | Event::Load(_) => Fate::Keep,
            Event::User(e) => self.name(&e.person, at).map_or(Fate::Keep, |person| {
                let mut said = e.attributes.clone();
                said.retain(|name, _| name == STAYS);
                if said.is_empty() {
                    return Fate::Void;
                }
                let (time, source) = (e.time, e.source.clone());
                Fate::Change(Event::User(crate::types::UserEvent { person, time, source, attributes: said }))
            }),
            Event::Interaction(e) => self.name(&e.person, at).map_or(Fate::Keep, |person| {
                let mut e = e.clone();
                (e.person, e.request_id, e.session) = (person, None, None);
                e.context.clear();
                Fate::Change(Event::Interaction(e))
            }),
            Event::Impression(e) => self.name(&e.person, at).map_or(Fate::Keep, |person| {
                let mut e = e.clone();
                (e.person, e.request_id) = (person, None);
                Fate::Change(Event::Impression(e))
            }),
            Event::Retraction(e) => {
                let person = e.person.as_ref().and_then(|person| self.name(person, at));
                person.map_or(Fate::Keep, |person| {
                    let mut e = e.clone();
                    e.person = Some(person);
                    Fate::Change(Event::Retraction(e))
                })
            }
            Event::Erase(e) => self.name(&e.person, at).map_or(Fate::Keep, |person| {
                let mut e = e.clone();
                e.person = person;
                Fate::Change(Event::Erase(e))
            }),
            Event::Identify(e) => {
                let mut changed = e.clone();
                let ends = [
                    (PersonKind::Anonymous, &e.anonymous, &mut changed.anonymous),
                    (PersonKind::User, &e.user, &mut changed.user),
                ];
                if self.rename(ends, at) { Fate::Change(Event::Identify(changed)) } else { Fate::Keep }
            }
            Event::Edge(e) => {
                let mut changed = e.clone();
                let ends = [
                    (PersonKind::User, &e.from, &mut changed.from),
                    (PersonKind::User, &e.to, &mut changed.to),
                ];
                if self.rename(ends, at) { Fate::Change(Event::Edge(changed)) } else { Fate::Keep }
            }
        }
    }

    fn rename(&self, ends: [(PersonKind, &Id, &mut Id); 2], at: At) -> bool {
        let mut any = false;
        for (kind, id, to) in ends {
            if let Some(person) = self.name(&Person { kind, id: id.clone() }, at) {
                *to = person.id;
                any = true;
            }
        }
        any
    }

    /// A record as it is once all is rewritten; `None` where nothing is left of it.
    #[must_use]
    pub fn record(&self, mut record: Record) -> Option<Record> {
        match self.event(&record.event, At::Sequence(record.sequence)) {
            Fate::Keep => {}
            Fate::Void => return None,
            Fate::Change(event) => {
                record.partition = event.person().map_or(0, |person| person.partition());
                record.event = event;
            }
        }
        Some(record)
    }

    /// Whether a decision was made for one of those who are erased, and so goes.
    #[must_use]
    pub fn drops(&self, decision: &Decision) -> bool {
        let seen = decision.log_position.parse().ok();
        let at = match seen {
            // What it could see of this log ends before the erasure.
            Some(Position { producer, sequence }) if producer == self.producer => At::Sequence(sequence + 1),
            _ => At::Time(decision.time),
        };
        let askers = [
            (PersonKind::User, &decision.user),
            (PersonKind::Anonymous, &decision.anonymous),
            (PersonKind::Session, &decision.session_id),
        ];
        askers.into_iter().any(|(kind, id)| {
            let person = id.as_ref().map(|id| Person { kind, id: id.clone() });
            person.is_some_and(|person| self.erasure(&person, at).is_some())
        })
    }
}

/// The person that the record of an erasure names.
pub(super) fn asker(folder: &Path, sequence: u64) -> Result<Person> {
    let events = folder.join(Stream::Events.folder());
    let mut entries = Entries::open(&events, Stream::Events, sequence)?;
    while let Some(entry) = entries.next_ref()? {
        if entry.sequence < sequence {
            continue;
        }
        if entry.sequence == sequence
            && let Event::Erase(erase) = record(entry, &events)?.event
        {
            return Ok(erase.person);
        }
        break;
    }
    let hint = "; the journal of erasures is another log's, or the segment was removed by hand".to_owned();
    Err(Error::NotFound { what: "the record of an erasure", name: sequence.to_string(), hint })
}
