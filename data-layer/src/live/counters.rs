//! Exact counts and sums per action, in total and in hour buckets. State is integers; windows are computed at read, by one
//! function, [`Counters::window`]. Not for decayed scores, which are `trending.rs`'s.

use crate::config::{ActionId, Actions, Weight};
use crate::types::Millis;
use crate::types::time::HOUR;

/// UTC days, the newest one included, whose hours are kept apart.
const DAYS_KEPT: i64 = 8;
/// Values are summed in millionths.
const MICRO: f64 = 1e6;
/// Largest magnitude of a value. Sums have 128 bits: with 64, nine thousand such values would overflow one.
pub const MOST_VALUE: f64 = 1e9;

/// The windows that reports and exports show.
pub const WINDOWS: [(&str, Millis); 3] = [("1h", HOUR), ("1d", 24 * HOUR), ("7d", 168 * HOUR)];

/// A value in millionths, clamped to ±[`MOST_VALUE`].
#[must_use]
pub fn micros(value: f64) -> i128 {
    (value.clamp(-MOST_VALUE, MOST_VALUE) * MICRO).round() as i128
}

/// Count and sum of values, per action: in total, and by hour for the last eight UTC days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    series: Vec<Series>,
    /// Newest hour that any action fell in; decides which buckets are kept.
    head: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Series {
    action: ActionId,
    count: u64,
    micros: i128,
    hours: Vec<Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    hour: i64,
    count: u32,
    micros: i128,
}

impl Counters {
    /// Counts one action with its value, at its event time.
    pub fn add(&mut self, action: ActionId, value: f64, time: Millis) {
        let (hour, micros) = (time.div_euclid(HOUR), micros(value));
        if self.series.is_empty() || hour > self.head {
            self.head = hour;
            self.trim();
        }
        let oldest = self.oldest();
        let at = self.slot(action);
        let series = &mut self.series[at];
        series.count += 1;
        series.micros += micros;
        if hour < oldest {
            return;
        }
        match series.hours.binary_search_by_key(&hour, |b| b.hour) {
            Ok(at) => {
                series.hours[at].count += 1;
                series.hours[at].micros += micros;
            }
            Err(at) => series.hours.insert(at, Bucket { hour, count: 1, micros }),
        }
    }

    /// Takes one action back that was added before with the same value and time.
    pub fn undo(&mut self, action: ActionId, value: f64, time: Millis) {
        let (hour, micros) = (time.div_euclid(HOUR), micros(value));
        let Ok(at) = self.series.binary_search_by_key(&action, |s| s.action) else { return };
        let series = &mut self.series[at];
        series.count = series.count.saturating_sub(1);
        series.micros -= micros;
        if let Ok(bucket) = series.hours.binary_search_by_key(&hour, |b| b.hour) {
            series.hours[bucket].count = series.hours[bucket].count.saturating_sub(1);
            series.hours[bucket].micros -= micros;
            if series.hours[bucket].count == 0 {
                series.hours.remove(bucket);
            }
        }
        if series.count == 0 {
            self.series.remove(at);
        }
    }

    /// Adds all of `other`, as if its actions had been counted here.
    pub fn merge(&mut self, other: &Self) {
        if other.series.is_empty() {
            return;
        }
        self.head = if self.series.is_empty() { other.head } else { self.head.max(other.head) };
        for theirs in &other.series {
            let at = self.slot(theirs.action);
            let ours = &mut self.series[at];
            ours.count += theirs.count;
            ours.micros += theirs.micros;
            for bucket in &theirs.hours {
                match ours.hours.binary_search_by_key(&bucket.hour, |b| b.hour) {
                    Ok(at) => {
                        ours.hours[at].count += bucket.count;
                        ours.hours[at].micros += bucket.micros;
                    }
                    Err(at) => ours.hours.insert(at, *bucket),
                }
            }
        }
        self.trim();
    }

    /// The actions that were counted, in order of their number.
    pub fn actions(&self) -> impl Iterator<Item = ActionId> {
        self.series.iter().map(|s| s.action)
    }

    /// How often this action was done, ever. Exact.
    #[must_use]
    pub fn total(&self, action: ActionId) -> u64 {
        self.find(action).map_or(0, |s| s.count)
    }

    /// Sum of the values of this action, ever, to a millionth.
    #[must_use]
    pub fn sum(&self, action: ActionId) -> f64 {
        self.find(action).map_or(0.0, |s| s.micros as f64 / MICRO)
    }

    /// How often anything was done, ever. Exact.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.series.iter().map(|s| s.count).sum()
    }

    /// Count and sum of one action in the hour of `now_ms` and the hours that `span` reaches back into, so at least in the
    /// last `span` milliseconds and at most an hour more; `span` up to seven days. Hours after `now_ms` don't count.
    #[must_use]
    pub fn window(&self, action: ActionId, span: Millis, now_ms: Millis) -> (u64, f64) {
        let wanted = now_ms.saturating_sub(span).div_euclid(HOUR)..=now_ms.div_euclid(HOUR);
        let Some(series) = self.find(action) else { return (0, 0.0) };
        let inside = series.hours.iter().filter(|b| wanted.contains(&b.hour));
        let (count, micros) = inside.fold((0u64, 0i128), |(c, m), b| (c + u64::from(b.count), m + b.micros));
        (count, micros as f64 / MICRO)
    }

    /// Total weight of the actions whose weight is positive.
    #[must_use]
    pub fn positive(&self, actions: &Actions) -> f64 {
        let worth = |s: &Series| match actions.iter().nth(usize::from(s.action.0)) {
            Some((_, _, Weight::Value)) => s.micros as f64 / MICRO,
            Some((_, _, Weight::Fixed(weight))) => f64::from(weight) * s.count as f64,
            None => 0.0,
        };
        // From 0.0 on, because an empty sum of floats is −0.0.
        self.series.iter().map(|s| worth(s).max(0.0)).fold(0.0, |a, b| a + b)
    }

    /// The newest hour (since the epoch) with an action, among those kept apart.
    #[must_use]
    pub fn last_hour(&self) -> Option<i64> {
        self.series.iter().filter_map(|s| s.hours.last()).map(|b| b.hour).max()
    }

    /// Every hour kept apart, with its count, in no order.
    pub fn hours(&self) -> impl Iterator<Item = (i64, u32)> {
        self.series.iter().flat_map(|s| &s.hours).map(|b| (b.hour, b.count))
    }

    fn find(&self, action: ActionId) -> Option<&Series> {
        self.series.binary_search_by_key(&action, |s| s.action).ok().map(|at| &self.series[at])
    }

    fn slot(&mut self, action: ActionId) -> usize {
        self.series.binary_search_by_key(&action, |s| s.action).unwrap_or_else(|at| {
            self.series.insert(at, Series { action, count: 0, micros: 0, hours: Vec::new() });
            at
        })
    }

    /// The first hour that is kept apart.
    fn oldest(&self) -> i64 {
        (self.head.div_euclid(24) - (DAYS_KEPT - 1)) * 24
    }

    fn trim(&mut self) {
        let oldest = self.oldest();
        for series in &mut self.series {
            let gone = series.hours.partition_point(|b| b.hour < oldest);
            series.hours.drain(..gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event() -> impl Strategy<Value = (u8, f64, Millis)> {
        (0u8..3, (-40i32..40).prop_map(|v| f64::from(v) / 8.0), 0..20 * 24 * HOUR)
    }

    fn counted(events: &[(u8, f64, Millis)]) -> Counters {
        let mut counters = Counters::default();
        for (action, value, time) in events {
            counters.add(ActionId(*action), *value, *time);
        }
        counters
    }

    #[test]
    fn the_greatest_values_never_overflow_a_sum() {
        let mut counters = Counters::default();
        for _ in 0..20_000 {
            counters.add(ActionId(0), f64::MAX, 0);
        }
        assert_eq!(counters.sum(ActionId(0)), 20_000.0 * MOST_VALUE);
        assert_eq!(counters.window(ActionId(0), i64::MAX, i64::MIN), (0, 0.0));
        assert_eq!(counters.window(ActionId(0), HOUR, 1), (20_000, 20_000.0 * MOST_VALUE));
    }

    proptest! {
        #[test]
        fn order_of_arrival_and_split_do_not_matter(
            events in prop::collection::vec(event(), 1..40),
            seed in any::<u64>(),
            at in any::<prop::sample::Index>(),
        ) {
            let mut shuffled = events.clone();
            shuffled.sort_by_key(|(a, _, t)| (*t as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(*a));
            prop_assert_eq!(counted(&events), counted(&shuffled));
            let at = at.index(events.len());
            let mut merged = counted(&events[..at]);
            merged.merge(&counted(&events[at..]));
            prop_assert_eq!(counted(&events), merged);
        }

        #[test]
        fn undoing_is_as_if_it_never_was(events in prop::collection::vec(event(), 1..40), last in event()) {
            let before = counted(&events);
            let mut after = before.clone();
            after.add(ActionId(last.0), last.1, last.2);
            after.undo(ActionId(last.0), last.1, last.2);
            for action in (0..3).map(ActionId) {
                prop_assert_eq!(before.total(action), after.total(action));
                prop_assert_eq!(before.sum(action), after.sum(action));
            }
        }

        #[test]
        fn windows_count_what_a_plain_scan_counts(events in prop::collection::vec(event(), 1..40)) {
            let counters = counted(&events);
            let now = events.iter().map(|e| e.2).max().unwrap_or(0);
            for (_, span) in WINDOWS {
                let inside = |t: Millis| t.div_euclid(HOUR) >= (now - span).div_euclid(HOUR);
                let plain = events.iter().filter(|(a, _, t)| *a == 1 && inside(*t)).count() as u64;
                prop_assert_eq!(counters.window(ActionId(1), span, now).0, plain);
            }
        }
    }
}
