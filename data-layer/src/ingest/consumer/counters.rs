//! Exact counters of items and of people, and the rows that follow from them.

use super::{Around, Change, Consumer, Effect, Stores};
use crate::config::Part;
use crate::live::UserState;

/// Counts interactions, and takes them back.
pub struct Counters;

impl Consumer for Counters {
    fn part(&self) -> Part {
        Part::Counters
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_person(&self, change: &Change<'_>, state: &mut UserState, _: &Around<'_>, _: &mut Vec<Effect<'_>>) {
        match change {
            Change::Did(deed) => {
                if let Some(action) = deed.action {
                    state.counters.add(action, deed.value, deed.time);
                }
            }
            Change::Undone(deed) => {
                if let Some(action) = deed.action {
                    state.counters.undo(action, deed.value, deed.time);
                }
            }
            Change::Joined(other) => state.counters.merge(&other.counters),
            _ => {}
        }
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
        match effect {
            Effect::Did(deed) => {
                let Some(action) = deed.action else { return };
                stores.items.did(deed.item, stores.actions, action, deed.value, deed.time);
            }
            Effect::Undone(deed) => {
                let Some(action) = deed.action else { return };
                stores.items.undo(deed.item, stores.actions, action, deed.value, deed.time);
            }
            Effect::Counted { item, action, count } => {
                stores.items.counted(*item, stores.actions, *action, count);
            }
            _ => {}
        }
    }
}
