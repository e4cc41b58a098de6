//! The dynamic store of one namespace: items, people and live lists, all derived from the event log. What an event does to it
//! is in `ingest/consumer/`; this is where it is kept and read. Not durable by itself: the log is the truth.

pub mod column;
#[cfg(test)]
pub mod contract;
pub mod counters;
pub mod deeds;
pub mod dictionary;
pub mod items;
pub mod merge;
pub mod people;
pub mod row;
#[cfg(test)]
mod tests;
pub mod trending;
pub mod user;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tokio::sync::watch;

use crate::Result;
use crate::config::{Actions, Config};
use crate::ingest::consumer::{self, Change, Stores};
use crate::types::{Event, Interaction, Millis, Ordinal, Person, Position, Record, Schema};

pub use column::Cell;
pub use counters::Counters;
pub use deeds::{Deed, Deeds};
pub use items::{FieldId, ItemTable, Items};
pub use merge::Stamp;
pub use people::{Effect, EmbeddedPeople, People, PeopleBatch};
pub use row::Row;
pub use trending::Trending;
pub use user::{Acted, Field, Met, Shown, UserState};

/// An item with a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Which item.
    pub item: Ordinal,
    /// Its score, finite.
    pub score: f32,
}

/// Lists that the live side keeps.
pub trait LiveLists: Send + Sync {
    /// Appends the best of a list, best first, at most so many; `false` where there is no list of that name or key.
    fn list(&self, name: &str, key: &str, at_most: usize, out: &mut Vec<Scored>) -> bool;

    /// [`LiveLists::list`], and when the newest action of each of its items was; `None` where the list does not say.
    fn dated(
        &self,
        name: &str,
        key: &str,
        at_most: usize,
        out: &mut Vec<Scored>,
        times: &mut Vec<Option<Millis>>,
    ) -> bool {
        let before = out.len();
        let known = self.list(name, key, at_most, out);
        times.extend(out[before..].iter().map(|_| None));
        known
    }
}

/// A read lock on the item table. Hold it for one request's computing, one at a time on a thread, never across an await or a
/// call of [`Live::intern`] or [`Live::apply`]: a second one would wait for a writer that waits for the first.
pub type ItemsGuard<'a> = RwLockReadGuard<'a, ItemTable>;

/// Records whose effects are applied, or new items made, under one write lock.
const CHUNK: usize = 64;

/// The live side of one namespace.
#[derive(Debug)]
pub struct Live {
    actions: Arc<Actions>,
    schema: ArcSwap<Schema>,
    items: RwLock<ItemTable>,
    trending: RwLock<Trending>,
    people: EmbeddedPeople,
    deeds: Mutex<Deeds>,
    producer: AtomicU64,
    applied: watch::Sender<u64>,
}

impl Live {
    /// An empty store. `schema` is what holds before the first schema record.
    #[must_use]
    pub fn new(actions: Actions, schema: Schema) -> Self {
        let actions = Arc::new(actions);
        Self {
            items: RwLock::new(ItemTable::new(&schema)),
            schema: ArcSwap::from_pointee(schema),
            trending: RwLock::default(),
            people: EmbeddedPeople::new(Arc::clone(&actions)),
            deeds: Mutex::default(),
            producer: AtomicU64::new(0),
            applied: watch::Sender::new(0),
            actions,
        }
    }

    /// An empty store with the actions and schema of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::new(config.actions.clone(), config.schema.clone())
    }

    /// Applies records, in order of their sequence, by every consumer. Sequences must grow; gaps are allowed, so that a
    /// caller without a log may number its own.
    ///
    /// # Errors
    /// What the store of people says, such as a position that is ahead of a record.
    pub fn apply(&self, records: &[Record]) -> Result<()> {
        let mut deeds = self.deeds.lock();
        for chunk in records.chunks(CHUNK) {
            let mut items = self.items.write();
            let mut trending = self.trending.write();
            for record in chunk {
                let mut effects = Vec::new();
                let mut stores = Stores {
                    items: &mut items,
                    trending: &mut trending,
                    effects: &mut effects,
                    actions: &self.actions,
                };
                self.apply_one(record, &mut deeds, &mut stores);
                self.commit(record, effects)?;
            }
            if let Some(last) = chunk.last() {
                self.applied.send_replace(last.sequence);
            }
        }
        Ok(())
    }

    /// A read lock on the items.
    pub fn items(&self) -> ItemsGuard<'_> {
        self.items.read()
    }

    /// The store of people.
    #[must_use]
    pub fn people(&self) -> &dyn People {
        &self.people
    }

    /// The state of one person at once, where it is in this process.
    #[must_use]
    pub fn person(&self, who: &Person) -> Option<Arc<UserState>> {
        self.people.get(who)
    }

    /// How many people are known.
    #[must_use]
    pub fn people_len(&self) -> usize {
        self.people.len()
    }

    /// Ordinals of items by id, in order; those that did not exist do from now on.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a text that can't be an id; items named before it exist then.
    pub fn intern<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Result<Vec<Ordinal>> {
        // Most are known, and those are looked up beside other readers; only the new ones keep them out, a few at a time.
        let (mut ordinals, mut fresh) = (Vec::with_capacity(ids.size_hint().0), Vec::new());
        let items = self.items.read();
        for (at, id) in ids.enumerate() {
            let known = items.ordinal(id);
            ordinals.push(known.unwrap_or_default());
            if known.is_none() {
                fresh.push((at, id));
            }
        }
        drop(items);
        for chunk in fresh.chunks(CHUNK) {
            let mut items = self.items.write();
            for (at, id) in chunk {
                ordinals[*at] = items.intern(id)?;
            }
        }
        Ok(ordinals)
    }

    /// The attribute types as of now.
    #[must_use]
    pub fn schema(&self) -> Arc<Schema> {
        self.schema.load_full()
    }

    /// Lays other attribute types over the store without a record, for a reader that must not write one.
    pub fn set_schema(&self, schema: &Schema) {
        self.items.write().set_schema(schema);
        self.schema.store(Arc::new(schema.clone()));
    }

    /// The configured actions.
    #[must_use]
    pub fn actions(&self) -> &Arc<Actions> {
        &self.actions
    }

    /// The live lists: `trending` under the empty key.
    #[must_use]
    pub fn lists(&self) -> &dyn LiveLists {
        self
    }

    /// Says which log this store follows; positions of others are never waited for.
    pub fn follow(&self, producer: u64) {
        self.producer.store(producer, Ordering::Release);
    }

    /// How far the log has been applied.
    #[must_use]
    pub fn applied(&self) -> Position {
        Position { producer: self.producer.load(Ordering::Acquire), sequence: *self.applied.borrow() }
    }

    /// Waits until a position has been applied; `false` where it took longer, or is a position of another log. Needs a tokio
    /// runtime with time.
    pub async fn wait_for(&self, position: Position, at_most: Duration) -> bool {
        if position.producer != self.producer.load(Ordering::Acquire) {
            return false;
        }
        if *self.applied.borrow() >= position.sequence {
            return true;
        }
        let mut applied = self.applied.subscribe();
        let reached = applied.wait_for(|sequence| *sequence >= position.sequence);
        matches!(tokio::time::timeout(at_most, reached).await, Ok(Ok(_)))
    }

    fn apply_one(&self, record: &Record, deeds: &mut Deeds, stores: &mut Stores<'_>) {
        match &record.event {
            Event::Schema(schema) => {
                stores.items.set_schema(schema);
                self.schema.store(Arc::new(schema.clone()));
            }
            Event::Item(event) => consumer::run(&Change::Item(event), stores),
            Event::User(event) => consumer::run(&Change::User(event), stores),
            Event::Interaction(event) => {
                if event.id.as_ref().is_some_and(|id| deeds.knows(id)) {
                    return;
                }
                let deed = self.deed(event, deeds, stores);
                let person = deed.learnt_by.and_then(|number| deeds.owner(number));
                consumer::run(&Change::Did { deed: &deed, person }, stores);
                if let Some(id) = &event.id {
                    deeds.remember(id, deed);
                }
            }
            Event::Retraction(event) => {
                let Some(deed) = deeds.retract(&event.id) else { return };
                let person = deed.learnt_by.and_then(|number| deeds.owner(number));
                consumer::run(&Change::Undone { deed: &deed, person }, stores);
            }
            Event::Impression(event) => {
                let items: Vec<Ordinal> =
                    event.items.iter().map(|seen| stores.items.intern_id(&seen.id)).collect();
                let person = self.learns(&event.person).then_some(&event.person);
                consumer::run(&Change::Saw { items: &items, person, time: event.time }, stores);
            }
            Event::Identify(event) => {
                let (from, into) =
                    (Person::anonymous(event.anonymous.clone()), Person::user(event.user.clone()));
                let learns = self.learns(&into);
                if learns {
                    deeds.merge(&from, &into);
                } else {
                    // Nothing of it enters the user's state, so no retraction may take it out of there.
                    deeds.erase(&from);
                }
                let state = self.people.get(&from).filter(|_| learns);
                consumer::run(&Change::Identified { from: &from, into: &into, state }, stores);
            }
            Event::Erase(event) => {
                deeds.erase(&event.person);
                consumer::run(&Change::Erased(&event.person), stores);
            }
            // Nothing makes such records yet.
            Event::Edge(_) | Event::Load(_) => {}
        }
    }

    /// Effects and positions go in together, a partition at a time.
    fn commit(&self, record: &Record, mut effects: Vec<(Person, Effect)>) -> Result<()> {
        while let Some((first, _)) = effects.first() {
            let partition = first.partition();
            let (own, others) = effects.into_iter().partition(|(p, _)| p.partition() == partition);
            let expected = self.people.position(partition);
            self.people.commit(PeopleBatch { partition, expected, next: record.sequence, effects: own })?;
            effects = others;
        }
        Ok(())
    }

    fn deed(&self, event: &Interaction, deeds: &mut Deeds, stores: &mut Stores<'_>) -> Deed {
        let learnt = self.learns(&event.person);
        Deed {
            learnt_by: learnt.then(|| deeds.number(&event.person)),
            item: stores.items.intern_id(&event.item),
            action: self.actions.id(&event.action),
            value: event.value,
            time: event.time,
            key: consumer::key(event),
        }
    }

    /// Whether anything of this person may be learnt.
    fn learns(&self, person: &Person) -> bool {
        self.people.get(person).is_none_or(|state| state.personalize())
    }
}

impl LiveLists for Live {
    fn list(&self, name: &str, key: &str, at_most: usize, out: &mut Vec<Scored>) -> bool {
        let known = name == "trending" && key.is_empty();
        if known {
            self.trending.read().list(at_most, out);
        }
        known
    }

    fn dated(
        &self,
        name: &str,
        key: &str,
        at_most: usize,
        out: &mut Vec<Scored>,
        times: &mut Vec<Option<Millis>>,
    ) -> bool {
        let known = name == "trending" && key.is_empty();
        if known {
            let trending = self.trending.read();
            let before = out.len();
            trending.list(at_most, out);
            times.extend(out[before..].iter().map(|scored| trending.newest(scored.item)));
        }
        known
    }
}
