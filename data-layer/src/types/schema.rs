//! The versioned types of attributes. Inference and its log record are `ingest/`'s; storage of values is `live/`'s.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::value::ValueType;

/// What happens to an attribute that the schema does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Its type is inferred from the first value and becomes part of the schema.
    #[default]
    Store,
    /// It is dropped.
    Ignore,
    /// The event is rejected.
    Reject,
}

/// Types of the attributes of items and of users, as of one version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schema {
    /// Grows by one with each change.
    pub version: u32,
    /// Attribute name to type, for items.
    pub items: BTreeMap<String, ValueType>,
    /// Attribute name to type, for users.
    pub users: BTreeMap<String, ValueType>,
    /// What to do with other names.
    #[serde(default)]
    pub unknown: Unknown,
    /// Names whose types somebody chose, so that they never widen by themselves; the others were inferred.
    #[serde(default, skip_serializing_if = "Chosen::is_empty")]
    pub chosen: Chosen,
    /// How often names were dropped. What was said of a name before it was dropped the last time no longer counts, whoever says it again.
    #[serde(default, skip_serializing_if = "Dropped::is_empty")]
    pub dropped: Dropped,
}

/// How often names of attributes were dropped; of each owner, at most [`MOST_DROPPED`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Dropped {
    /// Of items.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub items: BTreeMap<String, u32>,
    /// Of users.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, u32>,
}

/// Most names of which it is known how often they were dropped; beyond, the first by name are forgotten.
pub const MOST_DROPPED: usize = 4096;

impl Dropped {
    /// Whether nothing was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.users.is_empty()
    }

    /// Those of one owner's attributes.
    #[must_use]
    pub fn of(&self, owner: Owner) -> &BTreeMap<String, u32> {
        match owner {
            Owner::Item => &self.items,
            Owner::User => &self.users,
        }
    }
}

/// Names of attributes whose types somebody chose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chosen {
    /// Of items.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub items: BTreeSet<String>,
    /// Of users.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<String>,
}

impl Chosen {
    /// Whether nobody chose any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.users.is_empty()
    }

    /// The names of one owner's attributes.
    #[must_use]
    pub fn of(&self, owner: Owner) -> &BTreeSet<String> {
        match owner {
            Owner::Item => &self.items,
            Owner::User => &self.users,
        }
    }
}

/// Whether an attribute belongs to items or to users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// An item's attribute.
    Item,
    /// A user's attribute.
    User,
}

/// Reserved item attributes with their fixed types; they act by themselves.
pub const RESERVED_ITEM: [(&str, ValueType); 5] = [
    ("available_from", ValueType::Int),
    ("available_until", ValueType::Int),
    ("hidden", ValueType::Bool),
    ("created", ValueType::Int),
    ("group", ValueType::String),
];

/// Reserved user attributes with their fixed types.
pub const RESERVED_USER: [(&str, ValueType); 1] = [("personalize", ValueType::Bool)];

impl Schema {
    /// An empty schema, version 0, with the reserved attributes.
    #[must_use]
    pub fn reserved() -> Self {
        let named = |list: &[(&str, ValueType)]| list.iter().map(|(n, t)| ((*n).to_owned(), *t)).collect();
        Self {
            version: 0,
            items: named(&RESERVED_ITEM),
            users: named(&RESERVED_USER),
            unknown: Unknown::Store,
            chosen: Chosen::default(),
            dropped: Dropped::default(),
        }
    }

    /// Counts what the schema that it was made of names, and it does not, as dropped once more.
    pub fn drop_since(&mut self, before: &Self) {
        for owner in [Owner::Item, Owner::User] {
            let mut dropped = before.dropped.of(owner).clone();
            for name in before.of(owner).keys().filter(|name| !self.of(owner).contains_key(*name)) {
                *dropped.entry(name.clone()).or_insert(0) += 1;
            }
            while dropped.len() > MOST_DROPPED {
                dropped.pop_first();
            }
            match owner {
                Owner::Item => self.dropped.items = dropped,
                Owner::User => self.dropped.users = dropped,
            }
        }
    }

    /// The types of one owner's attributes.
    #[must_use]
    pub fn of(&self, owner: Owner) -> &BTreeMap<String, ValueType> {
        match owner {
            Owner::Item => &self.items,
            Owner::User => &self.users,
        }
    }
}
