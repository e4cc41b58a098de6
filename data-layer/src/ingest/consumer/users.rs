//! Attributes of people, and who they are: identification and erasure.

use std::sync::Arc;

use super::{Change, Stores};
use crate::live::{Effect, Field, Stamp};

/// Sets attributes, merges an anonymous person into a user, forgets the erased.
pub fn consume(change: &Change<'_>, stores: &mut Stores<'_>) {
    match change {
        Change::User(event) => {
            let stamp = Stamp::new(event.time, event.source.as_deref());
            for (name, value) in &event.attributes {
                let field =
                    Field { value: value.clone(), stamp: Stamp { present: value.is_some(), ..stamp } };
                stores.effects.push((event.person.clone(), Effect::Set { name: name.clone(), field }));
            }
        }
        Change::Identified { from, into, state } => {
            if let Some(state) = state {
                stores.effects.push(((*into).clone(), Effect::Merge(Arc::clone(state))));
            }
            stores.effects.push(((*from).clone(), Effect::Forget));
        }
        Change::Erased(person) => stores.effects.push(((*person).clone(), Effect::Forget)),
        Change::Item(_) | Change::Did { .. } | Change::Undone { .. } | Change::Saw { .. } => {}
    }
}
