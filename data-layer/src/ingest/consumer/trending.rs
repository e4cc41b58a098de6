//! Keeps the live lists `trending`: of all items, and of each kind.

use super::{Consumer, Effect, Stores};
use crate::live::Items;
use crate::live::trending::Named;

/// Adds positive actions, takes them back, and follows items from kind to kind.
pub struct Trending;

impl Consumer for Trending {
    fn name(&self) -> &'static str {
        "trending"
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
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
