//! The store of user state: one trait to read it, and the embedded store behind it. A store elsewhere implements the same trait and
//! passes the same contract suite (`contract.rs`). What changes a state is in `ingest/`.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::user::UserState;
use crate::Result;
use crate::types::{Partition, Person};

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

type Shard = RwLock<FxHashMap<Person, Kept>>;

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
        self.shard(person.partition()).read().get(person).map(|kept| Arc::clone(&kept.state))
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
        let mut people = self.shard(person.partition()).write();
        match people.get_mut(person) {
            Some(kept) => change(kept),
            None => change(people.entry(person.clone()).or_default()),
        }
    }

    /// As [`EmbeddedPeople::change`], of somebody who is known.
    pub(crate) fn change_known<R>(&self, person: &Person, change: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        self.shard(person.partition()).write().get_mut(person).map(change)
    }

    /// Changes what is known of everybody, one shard after another.
    pub(crate) fn change_all(&self, change: impl Fn(&mut Kept)) {
        self.shards.iter().for_each(|shard| shard.write().values_mut().for_each(&change));
    }

    /// Drops a person; what was known.
    pub(crate) fn forget(&self, person: &Person) -> Option<Kept> {
        self.shard(person.partition()).write().remove(person)
    }

    fn shard(&self, partition: Partition) -> &Shard {
        &self.shards[usize::from(partition) % SHARDS]
    }
}

impl People for EmbeddedPeople {
    fn read<'a>(&'a self, who: &'a [Person]) -> BoxFuture<'a, Result<Vec<Option<Arc<UserState>>>>> {
        ready(Ok(who.iter().map(|person| self.get(person)).collect())).boxed()
    }
}
