//! Recent actions of people, what they met, and what they saw.

use super::{Change, Stores};
use crate::live::{Acted, Deed, Effect, Shown};

/// Adds to and takes back from the recent actions; adds impressions.
pub fn consume(change: &Change<'_>, stores: &mut Stores<'_>) {
    match change {
        Change::Did { deed, person: Some(person) } => {
            let act = acted(deed).map(|acted| ((*person).clone(), Effect::Act(acted)));
            stores.effects.extend(act);
        }
        Change::Undone { deed, person: Some(person) } => {
            let undo = acted(deed).map(|acted| ((*person).clone(), Effect::Undo(acted)));
            stores.effects.extend(undo);
        }
        Change::Saw { items, person: Some(person), time } => {
            let shown = items.iter().map(|item| Shown { item: *item, time: *time }).collect();
            stores.effects.push(((*person).clone(), Effect::See(shown)));
        }
        _ => {}
    }
}

fn acted(deed: &Deed) -> Option<Acted> {
    let action = deed.action?;
    Some(Acted { item: deed.item, action, value: deed.value as f32, time: deed.time, key: deed.key })
}
