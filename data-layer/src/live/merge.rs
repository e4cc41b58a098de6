//! Which of two values of one field stays: the newer event time, then the source of higher priority, then the greater
//! value; a cleared field is less than any value. So order of arrival never matters.

use std::cmp::Ordering;

use crate::config::Priorities;
use crate::types::{Millis, Value};

/// When and by whom a field was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Event time.
    pub time: Millis,
    /// Priority of the source; higher wins at equal times.
    pub priority: u8,
    /// Whether there is a value; `false` after a clear.
    pub present: bool,
}

impl Stamp {
    /// Nothing was ever said.
    pub const NEVER: Self = Self { time: Millis::MIN, priority: 0, present: false };

    /// A stamp for a value or a clear at `time` by `source`.
    #[must_use]
    pub fn new(time: Millis, source: Option<&str>, sources: &Priorities) -> Self {
        Self { time, priority: sources.priority(source), present: true }
    }

    /// Whether anything was ever said, a clear included.
    #[must_use]
    pub fn said(&self) -> bool {
        self.time != Millis::MIN
    }

    /// Order of two statements, before their values are compared.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        self.time.cmp(&other.time).then(self.priority.cmp(&other.priority))
    }
}

/// Order of two values of one field, with the cleared one least.
#[must_use]
pub fn value_order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.merge_order(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// A small value that merges by the same rule, such as `deleted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped<T> {
    /// The value that stands.
    pub value: T,
    /// When it was said.
    pub stamp: Stamp,
}

impl<T: Copy + Ord> Stamped<T> {
    /// Merges a statement; says whether it won.
    pub fn merge(&mut self, value: T, stamp: Stamp) -> bool {
        let wins = self.stamp.order(&stamp).then_with(|| self.value.cmp(&value)).is_lt();
        if wins {
            *self = Self { value, stamp };
        }
        wins
    }
}
