//! Attributes of people, field by field.

use super::{Around, Change, Consumer, Effect};
use crate::config::Part;
use crate::live::{Field, Stamp, UserState};

/// Merges user events, and the attributes of who turns out to be somebody.
pub struct Users;

impl Consumer for Users {
    fn part(&self) -> Part {
        Part::Users
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_person(
        &self,
        change: &Change<'_>,
        state: &mut UserState,
        around: &Around<'_>,
        _: &mut Vec<Effect<'_>>,
    ) {
        match change {
            Change::Said(event) => {
                let stamp = Stamp::new(event.time, event.source.as_deref(), &around.keep.sources);
                for (name, value) in &event.attributes {
                    let stamp = Stamp { present: value.is_some(), ..stamp };
                    state.set(name, &Field { value: value.clone(), stamp });
                }
            }
            Change::Joined(other) => {
                other.attributes.iter().for_each(|(name, field)| state.set(name, field));
            }
            _ => {}
        }
    }
}
