//! Exact counters of items and of people, and the rows that follow from them.

use super::{Change, Stores};
use crate::live::Effect;

/// Counts interactions and impressions, and takes interactions back.
pub fn consume(change: &Change<'_>, stores: &mut Stores<'_>) {
    match change {
        Change::Did { deed, person } => {
            let Some(action) = deed.action else { return };
            let (value, time) = (deed.value, deed.time);
            stores.items.count(deed.item, stores.actions, |c| c.add(action, value, time));
            if let Some(person) = person {
                stores.effects.push(((*person).clone(), Effect::Count { action, value, time }));
            }
        }
        Change::Undone { deed, person } => {
            let Some(action) = deed.action else { return };
            let (value, time) = (deed.value, deed.time);
            stores.items.count(deed.item, stores.actions, |c| c.undo(action, value, time));
            if let Some(person) = person {
                stores.effects.push(((*person).clone(), Effect::Uncount { action, value, time }));
            }
        }
        Change::Saw { items, .. } => items.iter().for_each(|item| stores.items.saw(*item)),
        _ => {}
    }
}
