//! What is known of one person: attributes, recent actions, what they met and saw, counters. Plain data and its laws; where it
//! is kept is `people.rs`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::counters::Counters;
use super::levels::Tally;
use super::marks::Marks;
use super::merge::{Stamp, value_order};
use super::ties::Ties;
use crate::config::{ActionId, Keep};
use crate::types::{Millis, Ordinal, Value};

/// One thing a person did. 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Acted {
    /// With which item.
    pub item: Ordinal,
    /// What.
    pub action: ActionId,
    /// Offset of the person's calendar from UTC at that time, in quarters of an hour; [`NO_DAY`](super::levels::NO_DAY) where it earns nothing.
    pub offset: i8,
    /// Its value.
    pub value: f64,
    /// When.
    pub time: Millis,
    /// Key of the event, by which it can be taken back; orders what was done at the same time.
    pub key: u64,
}

/// One attribute of a person; without a value after a clear.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The value that stands.
    pub value: Option<Value>,
    /// When and by whom it was said.
    pub stamp: Stamp,
}

/// Everything known of one person.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UserState {
    /// What they did, newest first (of equal times by key), bounded by [`Keep`].
    pub actions: Vec<Acted>,
    /// Items they saw.
    pub seen: Marks,
    /// Items they acted on with positive weight.
    pub met: Marks,
    /// Exact counts of what they did.
    pub counters: Counters,
    /// What was said about them.
    pub attributes: BTreeMap<String, Field>,
    /// Whom they are tied to, and who is tied to them.
    pub ties: Ties,
    /// What they have earned, by the name of the rule.
    pub levels: BTreeMap<Arc<str>, Tally>,
}

impl UserState {
    /// Whether this person wants personal answers; `true` unless the attribute `personalize` says no.
    #[must_use]
    pub fn personalize(&self) -> bool {
        !matches!(self.attribute("personalize"), Some(Value::Bool(false)))
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.attributes.get(name)?.value.as_ref()
    }

    /// Whether they acted on an item (and the hash of its id) with positive weight at or after `since` (`Millis::MIN`: ever); see
    /// [`Marks::has`].
    #[must_use]
    pub fn has_met(&self, item: Ordinal, tie: u64, since: Millis) -> bool {
        self.met.has(item, tie, since)
    }

    /// Whether they saw an item (and the hash of its id) at least `times` times, the last one at or after `since` (`Millis::MIN`: ever); see
    /// [`Marks::has`]. Of what went beyond what is held exactly, once counts as often enough.
    #[must_use]
    pub fn has_seen(&self, item: Ordinal, tie: u64, since: Millis, times: u32) -> bool {
        match self.seen.get(item) {
            Some(mark) if mark.last >= since && mark.count < times => {
                self.seen.passed().is_some_and(|p| since <= p.newest && p.sieve.has(tie))
            }
            _ => self.seen.has(item, tie, since),
        }
    }

    /// How many of their actions are no older than `keep` says, as of `now_ms`: those come first.
    #[must_use]
    pub fn recent(&self, keep: &Keep, now_ms: Millis) -> usize {
        let Some(span) = keep.actions_for else { return self.actions.len() };
        let since = now_ms.saturating_sub(span);
        self.actions.partition_point(|a| a.time >= since)
    }

    /// Merges an attribute (a value or a clear).
    pub fn set(&mut self, name: &str, field: &Field) {
        let wins = self.attributes.get(name).is_none_or(|old| {
            let order = old.stamp.order(&field.stamp);
            order.then_with(|| value_order(old.value.as_ref(), field.value.as_ref())).is_lt()
        });
        if wins {
            self.attributes.insert(name.to_owned(), field.clone());
        }
    }

    /// Adds an action to the recent ones.
    pub fn act(&mut self, acted: Acted, keep: &Keep) {
        let at = self.place(acted.time, acted.key);
        if at >= keep.actions {
            return;
        }
        self.actions.insert(at, acted);
        self.bound(keep);
    }

    /// Takes an action out of the recent ones; what it was, if it was there.
    pub fn unact(&mut self, time: Millis, key: u64) -> Option<Acted> {
        let at = self.place(time, key);
        let found = self.actions.get(at).is_some_and(|a| a.key == key && a.time == time);
        found.then(|| self.actions.remove(at))
    }

    /// Adds all of another's recent actions.
    pub fn act_all(&mut self, others: &[Acted], keep: &Keep) {
        if others.is_empty() {
            return;
        }
        self.actions.extend_from_slice(others);
        self.actions.sort_by_key(|a| std::cmp::Reverse((a.time, a.key)));
        self.bound(keep);
    }

    /// Where an action of this time and key is among the recent ones, or would be.
    #[must_use]
    pub fn place(&self, time: Millis, key: u64) -> usize {
        // The newest comes last into most lists.
        match self.actions.first() {
            Some(first) if (first.time, first.key) > (time, key) => {
                self.actions.partition_point(|a| (a.time, a.key) > (time, key))
            }
            _ => 0,
        }
    }

    /// Holds the recent actions to their bounds: how many, how many of each action, how old against the newest.
    fn bound(&mut self, keep: &Keep) {
        self.actions.truncate(keep.actions);
        if let (Some(span), Some(first)) = (keep.actions_for, self.actions.first()) {
            let since = first.time.saturating_sub(span);
            let kept = self.actions.partition_point(|a| a.time >= since);
            self.actions.truncate(kept);
        }
        for (action, most) in &keep.actions_of {
            let of_it = self.actions.iter().filter(|a| a.action == *action).count();
            if of_it > *most {
                let mut kept = 0;
                self.actions.retain(|a| {
                    kept += usize::from(a.action == *action);
                    a.action != *action || kept <= *most
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn acted(action: u8, time: Millis, key: u64) -> Acted {
        Acted { item: key as u32, action: ActionId(action), offset: 0, value: 1.0, time, key }
    }

    #[test]
    fn an_action_is_32_bytes() {
        assert_eq!(size_of::<Acted>(), 32);
    }

    #[test]
    fn what_is_recent_ends_with_its_time() {
        let keep = Keep { actions_for: Some(100), ..Keep::default() };
        let mut state = UserState::default();
        for time in [10, 50, 109] {
            state.act(acted(0, time, time as u64), &keep);
        }
        assert_eq!(state.actions.iter().map(|a| a.time).collect::<Vec<_>>(), [109, 50, 10]);
        state.act(acted(0, 111, 1), &keep);
        assert_eq!(state.actions.iter().map(|a| a.time).collect::<Vec<_>>(), [111, 109, 50]);
        assert_eq!((state.recent(&keep, 111), state.recent(&keep, 151), state.recent(&keep, 500)), (3, 2, 0));
    }

    proptest! {
        #[test]
        fn bounds_hold_and_the_newest_stay(events in prop::collection::vec((0u8..3, 0i64..50), 0..60), cut in 0usize..60) {
            let keep = Keep { actions: 12, actions_of: vec![(ActionId(1), 3)], ..Keep::default() };
            let all: Vec<Acted> = events.iter().zip(0u64..).map(|((a, t), key)| acted(*a, *t, key)).collect();
            let mut state = UserState::default();
            all.iter().for_each(|a| state.act(*a, &keep));
            prop_assert!(state.actions.len() <= 12);
            prop_assert!(state.actions.iter().filter(|a| a.action == ActionId(1)).count() <= 3);
            prop_assert!(state.actions.windows(2).all(|w| (w[0].time, w[0].key) > (w[1].time, w[1].key)));
            // Nothing newer than what is kept of an action was left out.
            if let Some(newest) = all.iter().map(|a| (a.time, a.key)).max() {
                prop_assert_eq!((state.actions[0].time, state.actions[0].key), newest);
            }
            // Without bounds, two people's actions put together are those of one.
            let wide = Keep::default();
            let (mut one, mut two, mut both) = (UserState::default(), UserState::default(), UserState::default());
            let cut = cut.min(all.len());
            all.iter().for_each(|a| both.act(*a, &wide));
            all[..cut].iter().for_each(|a| one.act(*a, &wide));
            all[cut..].iter().for_each(|a| two.act(*a, &wide));
            one.act_all(&two.actions, &wide);
            prop_assert_eq!(one, both);
        }
    }
}
