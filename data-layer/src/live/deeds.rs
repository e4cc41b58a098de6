//! What interactions with an id did, so that a retraction can undo it whenever it comes, and a repeated id acts once. A bounded
//! directory, in order of arrival: 48 bytes for an id and about 8 for finding it; beyond the bound the oldest is forgotten. Not for
//! repeats within the dedupe window, which never get here.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128;

use crate::config::ActionId;
use crate::types::{Id, Millis, Ordinal, Person};

/// What one interaction did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deed {
    /// With which item.
    pub item: Ordinal,
    /// What; `None` where the action is no longer configured, and nothing was counted.
    pub action: Option<ActionId>,
    /// Offset of the person's calendar from UTC at that time, in quarters of an hour; [`NO_DAY`](super::levels::NO_DAY) where it earns nothing.
    pub offset: i8,
    /// Its value.
    pub value: f64,
    /// When.
    pub time: Millis,
    /// Key of the event.
    pub key: u64,
}

/// What a retraction finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Found {
    /// It was done, and nobody took it back; the number says whose state learnt it.
    Done(Deed, Option<u32>),
    /// It was taken back before, or before it came.
    Retracted,
    /// It never came, or is forgotten.
    Unknown,
}

/// 48 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Hash of the id; the lower half is the key of the event.
    pub(super) key: [u64; 2],
    pub(super) value: f64,
    pub(super) time: Millis,
    pub(super) item: Ordinal,
    pub(super) owner: u32,
    pub(super) action: u8,
    pub(super) offset: i8,
    pub(super) state: u8,
}

impl Entry {
    fn deed(&self) -> Deed {
        Deed {
            item: self.item,
            action: (self.action != NO_ACTION).then_some(ActionId(self.action)),
            offset: self.offset,
            value: self.value,
            time: self.time,
            key: self.key[0],
        }
    }
}

/// Nobody's state learnt it.
const NOBODY: u32 = u32::MAX;
/// No action that is configured: there are at most 255.
pub(super) const NO_ACTION: u8 = u8::MAX;

const DONE: u8 = 0;
const RETRACTED: u8 = 1;

/// Tables beside each other, so that growing one is quick.
const TABLES: usize = 64;
/// Entries that are made room for at once.
pub(super) const BLOCK: usize = 4096;

#[derive(Debug, Clone)]
pub(super) enum Owner {
    Person(Person),
    /// The state was merged into that of another number.
    Merged(u32),
    Erased,
}

/// Entries in blocks, oldest first, each full but the last; who looks at them while they change has them as they were.
pub(super) type Blocks = VecDeque<Arc<Vec<Entry>>>;
/// Owners by number, in blocks as well.
pub(super) type Owners = Vec<Arc<Vec<Owner>>>;

/// Deeds by id of the interaction, and who people are now.
#[derive(Debug)]
pub struct Deeds {
    most: usize,
    pub(super) blocks: Blocks,
    /// Number of the first entry of the first block, counted from the beginning, round 2³².
    pub(super) first: u32,
    /// Numbers of entries, by the hash of their id.
    tables: Vec<HashTable<u32>>,
    pub(super) owners: Owners,
}

/// The key under which an interaction's id is known; its lower half is the key of the event.
#[must_use]
pub fn id_key(id: &Id) -> [u64; 2] {
    let hash = xxh3_128(id.as_str().as_bytes());
    [hash as u64, (hash >> 64) as u64]
}

impl Deeds {
    /// An empty directory of at most so many ids; whole blocks of 4,096 are forgotten at once.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let tables = (0..TABLES).map(|_| HashTable::new()).collect();
        let most = most.clamp(BLOCK, u32::MAX as usize / 2);
        Self { most, blocks: VecDeque::new(), first: 0, tables, owners: Vec::new() }
    }

    /// A number for a person.
    pub fn number(&mut self, person: &Person) -> u32 {
        if self.owners.last().is_none_or(|block| block.len() == BLOCK) {
            self.owners.push(Arc::new(Vec::with_capacity(BLOCK)));
        }
        let before = (self.owners.len() - 1) * BLOCK;
        let Some(block) = self.owners.last_mut().map(Arc::make_mut) else { return NOBODY };
        block.push(Owner::Person(person.clone()));
        (before + block.len() - 1) as u32
    }

    /// Whose state now holds what this number did; `None` after an erasure.
    #[must_use]
    pub fn owner(&self, number: u32) -> Option<&Person> {
        match self.owners.get(number as usize / BLOCK)?.get(number as usize % BLOCK)? {
            Owner::Person(person) => Some(person),
            // Only anonymous numbers are merged, and only into a user's, so this ends after one step.
            Owner::Merged(into) => self.owner(*into),
            Owner::Erased => None,
        }
    }

    /// From now on what one number did is another's.
    pub fn merge(&mut self, from: u32, into: u32) {
        self.settle(from, Owner::Merged(into));
    }

    /// What a number did has no owner any more; later events under the id are a new person's.
    pub fn erase(&mut self, number: u32) {
        self.settle(number, Owner::Erased);
    }

    fn settle(&mut self, number: u32, owner: Owner) {
        let block = self.owners.get_mut(number as usize / BLOCK).map(Arc::make_mut);
        if let Some(old) = block.and_then(|block| block.get_mut(number as usize % BLOCK)) {
            *old = owner;
        }
    }

    /// Whether an interaction with this key came, or was taken back, before.
    #[must_use]
    pub fn knows(&self, key: [u64; 2]) -> bool {
        self.find(key).is_some()
    }

    /// Remembers what an interaction with a new key did, and whose state learnt it.
    pub fn remember(&mut self, key: [u64; 2], deed: &Deed, owner: Option<u32>) {
        self.push(Entry {
            key,
            value: deed.value,
            time: deed.time,
            item: deed.item,
            owner: owner.unwrap_or(NOBODY),
            action: deed.action.map_or(NO_ACTION, |a| a.0),
            offset: deed.offset,
            state: DONE,
        });
    }

    /// Takes an interaction back; what it did, if it came and was not taken back before.
    pub fn retract(&mut self, key: [u64; 2]) -> Found {
        let Some(number) = self.find(key) else {
            self.push(Entry {
                key,
                value: 0.0,
                time: 0,
                item: 0,
                owner: NOBODY,
                action: NO_ACTION,
                offset: 0,
                state: RETRACTED,
            });
            return Found::Unknown;
        };
        let Some(entry) = self.entry_mut(number) else { return Found::Unknown };
        if entry.state == RETRACTED {
            return Found::Retracted;
        }
        entry.state = RETRACTED;
        Found::Done(entry.deed(), (entry.owner != NOBODY).then_some(entry.owner))
    }

    /// Every id that is known, oldest first: its key; what was done, where nobody took it back; whose state learnt it.
    pub fn each(&self) -> impl Iterator<Item = ([u64; 2], Option<Deed>, Option<u32>)> + '_ {
        self.blocks.iter().flat_map(|block| block.iter()).map(|entry| {
            let done = (entry.state == DONE).then(|| entry.deed());
            (entry.key, done, (entry.owner != NOBODY).then_some(entry.owner))
        })
    }

    /// How many numbers were given to people.
    #[must_use]
    pub fn numbers(&self) -> usize {
        self.owners.iter().map(|block| block.len()).sum()
    }

    /// The number into whose state that of another was merged.
    #[must_use]
    pub fn merged_into(&self, number: u32) -> Option<u32> {
        match self.owners.get(number as usize / BLOCK)?.get(number as usize % BLOCK)? {
            Owner::Merged(into) => Some(*into),
            _ => None,
        }
    }

    /// How many ids are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blocks.iter().map(|block| block.len()).sum()
    }

    /// Whether no id is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn find(&self, key: [u64; 2]) -> Option<u32> {
        let same = |number: &u32| self.entry(*number).is_some_and(|entry| entry.key == key);
        self.tables[table(key)].find(key[0], same).copied()
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        let at = number.wrapping_sub(self.first) as usize;
        self.blocks.get(at / BLOCK)?.get(at % BLOCK)
    }

    fn entry_mut(&mut self, number: u32) -> Option<&mut Entry> {
        let at = number.wrapping_sub(self.first) as usize;
        Arc::make_mut(self.blocks.get_mut(at / BLOCK)?).get_mut(at % BLOCK)
    }

    fn push(&mut self, entry: Entry) {
        if self.blocks.back().is_none_or(|block| block.len() == BLOCK) {
            if self.blocks.len() * BLOCK >= self.most {
                self.forget_oldest();
            }
            self.blocks.push_back(Arc::new(Vec::with_capacity(BLOCK)));
        }
        let before = (self.blocks.len() - 1) * BLOCK;
        let Some(block) = self.blocks.back_mut().map(Arc::make_mut) else { return };
        let number = self.first.wrapping_add((before + block.len()) as u32);
        block.push(entry);
        let (blocks, first) = (&self.blocks, self.first);
        let hash = |number: &u32| {
            let at = number.wrapping_sub(first) as usize;
            blocks.get(at / BLOCK).and_then(|block| block.get(at % BLOCK)).map_or(0, |entry| entry.key[0])
        };
        self.tables[table(entry.key)].insert_unique(entry.key[0], number, hash);
    }

    /// Puts together what a snapshot took apart: whole blocks but the last; beyond `most` the oldest are forgotten.
    pub(super) fn of(most: usize, blocks: Blocks, first: u32, owners: Owners) -> Self {
        let mut deeds = Self { blocks, first, owners, ..Self::new(most) };
        let mut counts = [0usize; TABLES];
        let keys = deeds.blocks.iter().flat_map(|block| block.iter()).map(|entry| entry.key);
        keys.for_each(|key| counts[table(key)] += 1);
        let (blocks, first) = (&deeds.blocks, deeds.first);
        let of_thread = |from: usize, tables: &mut [HashTable<u32>]| {
            for (own, count) in tables.iter_mut().zip(&counts[from..]) {
                // Room for all, so that none is moved.
                own.reserve(*count, |_| 0);
            }
            let entries = blocks.iter().flat_map(|block| block.iter());
            for (at, entry) in entries.enumerate() {
                if let Some(own) = table(entry.key).checked_sub(from).and_then(|at| tables.get_mut(at)) {
                    own.insert_unique(entry.key[0], first.wrapping_add(at as u32), |_| 0);
                }
            }
        };
        std::thread::scope(|scope| {
            let (one, two) = deeds.tables.split_at_mut(TABLES / 2);
            scope.spawn(|| of_thread(TABLES / 2, two));
            of_thread(0, one);
        });
        while deeds.blocks.len() * BLOCK > deeds.most.next_multiple_of(BLOCK) {
            deeds.forget_oldest();
        }
        deeds
    }

    fn forget_oldest(&mut self) {
        let Some(block) = self.blocks.front() else { return };
        for (at, entry) in block.iter().enumerate() {
            let number = self.first.wrapping_add(at as u32);
            if let Ok(found) = self.tables[table(entry.key)].find_entry(entry.key[0], |at| *at == number) {
                found.remove();
            }
        }
        self.blocks.pop_front();
        self.first = self.first.wrapping_add(BLOCK as u32);
    }
}

fn table(key: [u64; 2]) -> usize {
    key[1] as usize % TABLES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> [u64; 2] {
        id_key(&Id::new(&format!("e{n}")).unwrap())
    }

    fn deed(n: u64) -> Deed {
        Deed {
            item: n as u32,
            action: Some(ActionId(1)),
            offset: -3,
            value: n as f64,
            time: n as i64,
            key: key(n)[0],
        }
    }

    #[test]
    fn an_entry_is_48_bytes() {
        assert_eq!(size_of::<Entry>(), 48);
    }

    #[test]
    fn a_deed_is_found_once_and_the_oldest_are_forgotten() {
        let mut deeds = Deeds::new(3 * BLOCK);
        // Numbers wrap round in the middle of this.
        deeds.first = u32::MAX - 2 * BLOCK as u32 + 1;
        let many = 8 * BLOCK as u64 + 7;
        for n in 0..many {
            assert!(!deeds.knows(key(n)));
            deeds.remember(key(n), &deed(n), Some(n as u32));
            assert!(deeds.len() <= 3 * BLOCK);
        }
        let tables: usize = deeds.tables.iter().map(HashTable::len).sum();
        assert_eq!(tables, deeds.len());
        let known = many - deeds.len() as u64;
        assert!(deeds.len() > 2 * BLOCK && (known..many).all(|n| deeds.knows(key(n))));
        assert!((0..known).all(|n| !deeds.knows(key(n))));
        assert_eq!(deeds.retract(key(many - 1)), Found::Done(deed(many - 1), Some((many - 1) as u32)));
        assert_eq!(deeds.retract(key(many - 1)), Found::Retracted);
        assert_eq!((deeds.retract(key(many)), deeds.retract(key(many))), (Found::Unknown, Found::Retracted));
    }

    #[test]
    fn what_was_done_follows_who_did_it() {
        let mut deeds = Deeds::new(10);
        let [guest, user] = ["g", "u"].map(|id| deeds.number(&Person::user(Id::new(id).unwrap())));
        deeds.merge(guest, user);
        assert_eq!(deeds.owner(guest).map(|p| p.id.as_str()), Some("u"));
        deeds.erase(user);
        assert_eq!((deeds.owner(guest), deeds.owner(user), deeds.owner(9)), (None, None, None));
    }
}
