//! What an event does to the live store: one consumer per file, one line each in [`ALL`]. Consumers are pure functions of the
//! change and the stores; none looks at a clock, so that replay equals the first run.

mod counters;
mod items;
mod recent;
mod trending;
mod users;

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::config::Actions;
use crate::live::{Deed, Effect, ItemTable, Trending, UserState};
use crate::types::{Interaction, ItemEvent, Millis, Ordinal, Person, UserEvent};

/// One event, with names resolved to what the stores know.
#[derive(Debug)]
pub enum Change<'a> {
    /// Attributes or deletion of an item.
    Item(&'a ItemEvent),
    /// Attributes of a user.
    User(&'a UserEvent),
    /// An interaction; `person` is absent where nothing of them may be learnt.
    Did {
        /// What.
        deed: &'a Deed,
        /// Whose state learns it.
        person: Option<&'a Person>,
    },
    /// An interaction is taken back; `person` is absent where it was not learnt, or they were erased.
    Undone {
        /// What.
        deed: &'a Deed,
        /// Whose state learnt it.
        person: Option<&'a Person>,
    },
    /// Items were seen.
    Saw {
        /// Which.
        items: &'a [Ordinal],
        /// Whose state learns it.
        person: Option<&'a Person>,
        /// When.
        time: Millis,
    },
    /// An anonymous person is a user.
    Identified {
        /// The anonymous one.
        from: &'a Person,
        /// The user.
        into: &'a Person,
        /// State of the anonymous one, where there is any and the user wants it learnt.
        state: Option<Arc<UserState>>,
    },
    /// A person is to be forgotten.
    Erased(&'a Person),
}

/// What consumers write to.
#[derive(Debug)]
pub struct Stores<'a> {
    /// Items.
    pub items: &'a mut ItemTable,
    /// The live list of what is done most just now.
    pub trending: &'a mut Trending,
    /// Changes of people, committed together after all consumers ran.
    pub effects: &'a mut Vec<(Person, Effect)>,
    /// Actions and their weights.
    pub actions: &'a Actions,
}

/// One consumer.
pub type Consumer = fn(&Change<'_>, &mut Stores<'_>);

/// Every consumer, by name, in the order in which they run.
pub const ALL: [(&str, Consumer); 5] = [
    ("items", items::consume),
    ("users", users::consume),
    ("recent", recent::consume),
    ("counters", counters::consume),
    ("trending", trending::consume),
];

/// Lets every consumer see a change.
pub fn run(change: &Change<'_>, stores: &mut Stores<'_>) {
    for (_, consume) in ALL {
        consume(change, stores);
    }
}

/// Key of an interaction among a person's: of its id, else of its content.
#[must_use]
pub fn key(event: &Interaction) -> u64 {
    let mut hash = Xxh3::new();
    if let Some(id) = &event.id {
        hash.update(b"id\0");
        hash.update(id.as_str().as_bytes());
        return hash.digest();
    }
    for part in [event.item.as_str().as_bytes(), event.action.as_bytes()] {
        hash.update(part);
        hash.update(b"\0");
    }
    hash.update(&event.value.to_le_bytes());
    hash.update(&event.time.to_le_bytes());
    hash.digest()
}
