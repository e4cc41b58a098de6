//! Keeps the live lists `fresh`: when items begin, and until they are deleted.

use super::{Consumer, Effect, Stores};
use crate::config::Part;
use crate::live::trending::Named;
use crate::live::{Cell, Items};
use crate::types::{Millis, Ordinal};

/// Follows `created`, `available_from`, kind and deletion of items. After `items` in the list of consumers: it reads what that has merged.
pub struct Fresh;

impl Consumer for Fresh {
    fn part(&self) -> Part {
        Part::Fresh
    }

    fn version(&self) -> u32 {
        2
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
        let Effect::Item(event) = effect else { return };
        let says = |name: &str| event.attributes.contains_key(name);
        if event.kind.is_none() && event.deleted.is_none() && !says("created") && !says("available_from") {
            return;
        }
        let Some(item) = stores.items.ordinal(event.id.as_str()) else { return };
        let named = Named { item, tie: stores.items.tie(item), kind: stores.items.kind(item) };
        let begins = if stores.items.said_deleted(item) { None } else { begins(stores, item) };
        stores.lists.fresh.say(named, begins);
    }
}

/// The later of when an item was created and when it may first be shown, where either is known.
fn begins(stores: &Stores<'_>, item: Ordinal) -> Option<Millis> {
    let time = |name: &str| match stores.items.cell(stores.items.field(name)?, item) {
        Some(Cell::Int(time)) => Some(time),
        _ => None,
    };
    time("created").max(time("available_from"))
}
