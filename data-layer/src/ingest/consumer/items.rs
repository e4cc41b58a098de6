//! Attributes and deletion of items, field by field; items that are only named begin to exist where they are resolved.

use super::{Change, Stores};

/// Merges item events.
pub fn consume(change: &Change<'_>, stores: &mut Stores<'_>) {
    if let Change::Item(event) = change {
        stores.items.merge(event);
    }
}
