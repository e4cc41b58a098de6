//! The packed row of one item: sixteen `f32` in one cache line, for ranking. Exact totals are in [`super::Counters`]; a row
//! is derived from them and never the other way round.

use super::counters::Counters;
use crate::config::Actions;
use crate::types::Millis;
use crate::types::time::DAY;

/// UTC days that a row counts apart.
pub const ROW_DAYS: usize = 8;

/// Sixteen `f32`: see the associated constants for the layout. One row is one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C, align(64))]
pub struct Row(pub [f32; 16]);

impl Row {
    /// Total weight of positive actions.
    pub const POSITIVE: usize = 0;
    /// Number of interactions, of every action.
    pub const INTERACTIONS: usize = 1;
    /// Number of impressions.
    pub const IMPRESSIONS: usize = 2;
    /// When it was created, in days since the epoch; 0 where unknown.
    pub const CREATED: usize = 3;
    /// Time of the last interaction, in days since the epoch, to the hour; 0 where there was none.
    pub const LAST: usize = 4;
    /// The newest UTC day with an interaction, in days since the epoch.
    pub const HEAD: usize = 5;
    /// First of [`ROW_DAYS`] counts of interactions: head, head − 1, … head − 7.
    pub const DAYS: usize = 6;

    /// Brings what is derived from counters up to date.
    pub fn follow(&mut self, counters: &Counters, actions: &Actions) {
        self.follow_totals(counters, actions);
        let row = &mut self.0;
        row[Self::DAYS..Self::DAYS + ROW_DAYS].fill(0.0);
        // Where an item's kept hours are empty, its last interaction is older than they reach, or there is none.
        let Some(last) = counters.last_hour() else {
            if counters.all() == 0 {
                (row[Self::LAST], row[Self::HEAD]) = (0.0, 0.0);
            }
            return;
        };
        let head = last.div_euclid(24);
        row[Self::HEAD] = head as f32;
        for (hour, count) in counters.hours() {
            if let Ok(back) = usize::try_from(head - hour.div_euclid(24))
                && back < ROW_DAYS
            {
                row[Self::DAYS + back] += count as f32;
            }
        }
    }

    /// As [`Row::follow`], but for the days.
    pub fn follow_totals(&mut self, counters: &Counters, actions: &Actions) {
        self.0[Self::POSITIVE] = counters.positive(actions) as f32;
        self.0[Self::INTERACTIONS] = counters.all() as f32;
        if let Some(last) = counters.last_hour() {
            self.0[Self::LAST] = (last as f64 / 24.0) as f32;
        }
    }

    /// Total weight of positive actions.
    #[must_use]
    pub fn positive(&self) -> f32 {
        self.0[Self::POSITIVE]
    }

    /// Number of interactions.
    #[must_use]
    pub fn interactions(&self) -> f32 {
        self.0[Self::INTERACTIONS]
    }

    /// Number of impressions.
    #[must_use]
    pub fn impressions(&self) -> f32 {
        self.0[Self::IMPRESSIONS]
    }

    /// When it was created, in days since the epoch, if that is known.
    #[must_use]
    pub fn created_days(&self) -> Option<f32> {
        (self.0[Self::CREATED] != 0.0).then_some(self.0[Self::CREATED])
    }

    /// Time of the last interaction, in days since the epoch, if there was one.
    #[must_use]
    pub fn last_days(&self) -> Option<f32> {
        (self.0[Self::LAST] != 0.0).then_some(self.0[Self::LAST])
    }

    /// Interactions of the UTC day of `now_ms` and the `days` days before it, so at least of the last `days` × 24 hours;
    /// `days` in 0..=7. Days after `now_ms` don't count.
    #[must_use]
    pub fn count_within(&self, days: u32, now_ms: Millis) -> f32 {
        let head = self.0[Self::HEAD] as i64;
        let today = now_ms.div_euclid(DAY);
        let wanted = today - i64::from(days.min(ROW_DAYS as u32 - 1))..=today;
        let counts = self.0[Self::DAYS..].iter().take(ROW_DAYS).zip(0i64..);
        counts.filter(|(_, back)| wanted.contains(&(head - back))).map(|(count, _)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ActionId;
    use crate::live::{ItemTable, Items};
    use crate::types::{Id, Schema};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_kept_up_to_date_is_one_made_anew(
            events in prop::collection::vec((0u8..4, 0..30 * DAY, any::<bool>()), 1..60),
        ) {
            let (actions, mut items) = (Actions::default(), ItemTable::new(&Schema::reserved()));
            let item = items.intern_id(&Id::new("x").unwrap());
            for (action, time, back) in events {
                match back {
                    true => items.undo(item, &actions, ActionId(action), 1.0, time),
                    false => items.did(item, &actions, ActionId(action), 1.0, time),
                }
                let mut anew = Row::default();
                anew.follow(items.counters(item), &actions);
                // The last interaction of all stays known when its hour is no longer kept.
                anew.0[Row::LAST] = items.row(item).0[Row::LAST];
                anew.0[Row::HEAD] = items.row(item).0[Row::HEAD];
                prop_assert_eq!(anew, *items.row(item));
            }
        }
    }

    #[test]
    fn a_row_is_one_cache_line() {
        assert_eq!((size_of::<Row>(), align_of::<Row>()), (64, 64));
    }

    #[test]
    fn windows_look_back_from_now_and_not_from_the_head() {
        let mut row = Row::default();
        row.0[Row::HEAD] = 100.0;
        for (back, slot) in row.0[Row::DAYS..Row::DAYS + ROW_DAYS].iter_mut().enumerate() {
            *slot = (back + 1) as f32;
        }
        assert_eq!(row.count_within(0, 100 * DAY), 1.0);
        assert_eq!(row.count_within(1, 100 * DAY + 5), 3.0);
        assert_eq!(row.count_within(7, 100 * DAY), 36.0);
        assert_eq!(row.count_within(1, 102 * DAY), 0.0);
        assert_eq!(row.count_within(1, 99 * DAY), 2.0 + 3.0);
        assert_eq!(row.count_within(7, 50 * DAY), 0.0);
    }
}
