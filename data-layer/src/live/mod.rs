//! The dynamic store of one namespace: items, people and live lists, all derived from the event log. What an event does to it
//! is in `ingest/apply/` and `ingest/consumer/`; this is where it is kept and read. Not durable by itself: the log is the truth.
//!
//! **Invariant:** nothing in here names `ingest`, `log` or `access`; nothing that is kept or left out depends on an ordinal.

pub mod codec;
mod codes;
pub mod column;
#[cfg(test)]
pub mod contract;
pub mod copies;
pub mod counters;
pub mod deeds;
pub mod dictionary;
pub mod fresh;
pub mod ids;
pub mod items;
pub mod levels;
pub mod marks;
pub mod merge;
pub mod people;
mod ranked;
pub mod redis;
mod replace;
pub mod row;
pub mod sieve;
pub mod snapshot;
pub mod sources;
pub mod sum;
#[cfg(test)]
pub(crate) mod tests;
pub mod ties;
pub mod together;
pub mod trending;
pub mod user;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tokio::sync::watch;

use crate::Result;
use crate::config::{Actions, Config, Keep};
use crate::shared::StreamId;
use crate::types::{Millis, Ordinal, Person, Position, Schema};

pub use column::Cell;
pub use copies::Copies;
pub use counters::Counters;
pub use deeds::{Deed, Deeds};
pub use fresh::Fresh;
pub use ids::Ids;
pub use items::{FieldId, ItemTable, Items};
pub use levels::Tally;
pub use marks::{Mark, Marks};
pub use merge::Stamp;
pub use people::{EmbeddedPeople, People};
pub use redis::{Elsewhere, Looks};
pub use row::Row;
pub use ties::{Side, Tie, Ties};
pub use together::Together;
pub use trending::Trending;
pub use user::{Acted, Field, UserState};

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

    /// [`LiveLists::list`] as of a moment, for lists that change with time by themselves, and with `times` as [`LiveLists::dated`].
    fn at(
        &self,
        name: &str,
        key: &str,
        now_ms: Millis,
        at_most: usize,
        out: &mut Vec<Scored>,
        times: Option<&mut Vec<Option<Millis>>>,
    ) -> bool {
        let _ = now_ms;
        match times {
            Some(times) => self.dated(name, key, at_most, out, times),
            None => self.list(name, key, at_most, out),
        }
    }
}

/// A read lock on the item table. Hold it for one request's computing, one at a time on a thread, never across an await or a
/// call of [`Live::intern`] or `Live::apply`: a second one would wait for a writer that waits for the first.
pub type ItemsGuard<'a> = RwLockReadGuard<'a, ItemTable>;

/// New items that are made under one write lock.
const CHUNK: usize = 64;

/// Live lists, behind one lock.
#[derive(Debug, Default)]
pub struct Lists {
    /// What is done most just now.
    pub trending: Trending,
    /// What the same people act on.
    pub together: Together,
    /// What is new.
    pub fresh: Fresh,
}

/// The live side of one namespace. What records do to it is in `ingest/apply/`.
#[derive(Debug)]
pub struct Live {
    pub(crate) actions: Arc<Actions>,
    pub(crate) keep: Arc<Keep>,
    pub(crate) schema: ArcSwap<Schema>,
    /// Those of the items, reached without their lock.
    pub(crate) ids: Arc<Ids>,
    pub(crate) items: RwLock<ItemTable>,
    pub(crate) lists: RwLock<Lists>,
    pub(crate) people: EmbeddedPeople,
    elsewhere: OnceLock<Elsewhere>,
    /// Held by whoever applies.
    pub(crate) deeds: Mutex<Deeds>,
    /// What item partitions pass on copies of, where there are such.
    pub(crate) copies: Mutex<Copies>,
    /// Where it stands in the streams of items, where there are such; changed by whoever applies.
    pub(crate) streams: Mutex<Vec<StreamId>>,
    pub(crate) cut: snapshot::Cut,
    producer: AtomicU64,
    pub(crate) applied: watch::Sender<u64>,
}

impl Live {
    /// An empty store with the default bounds. `schema` is what holds before the first schema record.
    #[must_use]
    pub fn new(actions: Actions, schema: Schema) -> Self {
        Self::with(actions, schema, Keep::default())
    }

    /// An empty store with bounds.
    #[must_use]
    pub fn with(actions: Actions, schema: Schema, keep: Keep) -> Self {
        let ids = Arc::<Ids>::default();
        Self {
            items: RwLock::new(ItemTable::over(Arc::clone(&ids), &schema)),
            ids,
            schema: ArcSwap::from_pointee(schema),
            lists: RwLock::default(),
            people: EmbeddedPeople::default(),
            elsewhere: OnceLock::new(),
            deeds: Mutex::new(Deeds::new(keep.deeds)),
            copies: Mutex::default(),
            streams: Mutex::default(),
            cut: snapshot::Cut::default(),
            producer: AtomicU64::new(0),
            applied: watch::Sender::new(0),
            actions: Arc::new(actions),
            keep: Arc::new(keep),
        }
    }

    /// An empty store with the actions, bounds and schema of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::with(config.actions.clone(), config.schema.clone(), config.live.keep.clone())
    }

    /// As [`Live::of`], before any record of its log, which brings the schema.
    #[must_use]
    pub fn before(config: &Config) -> Self {
        Self::with(config.actions.clone(), Schema::reserved(), config.live.keep.clone())
    }

    /// Ids of items and their ordinals, without a lock on the items.
    #[must_use]
    pub fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }

    /// A read lock on the items.
    pub fn items(&self) -> ItemsGuard<'_> {
        self.items.read()
    }

    /// The store of people.
    #[must_use]
    pub fn people(&self) -> &dyn People {
        if self.elsewhere.get().is_some() { self } else { &self.people }
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

    /// Drops all people, and what they did that could be taken back.
    pub(crate) fn forget_people(&self) {
        drop(self.people.replace(EmbeddedPeople::default(), |_, _| ()));
        *self.deeds.lock() = Deeds::new(self.keep.deeds);
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

    /// The bounds of what is kept.
    #[must_use]
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// The configured actions.
    #[must_use]
    pub fn actions(&self) -> &Arc<Actions> {
        &self.actions
    }

    /// The live lists: `trending` under the empty key for all items, under a kind for those of that kind; `together` under the id of an item; `fresh`, by kind as `trending`, which
    /// [`LiveLists::at`] gives.
    #[must_use]
    pub fn lists(&self) -> &dyn LiveLists {
        self
    }

    /// Says which log this store follows; positions of others are waited for where servers share a Redis, and nowhere else.
    pub fn follow(&self, producer: u64) {
        self.producer.store(producer, Ordering::Release);
    }

    /// How far the log has been applied.
    #[must_use]
    pub fn applied(&self) -> Position {
        Position { producer: self.producer.load(Ordering::Acquire), sequence: *self.applied.borrow() }
    }

    /// Waits until a position has been applied; `false` where it took longer, or is a position of a log that this server knows nothing of. Needs a tokio
    /// runtime with time.
    pub async fn wait_for(&self, position: Position, at_most: Duration) -> bool {
        if position.producer != self.producer.load(Ordering::Acquire) {
            return match self.elsewhere.get() {
                Some(elsewhere) => elsewhere.wait_for(position, at_most).await,
                None => false,
            };
        }
        if *self.applied.borrow() >= position.sequence {
            return true;
        }
        let mut applied = self.applied.subscribe();
        let reached = applied.wait_for(|sequence| *sequence >= position.sequence);
        matches!(tokio::time::timeout(at_most, reached).await, Ok(Ok(_)))
    }
}

impl LiveLists for Live {
    fn list(&self, name: &str, key: &str, at_most: usize, out: &mut Vec<Scored>) -> bool {
        match name {
            "trending" => self.lists.read().trending.list(key, at_most, out),
            "together" => {
                let most = self.keep.together.as_ref().map_or(0, |pairing| pairing.neighbours);
                self.lists.read().together.list(key, at_most, most, out)
            }
            _ => false,
        }
    }

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
        let lists = self.lists.read();
        let newest =
            |scored: &Scored| (name == "trending").then(|| lists.trending.newest(scored.item)).flatten();
        times.extend(out[before..].iter().map(newest));
        known
    }

    fn at(
        &self,
        name: &str,
        key: &str,
        now_ms: Millis,
        at_most: usize,
        out: &mut Vec<Scored>,
        times: Option<&mut Vec<Option<Millis>>>,
    ) -> bool {
        if name == "fresh" {
            let (lists, before) = (self.lists.read(), out.len());
            let known = lists.fresh.list(key, now_ms, at_most, out);
            if let Some(times) = times {
                times.extend(out[before..].iter().map(|scored| lists.fresh.begins(scored.item)));
            }
            return known;
        }
        match times {
            Some(times) => self.dated(name, key, at_most, out, times),
            None => self.list(name, key, at_most, out),
        }
    }
}
