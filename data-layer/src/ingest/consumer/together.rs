//! Pairs of items that one person acted on with positive weight, close to each other: of each action with the few before it. What pairs there
//! are follows from the list of recent actions alone, so that late and taken-back actions come out right; what a bound of that list has
//! left out keeps its pairs.

use super::{Around, Change, Consumer, Effect, Stores};
use crate::config::{Keep, Pairing, Part};
use crate::live::together::{Half, Pair};
use crate::live::{Acted, UserState};

/// Keeps the live list `together`. After `recent` in the list of consumers: it reads what that has written.
pub struct Together;

impl Consumer for Together {
    fn part(&self) -> Part {
        Part::Together
    }

    fn version(&self) -> u32 {
        1
    }

    fn on_person(
        &self,
        change: &Change<'_>,
        state: &mut UserState,
        around: &Around<'_>,
        effects: &mut Vec<Effect<'_>>,
    ) {
        let Some(pairing) = &around.keep.together else { return };
        let pairs = Pairs { pairing, around, list: &state.actions };
        match change {
            // Before `recent` takes it out, after it has put it in: it is in the list either way, or was left out.
            Change::Did(deed) | Change::Undone(deed) => {
                let back = matches!(change, Change::Undone(_));
                pairs.of_one(state.place(deed.time, deed.key), deed.key, back, effects);
            }
            Change::Joined(other) => pairs.of_two(&other.actions, effects),
            _ => {}
        }
    }

    fn on_items(&self, effect: &Effect<'_>, stores: &mut Stores<'_>) {
        let Some(pairing) = &stores.keep.together else { return };
        let (together, ids) = (&mut stores.lists.together, stores.items.ids());
        match effect {
            Effect::Paired(pair) => together.add(pair, pairing, ids),
            Effect::Neared(pair) => together.add_half(pair, pairing, ids),
            _ => {}
        }
    }
}

/// Adds all pairs among effects, item by item: each item is fetched once for many pairs, and what comes of it is the same.
#[derive(Debug, Default)]
pub(crate) struct ByItem {
    halves: Vec<Half>,
    spare: Vec<Half>,
}

impl ByItem {
    /// Gathers the pairs; what this has held before is forgotten.
    pub fn gather(&mut self, effects: &[Effect<'_>], keep: &Keep) -> &[Half] {
        self.halves.clear();
        if let Some(pairing) = &keep.together {
            for effect in effects {
                match effect {
                    Effect::Paired(pair) => self.halves.extend(Half::both(pair, pairing)),
                    Effect::Neared(pair) => self.halves.extend(Half::both(pair, pairing).first()),
                    _ => {}
                }
            }
            Half::sort(&mut self.halves, &mut self.spare);
        }
        &self.halves
    }
}

struct Pairs<'a> {
    pairing: &'a Pairing,
    around: &'a Around<'a>,
    /// Newest first.
    list: &'a [Acted],
}

impl Pairs<'_> {
    /// What one action at a place adds: its pairs with those around it, less those of others that it came between.
    fn of_one(&self, at: usize, key: u64, back: bool, effects: &mut Vec<Effect<'_>>) {
        let Some(one) = self.list.get(at).filter(|acted| acted.key == key && self.counts(acted)) else {
            return;
        };
        let reach = self.pairing.reach;
        if at == 0 {
            let within = |other: &&Acted| one.time.saturating_sub(other.time) <= self.pairing.within;
            let older = self.list[1..].iter().take_while(within).filter(|a| self.counts(a)).take(reach);
            return older.for_each(|other| effects.extend(self.pair(one, other, back)));
        }
        let older: Vec<&Acted> = self.list[at + 1..].iter().filter(|a| self.counts(a)).take(reach).collect();
        let newer: Vec<&Acted> =
            self.list[..at].iter().rev().filter(|a| self.counts(a)).take(reach).collect();
        older.iter().for_each(|other| effects.extend(self.pair(one, other, back)));
        newer.iter().for_each(|other| effects.extend(self.pair(other, one, back)));
        // The n-th newer and the m-th older were n + m − 1 apart, and are n + m.
        for (n, newer) in newer.iter().enumerate() {
            let parted = (reach - 1).checked_sub(n).and_then(|m| older.get(m));
            effects.extend(parted.and_then(|older| self.pair(newer, older, !back)));
        }
    }

    /// What it adds that two lists have become one: the pairs of all, less those that either had.
    fn of_two(&self, others: &[Acted], effects: &mut Vec<Effect<'_>>) {
        let is_other = |acted: &Acted| others.iter().any(|o| (o.time, o.key) == (acted.time, acted.key));
        let (theirs, mine): (Vec<Acted>, Vec<Acted>) = self.list.iter().partition(|acted| is_other(acted));
        self.of_all(self.list, false, effects);
        self.of_all(&mine, true, effects);
        self.of_all(&theirs, true, effects);
    }

    fn of_all(&self, list: &[Acted], back: bool, effects: &mut Vec<Effect<'_>>) {
        let list: Vec<&Acted> = list.iter().filter(|acted| self.counts(acted)).collect();
        for (at, newer) in list.iter().enumerate() {
            let older = list[at + 1..].iter().take(self.pairing.reach);
            effects.extend(older.filter_map(|older| self.pair(newer, older, back)));
        }
    }

    fn pair<'e>(&self, newer: &Acted, older: &Acted, back: bool) -> Option<Effect<'e>> {
        if newer.item == older.item || newer.time.saturating_sub(older.time) > self.pairing.within {
            return None;
        }
        let weight = self.weight(newer).min(self.weight(older)).clamp(0.01, 10.0);
        let weight = (weight * 100.0).round() as u32;
        Some(Effect::Paired(Pair { items: [newer.item, older.item], weight, time: newer.time, back }))
    }

    fn weight(&self, acted: &Acted) -> f32 {
        self.around.actions.weight(acted.action, acted.value)
    }

    fn counts(&self, acted: &Acted) -> bool {
        self.weight(acted) > 0.0
    }
}
