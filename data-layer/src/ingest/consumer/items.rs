//! Attributes and deletion of items, field by field; items that are only named begin to exist where they are resolved.

use super::{Consumer, Effect, Stores};

/// Merges item events.
pub struct Items;

impl Consumer for Items {
    fn name(&self) -> &'static str {
        "items"
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
        if let Effect::Item(event) = effect {
            stores.items.merge(event);
        }
    }
}
