//! Whom people are tied to, and, reversed, who is tied to them.

use super::{Around, Change, Consumer, Effect};
use crate::config::Part;
use crate::live::UserState;

/// Merges edges into the states of both ends.
pub struct Ties;

impl Consumer for Ties {
    fn part(&self) -> Part {
        Part::Ties
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
            Change::Tied { relation, side, tie } => {
                state.ties.say(relation, *side, (*tie).clone(), around.keep.ties);
            }
            Change::Joined(other) => {
                for (relation, side, list) in other.ties.iter() {
                    list.iter().for_each(|tie| state.ties.say(relation, side, tie.clone(), around.keep.ties));
                }
            }
            _ => {}
        }
    }
}
