//! Points of people by configured rules, by calendar day where they are.

use super::{Around, Change, Consumer, Effect};
use crate::config::{ActionId, LevelRule, Part};
use crate::live::UserState;
use crate::live::levels::{NO_DAY, day};

/// Counts what earns points, and takes it back.
pub struct Levels;

impl Consumer for Levels {
    fn part(&self) -> Part {
        Part::Levels
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
        for rule in &around.keep.levels {
            on_rule(rule, change, state);
        }
    }
}

fn on_rule(rule: &LevelRule, change: &Change<'_>, state: &mut UserState) {
    match change {
        Change::Did(deed) | Change::Undone(deed) => {
            let earns = |action: &ActionId| rule.points(*action).is_some() && deed.offset != NO_DAY;
            let Some(action) = deed.action.filter(earns) else { return };
            let back = matches!(change, Change::Undone(_));
            let tally = state.levels.entry(rule.name.clone()).or_default();
            tally.count(rule, action, day(deed.time, deed.offset), back);
            if *tally == Default::default() {
                state.levels.remove(&rule.name);
            }
        }
        Change::Joined(other) => {
            if let Some(theirs) = other.levels.get(&rule.name) {
                state.levels.entry(rule.name.clone()).or_default().merge(rule, theirs);
            }
        }
        _ => {}
    }
}
