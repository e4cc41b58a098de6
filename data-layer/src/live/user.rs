//! What is known of one person: attributes, recent actions, what they met and saw, counters. Plain data and its laws; where it
//! is kept is `people.rs`'s.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::counters::Counters;
use super::merge::{Stamp, value_order};
use crate::config::ActionId;
use crate::types::{Millis, Ordinal, Value};

/// Recent actions that are kept of one person.
pub const MOST_ACTIONS: usize = 500;
/// Recently seen items that are kept of one person.
pub const MOST_SEEN: usize = 1000;

/// One thing a person did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Acted {
    /// With which item.
    pub item: Ordinal,
    /// What.
    pub action: ActionId,
    /// Its value.
    pub value: f32,
    /// When.
    pub time: Millis,
    /// Key of the event, by which it can be taken back.
    pub key: u64,
}

/// One item that a person saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Which item.
    pub item: Ordinal,
    /// When.
    pub time: Millis,
}

/// What a person's positive actions on one item come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// How many there were.
    pub count: u32,
    /// Time of the newest.
    pub last: Millis,
}

/// One attribute of a person; without a value after a clear.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The value that stands.
    pub value: Option<Value>,
    /// When and by whom it was said.
    pub stamp: Stamp,
}

/// Everything known of one person.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserState {
    /// What they did, newest first, at most [`MOST_ACTIONS`].
    pub actions: Vec<Acted>,
    /// What they saw, newest first, at most [`MOST_SEEN`].
    pub seen: Vec<Shown>,
    /// Items they acted on with positive weight, ever.
    pub met: FxHashMap<Ordinal, Met>,
    /// Exact counts of what they did.
    pub counters: Counters,
    /// What was said about them.
    pub attributes: BTreeMap<String, Field>,
}

impl UserState {
    /// Whether this person wants personal answers; `true` unless the attribute `personalize` says no.
    #[must_use]
    pub fn personalize(&self) -> bool {
        !matches!(self.attribute("personalize"), Some(Value::Bool(false)))
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.attributes.get(name)?.value.as_ref()
    }

    /// Whether they acted on an item with positive weight at or after `since` (`Millis::MIN`: ever).
    #[must_use]
    pub fn has_met(&self, item: Ordinal, since: Millis) -> bool {
        self.met.get(&item).is_some_and(|m| m.last >= since)
    }

    /// Merges an attribute (a value or a clear).
    pub fn set(&mut self, name: &str, field: &Field) {
        let wins = self.attributes.get(name).is_none_or(|old| {
            let order = old.stamp.order(&field.stamp);
            order.then_with(|| value_order(old.value.as_ref(), field.value.as_ref())).is_lt()
        });
        if wins {
            self.attributes.insert(name.to_owned(), field.clone());
        }
    }

    /// Adds an action to the recent ones and, where its weight is positive, to what they met.
    pub fn act(&mut self, acted: Acted, positive: bool) {
        let at = self.actions.partition_point(|a| (a.time, a.key) > (acted.time, acted.key));
        if at < MOST_ACTIONS {
            self.actions.insert(at, acted);
            self.actions.truncate(MOST_ACTIONS);
        }
        if positive {
            let met = self.met.entry(acted.item).or_insert(Met { count: 0, last: acted.time });
            met.count += 1;
            met.last = met.last.max(acted.time);
        }
    }

    /// Takes an action back. The time of the newest positive action on the item is then that of the newest one among the
    /// recent; where that has gone too, it stays.
    pub fn undo(&mut self, acted: Acted, positive: bool, is_positive: impl Fn(&Acted) -> bool) {
        self.actions.retain(|a| a.key != acted.key);
        if !positive {
            return;
        }
        let Some(met) = self.met.get_mut(&acted.item) else { return };
        met.count = met.count.saturating_sub(1);
        if met.count == 0 {
            self.met.remove(&acted.item);
            return;
        }
        let newest = self.actions.iter().find(|a| a.item == acted.item && is_positive(a));
        if let Some(newest) = newest {
            met.last = newest.time;
        }
    }

    /// Adds an impression.
    pub fn saw(&mut self, shown: Shown) {
        let at = self.seen.partition_point(|s| (s.time, s.item) > (shown.time, shown.item));
        if at < MOST_SEEN {
            self.seen.insert(at, shown);
            self.seen.truncate(MOST_SEEN);
        }
    }

    /// Merges all of another state in, as if its events had been this person's.
    pub fn merge(&mut self, other: &Self) {
        for (name, field) in &other.attributes {
            self.set(name, field);
        }
        for acted in &other.actions {
            self.act(*acted, false);
        }
        for shown in &other.seen {
            self.saw(*shown);
        }
        for (item, theirs) in &other.met {
            let met = self.met.entry(*item).or_insert(Met { count: 0, last: theirs.last });
            met.count += theirs.count;
            met.last = met.last.max(theirs.last);
        }
        self.counters.merge(&other.counters);
    }
}
