//! Attributes and deletion of items, field by field; items that are only named begin to exist where they are resolved. What a source no
//! longer names when it has named everything is gone.

use super::{Consumer, Effect, Stores};
use crate::config::Part;

/// Merges item events.
pub struct Items;

impl Consumer for Items {
    fn part(&self) -> Part {
        Part::Items
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
        match effect {
            Effect::Schema(schema) => stores.items.set_schema(schema),
            Effect::Item(event) => drop(stores.items.merge(event, &stores.keep.sources)),
            Effect::Load(load) => stores.items.load(load),
            _ => {}
        }
    }
}
