//! What the live side keeps of people and events, and how much: the bounds in `[live]`. Not for where it is kept.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ActionId, Actions, Calendar, LevelRule, Parts, Priorities};
use crate::types::Millis;
use crate::types::time::{DAY, HOUR, parse_span};
use crate::{Error, Result};

/// Bounds of what is kept. The same log under the same bounds gives the same state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Recent actions of one person: 32 bytes each.
    pub actions: usize,
    /// Recent actions of one person, by action; only those that have a bound of their own.
    pub actions_of: Vec<(ActionId, usize)>,
    /// How long an action is recent, against the person's newest one and against the time of a request; `None`: as long as there is room.
    pub actions_for: Option<Millis>,
    /// Items a person saw, exactly: 16 bytes each. What is more goes into a filter of 2 to 4 KiB.
    pub seen: usize,
    /// Items a person acted on with positive weight, exactly: 16 bytes each. What is more goes into a filter of 2 to 4 KiB.
    pub met: usize,
    /// Ties of one person by one relation in one direction: 40 bytes and an id each. The newest stay.
    pub ties: usize,
    /// Ids of interactions that can be taken back: about 56 bytes each, for all people together.
    pub deeds: usize,
    /// Which items the same people act on; `None`: that is not kept.
    pub together: Option<Pairing>,
    /// What earns people points: `[levels.NAME]`.
    pub levels: Vec<LevelRule>,
    /// By which days are counted: `timezone`.
    pub calendar: Calendar,
    /// Whose word counts, from `[sources]`.
    pub sources: Priorities,
    /// What is kept at all: all parts, but for a state that takes the place of some in another.
    pub parts: Parts,
}

/// How actions of one person make pairs of items, and how many of those are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// An action makes pairs with so many positive ones before it …
    pub reach: usize,
    /// … that are no further back than this.
    pub within: Millis,
    /// Neighbours that are listed of an item; twice as many are held, 32 bytes each.
    pub neighbours: usize,
    /// After this long a pair counts half; after three times as long no more.
    pub half_life: Millis,
}

impl Default for Pairing {
    fn default() -> Self {
        Self { reach: 5, within: DAY, neighbours: 50, half_life: 7 * DAY }
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            actions: 500,
            actions_of: Vec::new(),
            actions_for: None,
            seen: 1000,
            met: 2000,
            ties: 5000,
            deeds: 10_000_000,
            together: Some(Pairing::default()),
            levels: Vec::new(),
            calendar: Calendar::default(),
            sources: Priorities::default(),
            parts: Parts::ALL,
        }
    }
}

/// The most that any of the bounds of one person can be.
const MOST: usize = 100_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRecent {
    most: Option<usize>,
    within: Option<String>,
    #[serde(default)]
    of: BTreeMap<String, usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTogether {
    keep: Option<bool>,
    reach: Option<usize>,
    within: Option<String>,
    neighbours: Option<usize>,
    half_life: Option<String>,
}

/// The keys of `[live]` that say how much is kept.
#[derive(Debug, Default)]
pub(super) struct RawKeep {
    pub(super) recent: RawRecent,
    pub(super) seen: Option<usize>,
    pub(super) met: Option<usize>,
    pub(super) ties: Option<usize>,
    pub(super) retractable: Option<usize>,
    pub(super) together: RawTogether,
}

impl RawKeep {
    /// Fills in defaults and checks.
    pub(super) fn check(self, actions: &Actions, wrong: &dyn Fn(&str, String) -> Error) -> Result<Keep> {
        let default = Keep::default();
        let within = |key: &str, given: Option<usize>, default: usize, most: usize| match given {
            None => Ok(default),
            Some(given) if (1..=most).contains(&given) => Ok(given),
            Some(given) => Err(wrong(key, format!("expected 1 to {most}, found {given}"))),
        };
        let mut actions_of = Vec::new();
        for (name, most) in &self.recent.of {
            let Some(action) = actions.id(name) else {
                let known: Vec<&str> = actions.iter().map(|(_, name, _)| name).collect();
                let detail = format!("expected a configured action ({}), found {name:?}", known.join(", "));
                return Err(wrong("live.recent.of", detail));
            };
            actions_of.push((action, within(&format!("live.recent.of.{name}"), Some(*most), 0, MOST)?));
        }
        let span = |key: &str, given: Option<String>, least: Millis| match given.as_deref().map(parse_span) {
            None => Ok(None),
            Some(Ok(span)) if span >= least => Ok(Some(span)),
            Some(Ok(_)) => {
                Err(wrong(key, format!("expected a span of at least {} s, such as \"7d\"", least / 1000)))
            }
            Some(Err(detail)) => Err(wrong(key, detail)),
        };
        let (pairing, raw) = (Pairing::default(), self.together);
        let pairing = Pairing {
            reach: within("live.together.reach", raw.reach, pairing.reach, 20)?,
            within: span("live.together.within", raw.within, 1000)?.unwrap_or(pairing.within),
            neighbours: within("live.together.neighbours", raw.neighbours, pairing.neighbours, 500)?,
            half_life: span("live.together.half_life", raw.half_life, HOUR)?.unwrap_or(pairing.half_life),
        };
        Ok(Keep {
            actions: within("live.recent.most", self.recent.most, default.actions, MOST)?,
            actions_of,
            actions_for: span("live.recent.within", self.recent.within, 1000)?,
            seen: within("live.seen", self.seen, default.seen, MOST)?,
            met: within("live.met", self.met, default.met, MOST)?,
            ties: within("live.ties", self.ties, default.ties, MOST)?,
            deeds: within("live.retractable", self.retractable, default.deeds, 1_000_000_000)?,
            together: raw.keep.unwrap_or(true).then_some(pairing),
            ..default
        })
    }
}
