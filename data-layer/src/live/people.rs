//! The store of user state: one trait to read it, and the embedded store behind it. A store elsewhere implements the same trait and
//! passes the same contract suite (`contract.rs`). What changes a state is in `ingest/`.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};
use hashbrown::HashTable;
use parking_lot::RwLock;

use super::user::UserState;
use crate::Result;
use crate::types::Person;

/// Where user state is read.
pub trait People: Send + Sync {
    /// Reads people, in order of asking; `None` where nothing is known. One pipelined read.
    fn read<'a>(&'a self, who: &'a [Person]) -> BoxFuture<'a, Result<Vec<Option<Arc<UserState>>>>>;
}

/// Shards of the map, so that readers and the writer seldom meet.
const SHARDS: usize = 64;

/// A state and, where something they did can be taken back, the number under which that is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(crate) state: Arc<UserState>,
    pub(crate) number: Option<u32>,
}

/// 48 bytes.
#[derive(Debug)]
struct Entry {
    hash: u64,
    person: Person,
    kept: Kept,
}

/// People by [`Person::hash`], of which the lowest bits chose the shard.
type Shard = RwLock<HashTable<Entry>>;

/// User state in this process.
#[derive(Debug)]
pub struct EmbeddedPeople {
    shards: Vec<Shard>,
}

impl Default for EmbeddedPeople {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl EmbeddedPeople {
    /// The state of one person, without waiting.
    #[must_use]
    pub fn get(&self, person: &Person) -> Option<Arc<UserState>> {
        let hash = person.hash();
        let people = self.shard(hash).read();
        people.find(spread(hash), same(hash, person)).map(|entry| Arc::clone(&entry.kept.state))
    }

    /// How many people are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|s| s.read().len()).sum()
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes what is known of a person, who is known from now on. A state that somebody reads just now is copied first.
    pub(crate) fn change<R>(&self, person: &Person, change: impl FnOnce(&mut Kept) -> R) -> R {
        let hash = person.hash();
        let mut people = self.shard(hash).write();
        let entry = people.entry(spread(hash), same(hash, person), |entry| spread(entry.hash));
        let new = || Entry { hash, person: person.clone(), kept: Kept::default() };
        change(&mut entry.or_insert_with(new).into_mut().kept)
    }

    /// As [`EmbeddedPeople::change`], of somebody who is known.
    pub(crate) fn change_known<R>(&self, person: &Person, change: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        let hash = person.hash();
        let mut people = self.shard(hash).write();
        people.find_mut(spread(hash), same(hash, person)).map(|entry| change(&mut entry.kept))
    }

    /// Changes what is known of everybody, one shard after another.
    pub(crate) fn change_all(&self, mut change: impl FnMut(&Person, &mut Kept)) {
        for shard in &self.shards {
            shard.write().iter_mut().for_each(|entry| change(&entry.person, &mut entry.kept));
        }
    }

    /// Drops a person; what was known.
    pub(crate) fn forget(&self, person: &Person) -> Option<Kept> {
        let hash = person.hash();
        let mut people = self.shard(hash).write();
        let found = people.find_entry(spread(hash), same(hash, person)).ok()?;
        Some(found.remove().0.kept)
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[hash as usize % SHARDS]
    }
}

/// The lowest bits are the same in a whole shard: a table would start looking at few places.
fn spread(hash: u64) -> u64 {
    hash.rotate_right(32)
}

fn same(hash: u64, person: &Person) -> impl Fn(&Entry) -> bool {
    move |entry| entry.hash == hash && entry.person == *person
}

impl People for EmbeddedPeople {
    fn read<'a>(&'a self, who: &'a [Person]) -> BoxFuture<'a, Result<Vec<Option<Arc<UserState>>>>> {
        ready(Ok(who.iter().map(|person| self.get(person)).collect())).boxed()
    }
}
