//! Points that a person has earned by one rule: counts of what they did by calendar day, and what the rule makes of them when it is read. Not
//! for the rules, which are configuration.

use crate::config::{ActionId, LevelRule};
use crate::types::Millis;
use crate::types::time::{DAY, MINUTE};

/// Calendar days whose counts are kept apart, the newest included. What was earned before stays as it is.
const DAYS_KEPT: i32 = 400;

/// In place of an offset: what earns nothing, on no day.
pub const NO_DAY: i8 = i8::MIN;

/// The calendar day of a time (days since 1970) where clocks are so many quarters of an hour ahead of UTC.
#[must_use]
pub fn day(time: Millis, offset: i8) -> i32 {
    let local = time.saturating_add(i64::from(offset) * 15 * MINUTE);
    local.div_euclid(DAY).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// How often one thing was done on one day. 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCount {
    /// Days since 1970.
    pub day: i32,
    /// What.
    pub action: ActionId,
    /// How often.
    pub count: u32,
}

/// What a person has earned by one rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Points of days that are no longer kept apart.
    before: i64,
    /// In order of day and action.
    days: Vec<DayCount>,
}

impl Tally {
    /// Counts something done on a day, or takes it back. Days before those kept apart don't change any more.
    pub fn count(&mut self, rule: &LevelRule, action: ActionId, day: i32, back: bool) {
        if rule.points(action).is_none() || day < self.oldest() {
            return;
        }
        match self.days.binary_search_by_key(&(day, action), |d| (d.day, d.action)) {
            Ok(at) if back => {
                self.days[at].count -= 1;
                if self.days[at].count == 0 {
                    self.days.remove(at);
                }
            }
            Ok(at) => self.days[at].count = self.days[at].count.saturating_add(1),
            Err(at) if !back => self.days.insert(at, DayCount { day, action, count: 1 }),
            Err(_) => {}
        }
        self.settle(rule);
    }

    /// Adds all of another's, as if one person had done it: what is earned on one day is bounded for both together.
    pub fn merge(&mut self, rule: &LevelRule, other: &Self) {
        self.before = self.before.saturating_add(other.before);
        for theirs in &other.days {
            match self.days.binary_search_by_key(&(theirs.day, theirs.action), |d| (d.day, d.action)) {
                Ok(at) => self.days[at].count = self.days[at].count.saturating_add(theirs.count),
                Err(at) => self.days.insert(at, *theirs),
            }
        }
        self.settle(rule);
    }

    /// All points under a rule.
    #[must_use]
    pub fn points(&self, rule: &LevelRule) -> i64 {
        let earned = self.days.iter().map(|d| rule.worth(d.action, d.count));
        earned.fold(self.before, i64::saturating_add)
    }

    /// Points of days that are no longer kept apart, and the counts of the others.
    #[must_use]
    pub fn parts(&self) -> (i64, &[DayCount]) {
        (self.before, &self.days)
    }

    /// Puts together what [`Tally::parts`] took apart; `None` where days are not in order.
    #[must_use]
    pub fn of(before: i64, mut days: Vec<DayCount>) -> Option<Self> {
        days.sort_by_key(|d| (d.day, d.action));
        let ordered = days.windows(2).all(|w| (w[0].day, w[0].action) < (w[1].day, w[1].action));
        (ordered && days.iter().all(|d| d.count > 0)).then_some(Self { before, days })
    }

    /// The first day that is kept apart.
    fn oldest(&self) -> i32 {
        self.days.last().map_or(i32::MIN, |newest| newest.day.saturating_sub(DAYS_KEPT - 1))
    }

    fn settle(&mut self, rule: &LevelRule) {
        let oldest = self.oldest();
        let gone = self.days.partition_point(|d| d.day < oldest);
        for day in self.days.drain(..gone) {
            self.before = self.before.saturating_add(rule.worth(day.action, day.count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Points;
    use crate::types::time::HOUR;
    use proptest::prelude::*;

    const READ: ActionId = ActionId(0);
    const LIKE: ActionId = ActionId(1);

    fn rule() -> LevelRule {
        let points =
            vec![(READ, Points { each: 5, a_day: Some(50) }), (LIKE, Points { each: 2, a_day: None })];
        LevelRule { name: "reader".into(), points, thresholds: vec![100, 500] }
    }

    #[test]
    fn a_day_is_bounded_and_begins_at_midnight_where_the_person_is() {
        let (rule, mut tally) = (rule(), Tally::default());
        let midnight = 20_000 * DAY - 8 * HOUR;
        for n in 0..30 {
            tally.count(&rule, READ, day(midnight - HOUR + n, 32), false);
            tally.count(&rule, READ, day(midnight + n, 32), false);
            tally.count(&rule, LIKE, day(midnight + n, 32), false);
        }
        assert_eq!((tally.points(&rule), rule.level(tally.points(&rule))), (50 + 50 + 60, 1));
        // Eleven of thirty readings taken back earn as much as before; with twenty-one, one is missing to the bound.
        (0..20).for_each(|_| tally.count(&rule, READ, day(midnight, 32), true));
        assert_eq!(tally.points(&rule), 160);
        tally.count(&rule, READ, day(midnight, 32), true);
        assert_eq!(tally.points(&rule), 155);
        assert_eq!((rule.level(99), rule.level(100), rule.level(500), rule.level(-3)), (0, 1, 2, 0));
        assert_eq!((day(-1, 0), day(0, 0), day(0, -1), day(DAY - 1, 1)), (-1, 0, -1, 1));
    }

    #[test]
    fn what_was_earned_long_ago_stays() {
        let (rule, mut tally) = (rule(), Tally::default());
        for n in 0..1000 {
            tally.count(&rule, LIKE, n, false);
        }
        assert_eq!((tally.points(&rule), tally.parts().1.len()), (2000, DAYS_KEPT as usize));
        tally.count(&rule, LIKE, 5, true);
        tally.count(&rule, LIKE, 5, false);
        assert_eq!(tally.points(&rule), 2000);
    }

    proptest! {
        #[test]
        fn order_split_and_what_was_taken_back_do_not_matter(
            did in prop::collection::vec((0u8..2, 0i32..4), 0..60),
            extra in (0u8..2, 0i32..4),
            cut in 0usize..60,
        ) {
            let rule = rule();
            let of = |did: &[(u8, i32)]| {
                let mut tally = Tally::default();
                did.iter().for_each(|(action, day)| tally.count(&rule, ActionId(*action), *day, false));
                tally
            };
            let mut backwards = did.clone();
            backwards.reverse();
            prop_assert_eq!(of(&did), of(&backwards));
            let cut = cut.min(did.len());
            let mut merged = of(&did[..cut]);
            merged.merge(&rule, &of(&did[cut..]));
            prop_assert_eq!(&merged, &of(&did));
            let mut undone = of(&did);
            undone.count(&rule, ActionId(extra.0), extra.1, false);
            undone.count(&rule, ActionId(extra.0), extra.1, true);
            prop_assert_eq!(&undone, &merged);
            let (before, days) = merged.parts();
            prop_assert_eq!(Tally::of(before, days.to_vec()), Some(merged.clone()));
        }
    }
}
