//! Keeps the live lists `trending`: of all items, and of each kind.

use super::{Consumer, Effect, Stores};
use crate::config::{ActionId, Part, Weight};
use crate::live::Items;
use crate::live::counters::Count;
use crate::live::trending::{Named, worth};
use crate::types::Ordinal;

/// Adds positive actions, takes them back, and follows items from kind to kind.
pub struct Trending;

impl Consumer for Trending {
    fn part(&self) -> Part {
        Part::Trending
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
        if let Effect::Counted { item, action, count } = effect {
            return counted(*item, *action, count, stores);
        }
        let (deed, item) = match effect {
            Effect::Did(deed) | Effect::Undone(deed) => (Some(deed), Some(deed.item)),
            Effect::Item(event) if event.kind.is_some() => (None, stores.items.ordinal(event.id.as_str())),
            _ => return,
        };
        let Some(item) = item else { return };
        let named = Named { item, tie: stores.items.tie(item), kind: stores.items.kind(item) };
        let Some(deed) = deed else { return stores.lists.trending.say_kind(named) };
        let Some(action) = deed.action else { return };
        let weight = stores.actions.weight(action, deed.value);
        match effect {
            Effect::Undone(_) => stores.lists.trending.undo(named, weight, deed.time),
            _ => stores.lists.trending.add(named, weight, deed.time),
        }
    }
}

/// What many actions of one hour weigh together.
fn counted(item: Ordinal, action: ActionId, count: &Count, stores: &mut Stores<'_>) {
    let by = match stores.actions.kind(action) {
        Some(Weight::Fixed(weight)) => worth(weight) * i128::from(count.times),
        Some(Weight::Value) => count.positive,
        None => 0,
    };
    let named = Named { item, tie: stores.items.tie(item), kind: stores.items.kind(item) };
    stores.lists.trending.add_many(named, by, count.hour);
}
