//! Recent actions of people: newest first, bounded in number, by action and in age.

use super::{Around, Change, Consumer, Effect};
use crate::config::Part;
use crate::live::{Acted, UserState};

/// Adds to and takes back from the recent actions.
pub struct Recent;

impl Consumer for Recent {
    fn part(&self) -> Part {
        Part::Recent
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
            Change::Did(deed) => {
                let Some(action) = deed.action else { return };
                let (item, offset, value) = (deed.item, deed.offset, deed.value);
                let acted = Acted { item, action, offset, value, time: deed.time, key: deed.key };
                state.act(acted, around.keep);
            }
            Change::Undone(deed) => drop(state.unact(deed.time, deed.key)),
            Change::Joined(other) => state.act_all(&other.actions, around.keep),
            _ => {}
        }
    }
}
