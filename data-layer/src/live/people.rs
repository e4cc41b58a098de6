//! The store of user state: one trait, and the embedded store behind it. A store elsewhere implements the same trait and
//! passes the same contract suite (`contract.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{BoxFuture, FutureExt, ready};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::user::{Acted, Field, Shown, UserState};
use crate::config::{ActionId, Actions};
use crate::types::{Millis, PARTITIONS, Partition, Person};
use crate::{Error, Result};

/// One change of one person's state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// An attribute is said or cleared.
    Set {
        /// Its name.
        name: String,
        /// What was said.
        field: Field,
    },
    /// An action enters the recent ones.
    Act(Acted),
    /// An action is taken back from the recent ones.
    Undo(Acted),
    /// An action is counted.
    Count {
        /// Which action.
        action: ActionId,
        /// Its value.
        value: f64,
        /// When.
        time: Millis,
    },
    /// A counted action is taken back.
    Uncount {
        /// Which action.
        action: ActionId,
        /// Its value.
        value: f64,
        /// When.
        time: Millis,
    },
    /// Items were seen.
    See(Vec<Shown>),
    /// Another state is merged in.
    Merge(Arc<UserState>),
    /// The person is dropped.
    Forget,
}

/// Effects on the people of one partition, with the position they bring it to.
#[derive(Debug, Clone, PartialEq)]
pub struct PeopleBatch {
    /// Which partition.
    pub partition: Partition,
    /// Position that the partition must have; another one refuses the batch.
    pub expected: u64,
    /// Position afterwards; greater than `expected`.
    pub next: u64,
    /// Effects, in order.
    pub effects: Vec<(Person, Effect)>,
}

/// Store of user state.
pub trait People: Send + Sync {
    /// Reads people, in order of asking; `None` where nothing is known. One pipelined read.
    fn read<'a>(&'a self, who: &'a [Person]) -> BoxFuture<'a, Result<Vec<Option<Arc<UserState>>>>>;

    /// Applies a batch and moves the partition's position, both or neither.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the position is not the expected one.
    fn commit(&self, batch: PeopleBatch) -> Result<()>;

    /// Sequence of the last record whose effects on a partition are in.
    fn position(&self, partition: Partition) -> u64;
}

/// Shards of the map, so that readers and the writer seldom meet.
const SHARDS: usize = 64;

type Shard = RwLock<FxHashMap<Person, Arc<UserState>>>;

/// User state in this process.
#[derive(Debug)]
pub struct EmbeddedPeople {
    actions: Arc<Actions>,
    shards: Vec<Shard>,
    positions: Vec<AtomicU64>,
}

impl EmbeddedPeople {
    /// An empty store; the weights say which actions are positive.
    #[must_use]
    pub fn new(actions: Arc<Actions>) -> Self {
        Self {
            actions,
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            positions: (0..PARTITIONS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The state of one person, without waiting.
    #[must_use]
    pub fn get(&self, person: &Person) -> Option<Arc<UserState>> {
        self.shard(person.partition()).read().get(person).cloned()
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

    fn shard(&self, partition: Partition) -> &Shard {
        &self.shards[usize::from(partition) % SHARDS]
    }

    fn is_positive(&self, acted: &Acted) -> bool {
        self.actions.weight(acted.action, f64::from(acted.value)) > 0.0
    }

    fn apply(&self, state: &mut UserState, effect: Effect) {
        match effect {
            Effect::Set { name, field } => state.set(&name, &field),
            Effect::Act(acted) => state.act(acted, self.is_positive(&acted)),
            Effect::Undo(acted) => state.undo(acted, self.is_positive(&acted), |a| self.is_positive(a)),
            Effect::Count { action, value, time } => state.counters.add(action, value, time),
            Effect::Uncount { action, value, time } => state.counters.undo(action, value, time),
            Effect::See(items) => items.into_iter().for_each(|shown| state.saw(shown)),
            Effect::Merge(other) => state.merge(&other),
            Effect::Forget => *state = UserState::default(),
        }
    }
}

impl People for EmbeddedPeople {
    fn read<'a>(&'a self, who: &'a [Person]) -> BoxFuture<'a, Result<Vec<Option<Arc<UserState>>>>> {
        ready(Ok(who.iter().map(|person| self.get(person)).collect())).boxed()
    }

    fn commit(&self, batch: PeopleBatch) -> Result<()> {
        let position = &self.positions[usize::from(batch.partition % PARTITIONS)];
        let mut people = self.shard(batch.partition).write();
        let found = position.load(Ordering::Acquire);
        if found != batch.expected || batch.next <= batch.expected {
            let detail = format!("expected position {}, found {found}, next {}", batch.expected, batch.next);
            return Err(Error::invalid(format!("partition {}", batch.partition), detail));
        }
        if let Some((stray, _)) = batch.effects.iter().find(|(p, _)| p.partition() != batch.partition) {
            let detail = format!("expected its own people, found one of partition {}", stray.partition());
            return Err(Error::invalid(format!("partition {}", batch.partition), detail));
        }
        for (person, effect) in batch.effects {
            if effect == Effect::Forget {
                people.remove(&person);
                continue;
            }
            let state = people.entry(person).or_default();
            self.apply(Arc::make_mut(state), effect);
        }
        position.store(batch.next, Ordering::Release);
        Ok(())
    }

    fn position(&self, partition: Partition) -> u64 {
        self.positions.get(usize::from(partition)).map_or(0, |p| p.load(Ordering::Acquire))
    }
}
