//! Items that people acted on with positive weight: how often, and when last.

use super::{Around, Change, Consumer, Effect};
use crate::config::Part;
use crate::live::{Deed, UserState};

/// Counts positive actions by item, and takes them back.
pub struct Met;

impl Consumer for Met {
    fn part(&self) -> Part {
        Part::Met
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
            Change::Did(deed) if is_positive(deed, around) => {
                state.met.add(deed.item, deed.time, around.keep.met, around.ids);
            }
            Change::Undone(deed) if is_positive(deed, around) => undo(deed, state, around),
            Change::Joined(other) => state.met.merge(&other.met, around.keep.met, around.ids),
            _ => {}
        }
    }
}

/// Takes a positive action back. The time of the newest on the item is then that of the newest one among the other recent actions; where
/// that has gone too, it stays.
fn undo(deed: &Deed, state: &mut UserState, around: &Around<'_>) {
    let Some(mark) = state.met.take(deed.item) else { return };
    let mut others = state.actions.iter().filter(|a| a.item == deed.item && a.key != deed.key);
    let positive = |action, value| around.actions.weight(action, value) > 0.0;
    if let Some(newest) = others.find(|a| positive(a.action, a.value)) {
        mark.last = newest.time;
    }
}

fn is_positive(deed: &Deed, around: &Around<'_>) -> bool {
    deed.action.is_some_and(|action| around.actions.weight(action, deed.value) > 0.0)
}
