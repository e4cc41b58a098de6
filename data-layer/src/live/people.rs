//! The store of user state: one trait to read it, and the embedded store behind it. A store elsewhere implements the same trait and
//! passes the same contract suite (`contract.rs`). What changes a state is in `ingest/`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::{BoxFuture, FutureExt, ready};
use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use rustc_hash::FxHashMap;

use super::user::UserState;
use crate::Result;
use crate::types::Person;

/// Where user state is read.
pub trait People: Send + Sync {
    /// Reads people, in order of asking; `None` where nothing is known. One pipelined read.
    fn read<'a>(&'a self, who: &'a [Person]) -> BoxFuture<'a, Result<Vec<Option<Arc<UserState>>>>>;
}

/// Shards of the map, so that readers and the writer seldom meet, and copying who is in one is soon done: 10,000 of 10,000,000 people.
const SHARDS: usize = 1024;

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

/// What a snapshot has of one shard: `None` where none is taken, or it has all of it; else who was about to change, as they were. `None` of
/// whom it has, and of who was not known.
type Spared = Option<FxHashMap<Person, Option<Kept>>>;

/// User state in this process.
#[derive(Debug)]
pub struct EmbeddedPeople {
    shards: Vec<Shard>,
    sparing: AtomicBool,
    spared: Vec<Mutex<Spared>>,
    /// How many people are held for a snapshot.
    held: AtomicUsize,
}

impl Default for EmbeddedPeople {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            sparing: AtomicBool::new(false),
            spared: (0..SHARDS).map(|_| Mutex::default()).collect(),
            held: AtomicUsize::new(0),
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
        let mut people = self.writing(hash, person);
        let entry = people.entry(spread(hash), same(hash, person), |entry| spread(entry.hash));
        let new = || Entry { hash, person: person.clone(), kept: Kept::default() };
        change(&mut entry.or_insert_with(new).into_mut().kept)
    }

    /// As [`EmbeddedPeople::change`], of somebody who is known.
    pub(crate) fn change_known<R>(&self, person: &Person, change: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        let hash = person.hash();
        let mut people = self.writing(hash, person);
        people.find_mut(spread(hash), same(hash, person)).map(|entry| change(&mut entry.kept))
    }

    /// Changes what is known of everybody, one shard after another.
    pub(crate) fn change_all(&self, mut change: impl FnMut(&Person, &mut Kept)) {
        for (at, shard) in self.shards.iter().enumerate() {
            let mut people = shard.write();
            if self.sparing.load(Ordering::Acquire) {
                people.iter().for_each(|entry| self.hold(at, &entry.person, Some(&entry.kept)));
            }
            people.iter_mut().for_each(|entry| change(&entry.person, &mut entry.kept));
        }
    }

    /// Drops a person; what was known.
    pub(crate) fn forget(&self, person: &Person) -> Option<Kept> {
        let hash = person.hash();
        let mut people = self.writing(hash, person);
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

    /// From now on everybody stays to be had as they are, until they were taken or [`EmbeddedPeople::spare_no_more`]. Nobody may change
    /// people meanwhile.
    pub(crate) fn spare(&self) {
        self.spared.iter().for_each(|spared| *spared.lock() = Some(FxHashMap::default()));
        self.sparing.store(true, Ordering::Release);
    }

    /// How many people have changed since, and are held as they were.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Those of a shard who are held, and no longer are; `None` behind the last shard.
    pub(crate) fn take_held(&self, shard: usize) -> Option<Copied> {
        let mut spared = self.spared.get(shard)?.lock();
        let held = spared.iter_mut().flatten();
        let copied: Copied =
            held.filter_map(|(person, kept)| kept.take().map(|kept| (person.clone(), kept))).collect();
        self.held.fetch_sub(copied.len(), Ordering::AcqRel);
        Some(copied)
    }

    /// Those of a shard who were not taken before, as they were at [`EmbeddedPeople::spare`]; `None` behind the last.
    pub(crate) fn take_spared(&self, shard: usize) -> Option<Copied> {
        let people = self.shards.get(shard)?.read();
        let Some(known) = self.spared[shard].lock().take() else { return Some(Copied::new()) };
        let mut copied = Copied::with_capacity(people.len());
        let unchanged = people.iter().filter(|entry| !known.contains_key(&entry.person));
        copied.extend(unchanged.map(|entry| (entry.person.clone(), entry.kept.clone())));
        drop(people);
        let before = copied.len();
        copied.extend(known.into_iter().filter_map(|(person, kept)| Some((person, kept?))));
        self.held.fetch_sub(copied.len() - before, Ordering::AcqRel);
        Some(copied)
    }

    /// Keeps nothing for a snapshot any more.
    pub(crate) fn spare_no_more(&self) {
        self.sparing.store(false, Ordering::Release);
        self.spared.iter().for_each(|spared| *spared.lock() = None);
        self.held.store(0, Ordering::Release);
    }

    /// The shard of somebody who is about to change.
    fn writing(&self, hash: u64, person: &Person) -> RwLockWriteGuard<'_, HashTable<Entry>> {
        let people = self.shard(hash).write();
        if self.sparing.load(Ordering::Acquire) {
            let known = people.find(spread(hash), same(hash, person));
            self.hold(place(hash), person, known.map(|entry| &entry.kept));
        }
        people
    }

    /// Holds somebody for a snapshot, who is as they were or not known. Called under the write lock of the shard.
    fn hold(&self, shard: usize, person: &Person, kept: Option<&Kept>) {
        if let Some(spared) = &mut *self.spared[shard].lock()
            && !spared.contains_key(person)
        {
            spared.insert(person.clone(), kept.cloned());
            self.held.fetch_add(kept.iter().count(), Ordering::AcqRel);
        }
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[place(hash)]
    }
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
