//! Exact counts and sums per action, in total and in hour buckets. State is integers; windows are computed at read, by one
//! function, [`Counters::window`]. Not for decayed scores, which are `trending.rs`'s.

use super::sum::{Sum, micros};
use crate::config::{ActionId, Actions, Weight};
use crate::types::Millis;
use crate::types::time::HOUR;

/// UTC days, the newest one included, whose hours are kept apart.
const DAYS_KEPT: i32 = 8;
/// Values are summed in millionths.
const MICRO: f64 = 1e6;
/// Largest magnitude of a value. Sums have 96 bits: with 64, nine thousand such values would overflow one.
pub const MOST_VALUE: f64 = 1e9;

/// The windows that reports and exports show.
pub const WINDOWS: [(&str, Millis); 3] = [("1h", HOUR), ("1d", 24 * HOUR), ("7d", 168 * HOUR)];

/// Count and sum of values, per action: in total, and by hour for the last eight UTC days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    series: Vec<Series>,
    /// Newest hour that any action fell in; decides which buckets are kept.
    head: i32,
}

/// What was counted of one action. 48 bytes, and 20 for each hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) action: ActionId,
    pub(super) count: u64,
    pub(super) micros: Sum,
    pub(super) hours: Vec<Bucket>,
}

/// What was counted in one hour (since the epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) hour: i32,
    pub(super) count: u32,
    pub(super) micros: Sum,
}

/// What many actions of one kind in one hour come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Which hour, since the epoch.
    pub hour: i32,
    /// How many there were.
    pub times: u64,
    /// Sum of their values, in millionths.
    pub micros: i128,
    /// Sum of those values that are positive as weights, in millionths.
    pub positive: i128,
}

impl Count {
    /// One action.
    #[must_use]
    pub fn one(value: f64, time: Millis) -> Self {
        Self {
            hour: hour(time),
            times: 1,
            micros: micros(value),
            positive: super::trending::worth(Weight::of_value(value)),
        }
    }

    /// Adds those of the same hour.
    pub fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.micros += other.micros;
        self.positive += other.positive;
    }
}

/// The hour of a time; times lie in the years 1 to 9999.
fn hour(time: Millis) -> i32 {
    time.div_euclid(HOUR).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

impl Counters {
    /// Nothing was counted.
    pub const NONE: Self = Self { series: Vec::new(), head: 0 };

    /// Counts one action with its value, at its event time.
    pub fn add(&mut self, action: ActionId, value: f64, time: Millis) {
        self.add_many(action, hour(time), 1, micros(value));
    }

    /// Counts many actions of one hour; exactly as one after the other.
    pub fn add_many(&mut self, action: ActionId, hour: i32, times: u64, micros: i128) {
        if self.series.is_empty() || hour > self.head {
            self.head = hour;
            self.trim();
        }
        let oldest = self.oldest();
        let at = self.slot(action);
        let series = &mut self.series[at];
        series.count += times;
        series.micros.add(micros);
        if hour < oldest {
            return;
        }
        let count = u32::try_from(times).unwrap_or(u32::MAX);
        match series.hours.binary_search_by_key(&hour, |b| b.hour) {
            Ok(at) => {
                series.hours[at].count = series.hours[at].count.saturating_add(count);
                series.hours[at].micros.add(micros);
            }
            Err(at) => series.hours.insert(at, Bucket { hour, count, micros: Sum::of(micros) }),
        }
    }

    /// Takes one action back that was added before with the same value and time.
    pub fn undo(&mut self, action: ActionId, value: f64, time: Millis) {
        let (hour, micros) = (hour(time), micros(value));
        let Ok(at) = self.series.binary_search_by_key(&action, |s| s.action) else { return };
        let series = &mut self.series[at];
        series.count = series.count.saturating_sub(1);
        series.micros.add(-micros);
        if let Ok(bucket) = series.hours.binary_search_by_key(&hour, |b| b.hour) {
            series.hours[bucket].count = series.hours[bucket].count.saturating_sub(1);
            series.hours[bucket].micros.add(-micros);
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
            ours.micros.add(theirs.micros.get());
            for bucket in &theirs.hours {
                match ours.hours.binary_search_by_key(&bucket.hour, |b| b.hour) {
                    Ok(at) => {
                        ours.hours[at].count += bucket.count;
                        ours.hours[at].micros.add(bucket.micros.get());
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
        self.find(action).map_or(0.0, |s| s.micros.get() as f64 / MICRO)
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
        let wanted = hour(now_ms.saturating_sub(span))..=hour(now_ms);
        let Some(series) = self.find(action) else { return (0, 0.0) };
        let inside = series.hours.iter().filter(|b| wanted.contains(&b.hour));
        let (count, micros) =
            inside.fold((0u64, 0i128), |(c, m), b| (c + u64::from(b.count), m + b.micros.get()));
        (count, micros as f64 / MICRO)
    }

    /// Total weight of the actions whose weight is positive.
    #[must_use]
    pub fn positive(&self, actions: &Actions) -> f64 {
        let worth = |s: &Series| match actions.kind(s.action) {
            Some(Weight::Value) => s.micros.get() as f64 / MICRO,
            Some(Weight::Fixed(weight)) => f64::from(weight) * s.count as f64,
            None => 0.0,
        };
        // From 0.0 on, because an empty sum of floats is −0.0.
        self.series.iter().map(|s| worth(s).max(0.0)).fold(0.0, |a, b| a + b)
    }

    /// The newest hour (since the epoch) with an action, among those kept apart.
    #[must_use]
    pub fn last_hour(&self) -> Option<i64> {
        self.series.iter().filter_map(|s| s.hours.last()).map(|b| i64::from(b.hour)).max()
    }

    /// The newest day (since the epoch) with an action among those kept apart, where nothing newer was ever counted and taken back.
    pub(super) fn newest_day(&self) -> Option<i64> {
        let day = self.last_hour()?.div_euclid(24);
        (i64::from(self.head).div_euclid(24) == day).then_some(day)
    }

    /// Every hour kept apart, with its count, in no order.
    pub fn hours(&self) -> impl Iterator<Item = (i64, u32)> {
        self.series.iter().flat_map(|s| &s.hours).map(|b| (i64::from(b.hour), b.count))
    }

    fn find(&self, action: ActionId) -> Option<&Series> {
        self.series.binary_search_by_key(&action, |s| s.action).ok().map(|at| &self.series[at])
    }

    fn slot(&mut self, action: ActionId) -> usize {
        self.series.binary_search_by_key(&action, |s| s.action).unwrap_or_else(|at| {
            self.series.insert(at, Series { action, count: 0, micros: Sum::default(), hours: Vec::new() });
            at
        })
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let hours: usize = self.series.iter().map(|s| s.hours.capacity() * size_of::<Bucket>()).sum();
        self.series.capacity() * size_of::<Series>() + hours
    }

    /// The newest hour that counted, and what was counted, in order of the action.
    pub(super) fn parts(&self) -> (i32, &[Series]) {
        (self.head, &self.series)
    }

    /// Puts together what [`Counters::parts`] took apart; `None` where actions or hours are not in order.
    pub(super) fn of(head: i32, series: Vec<Series>) -> Option<Self> {
        let hours = |s: &Series| s.hours.windows(2).all(|w| w[0].hour < w[1].hour);
        let ordered = series.windows(2).all(|w| w[0].action < w[1].action) && series.iter().all(hours);
        ordered.then_some(Self { series, head })
    }

    /// The first hour that is kept apart.
    fn oldest(&self) -> i32 {
        (self.head.div_euclid(24) - (DAYS_KEPT - 1)).saturating_mul(24)
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
