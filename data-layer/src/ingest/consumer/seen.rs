//! Items that people saw, as the client's impressions say: how often, and when last.

use super::{Around, Change, Consumer, Effect, Stores};
use crate::config::Part;
use crate::live::UserState;

/// Counts impressions of people and of items.
pub struct Seen;

impl Consumer for Seen {
    fn part(&self) -> Part {
        Part::Seen
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_person(
        &self,
        change: &Change<'_>,
        state: &mut UserState,
        around: &Around<'_>,
        _: &mut Vec<Effect<'_>>,
    ) {
        match change {
            Change::Saw { items, time } => {
                items.iter().for_each(|item| state.seen.add(*item, *time, around.keep.seen, around.ids));
            }
            Change::Joined(other) => state.seen.merge(&other.seen, around.keep.seen, around.ids),
            _ => {}
        }
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
        match effect {
            Effect::Saw { item, .. } => stores.items.saw(*item),
            Effect::Shown { item, times } => stores.items.shown(*item, *times),
            _ => {}
        }
    }
}
