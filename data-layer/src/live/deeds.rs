//! What interactions with an id did, so that a retraction can undo it whenever it comes, and a repeated id acts once. Held in
//! memory for every id in the log: about 100 bytes each.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_128;

use crate::config::ActionId;
use crate::types::{Id, Millis, Ordinal, Person};

/// What one interaction did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deed {
    /// Who did it, and whether it entered their state; the number is [`Deeds`]' own.
    pub learnt_by: Option<u32>,
    /// With which item.
    pub item: Ordinal,
    /// What; `None` where the action is no longer configured, and nothing was counted.
    pub action: Option<ActionId>,
    /// Its value.
    pub value: f64,
    /// When.
    pub time: Millis,
    /// Key of the event.
    pub key: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Done(Deed),
    /// Taken back, or taken back before it came.
    Retracted,
}

#[derive(Debug, Clone)]
enum Owner {
    Person(Arc<Person>),
    /// The state was merged into that of another number.
    Merged(u32),
    Erased,
}

/// Deeds by id of the interaction, and who people are now.
#[derive(Debug, Default)]
pub struct Deeds {
    by_id: FxHashMap<u128, State>,
    numbers: FxHashMap<Arc<Person>, u32>,
    owners: Vec<Owner>,
}

/// The key under which an interaction's id is known.
#[must_use]
pub fn id_key(id: &Id) -> u128 {
    xxh3_128(id.as_str().as_bytes())
}

impl Deeds {
    /// The number of a person, as long as they are not merged or erased.
    pub fn number(&mut self, person: &Person) -> u32 {
        if let Some(known) = self.numbers.get(person) {
            return *known;
        }
        let (number, shared) = (self.owners.len() as u32, Arc::new(person.clone()));
        self.owners.push(Owner::Person(Arc::clone(&shared)));
        self.numbers.insert(shared, number);
        number
    }

    /// Whose state now holds what this number did; `None` after an erasure.
    #[must_use]
    pub fn owner(&self, number: u32) -> Option<&Person> {
        match self.owners.get(number as usize)? {
            Owner::Person(person) => Some(person),
            // Only anonymous numbers are merged, and only into a user's, so this ends after one step.
            Owner::Merged(into) => self.owner(*into),
            Owner::Erased => None,
        }
    }

    /// From now on what `from` did is `into`'s; `from` starts anew.
    pub fn merge(&mut self, from: &Person, into: &Person) {
        let Some(old) = self.numbers.remove(from) else { return };
        self.owners[old as usize] = Owner::Merged(self.number(into));
    }

    /// What a person did has no owner any more; later events under the id are a new person's.
    pub fn erase(&mut self, person: &Person) {
        if let Some(old) = self.numbers.remove(person) {
            self.owners[old as usize] = Owner::Erased;
        }
    }

    /// Whether an interaction with this id came, or was taken back, before.
    #[must_use]
    pub fn knows(&self, id: &Id) -> bool {
        self.by_id.contains_key(&id_key(id))
    }

    /// Remembers what an interaction with an id did.
    pub fn remember(&mut self, id: &Id, deed: Deed) {
        self.by_id.insert(id_key(id), State::Done(deed));
    }

    /// Takes an interaction back; what it did, if it came and was not taken back before.
    pub fn retract(&mut self, id: &Id) -> Option<Deed> {
        match self.by_id.insert(id_key(id), State::Retracted) {
            Some(State::Done(deed)) => Some(deed),
            _ => None,
        }
    }
}
