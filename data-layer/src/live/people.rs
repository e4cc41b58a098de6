//! The store of user state: one trait to read it, and the embedded store behind it. A store elsewhere implements the same trait and
//! passes the same contract suite (`contract.rs`). What changes a state is in `ingest/`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{BoxFuture, FutureExt, ready};
use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

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

/// People of one shard with their states, which change no more.
pub(crate) type Copied = Vec<(Person, Kept)>;

/// What a snapshot has of one shard.
#[derive(Debug, Default)]
enum Spared {
    /// No snapshot is taken, or it has it.
    #[default]
    No,
    /// It is still to be copied.
    Wanted,
    /// It was about to change.
    Held(Copied),
}

/// User state in this process.
#[derive(Debug)]
pub struct EmbeddedPeople {
    shards: Vec<Shard>,
    sparing: AtomicBool,
    spared: Vec<Mutex<Spared>>,
}

impl Default for EmbeddedPeople {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            sparing: AtomicBool::new(false),
            spared: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
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
        let mut people = self.writing(place(hash));
        let entry = people.entry(spread(hash), same(hash, person), |entry| spread(entry.hash));
        let new = || Entry { hash, person: person.clone(), kept: Kept::default() };
        change(&mut entry.or_insert_with(new).into_mut().kept)
    }

    /// As [`EmbeddedPeople::change`], of somebody who is known.
    pub(crate) fn change_known<R>(&self, person: &Person, change: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        let hash = person.hash();
        let mut people = self.writing(place(hash));
        people.find_mut(spread(hash), same(hash, person)).map(|entry| change(&mut entry.kept))
    }

    /// Changes what is known of everybody, one shard after another.
    pub(crate) fn change_all(&self, mut change: impl FnMut(&Person, &mut Kept)) {
        for shard in 0..SHARDS {
            self.writing(shard).iter_mut().for_each(|entry| change(&entry.person, &mut entry.kept));
        }
    }

    /// Drops a person; what was known.
    pub(crate) fn forget(&self, person: &Person) -> Option<Kept> {
        let hash = person.hash();
        let mut people = self.writing(place(hash));
        let found = people.find_entry(spread(hash), same(hash, person)).ok()?;
        Some(found.remove().0.kept)
    }

    /// Puts back somebody of whom nothing is known here.
    pub(crate) fn put(&self, person: Person, kept: Kept) {
        let hash = person.hash();
        let mut people = self.shards[place(hash)].write();
        people.insert_unique(spread(hash), Entry { hash, person, kept }, |entry| spread(entry.hash));
    }

    /// Takes all that another store has in the place of its own; what that was. `keep` moves what is to stay from the state of somebody as it was
    /// into the new one.
    pub(crate) fn replace(&self, other: Self, keep: impl Fn(&mut UserState, UserState)) -> Self {
        for (own, new) in self.shards.iter().zip(&other.shards) {
            let (mut own, mut old) = (own.write(), new.write());
            std::mem::swap(&mut *own, &mut *old);
            for Entry { hash, person, kept } in own.iter_mut() {
                if let Some(old) = old.find_mut(spread(*hash), same(*hash, person)) {
                    let old = std::mem::take(&mut old.kept.state);
                    keep(Arc::make_mut(&mut kept.state), Arc::unwrap_or_clone(old));
                }
            }
        }
        other
    }

    /// From now on each shard stays to be had as it is, until it was taken or [`EmbeddedPeople::spare_no_more`]. Nobody may change
    /// people meanwhile.
    pub(crate) fn spare(&self) {
        self.spared.iter().for_each(|spared| *spared.lock() = Spared::Wanted);
        self.sparing.store(true, Ordering::Release);
    }

    /// A shard as it was at [`EmbeddedPeople::spare`]; `None` behind the last.
    pub(crate) fn take_spared(&self, shard: usize) -> Option<Copied> {
        let people = self.shards.get(shard)?.read();
        Some(match std::mem::take(&mut *self.spared[shard].lock()) {
            Spared::Held(copied) => copied,
            Spared::Wanted => copied(&people),
            Spared::No => Copied::new(),
        })
    }

    /// Keeps nothing for a snapshot any more.
    pub(crate) fn spare_no_more(&self) {
        self.sparing.store(false, Ordering::Release);
        self.spared.iter().for_each(|spared| *spared.lock() = Spared::No);
    }

    /// A shard that is about to change.
    fn writing(&self, shard: usize) -> RwLockWriteGuard<'_, HashTable<Entry>> {
        let people = self.shards[shard].write();
        if self.sparing.load(Ordering::Acquire) {
            let mut spared = self.spared[shard].lock();
            if matches!(*spared, Spared::Wanted) {
                *spared = Spared::Held(copied(&people));
            }
        }
        people
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[place(hash)]
    }
}

fn copied(people: &HashTable<Entry>) -> Copied {
    people.iter().map(|entry| (entry.person.clone(), entry.kept.clone())).collect()
}

/// Which shard somebody is in.
fn place(hash: u64) -> usize {
    hash as usize % SHARDS
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
