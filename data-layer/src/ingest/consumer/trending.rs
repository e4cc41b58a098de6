//! Keeps the live list `trending`.

use super::{Change, Stores};
use crate::live::{Deed, Items};

/// Adds positive actions and takes them back.
pub fn consume(change: &Change<'_>, stores: &mut Stores<'_>) {
    match change {
        Change::Did { deed, .. } => {
            if let Some((tie, weight)) = weight(deed, stores) {
                stores.trending.add(deed.item, tie, weight, deed.time);
            }
        }
        Change::Undone { deed, .. } => {
            if let Some((tie, weight)) = weight(deed, stores) {
                stores.trending.undo(deed.item, tie, weight, deed.time);
            }
        }
        _ => {}
    }
}

fn weight(deed: &Deed, stores: &Stores<'_>) -> Option<(u64, f32)> {
    let weight = stores.actions.weight(deed.action?, deed.value);
    Some((stores.items.tie(deed.item), weight))
}
