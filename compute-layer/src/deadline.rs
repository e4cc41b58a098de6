//! Time budgets. The clock is given, so that tests decide what is late; nothing that is *computed* looks at it.

use std::time::Instant;

/// A clock that only moves forward. Not the time of the query, which is `now_ms`.
pub trait Clock: Sync {
    /// Microseconds since some fixed moment.
    fn micros(&self) -> u64;
}

/// The machine's monotonic clock, counted from when it was made.
#[derive(Debug, Clone, Copy)]
pub struct Monotonic(Instant);

impl Monotonic {
    /// Starts at 0 now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Monotonic {
    fn micros(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still: a deadline on it never passes unless it has length 0.
#[derive(Debug, Clone, Copy)]
pub struct Still;

impl Clock for Still {
    fn micros(&self) -> u64 {
        0
    }
}

/// The moment after which work stops and hands back what it has.
#[derive(Clone, Copy)]
pub struct Deadline<'a> {
    clock: &'a dyn Clock,
    end_us: u64,
}

impl std::fmt::Debug for Deadline<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deadline({} µs left)", self.left_us())
    }
}

impl<'a> Deadline<'a> {
    /// Never passes. For offline work.
    #[must_use]
    pub fn never() -> Deadline<'static> {
        Deadline { clock: &Still, end_us: u64::MAX }
    }

    /// Passes `budget_us` microseconds from now, by this clock.
    #[must_use]
    pub fn after(clock: &'a dyn Clock, budget_us: u64) -> Self {
        Self { clock, end_us: clock.micros().saturating_add(budget_us) }
    }

    /// Whether it is too late.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.clock.micros() >= self.end_us
    }

    /// Microseconds left, 0 when it has passed.
    #[must_use]
    pub fn left_us(&self) -> u64 {
        self.end_us.saturating_sub(self.clock.micros())
    }

    /// A nearer deadline: `fraction` (clamped to 0..=1) of the time left.
    #[must_use]
    pub fn share(&self, fraction: f64) -> Self {
        if self.end_us == u64::MAX {
            return *self;
        }
        let now = self.clock.micros();
        let left = self.end_us.saturating_sub(now);
        let part = (left as f64 * fraction.clamp(0.0, 1.0)) as u64;
        Self { clock: self.clock, end_us: now.saturating_add(part.min(left)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Hand(AtomicU64);
    impl Clock for Hand {
        fn micros(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn shares_of_what_is_left_and_never_beyond_it() {
        let clock = Hand(AtomicU64::new(100));
        let whole = Deadline::after(&clock, 1_000);
        assert_eq!(whole.share(0.25).left_us(), 250);
        assert_eq!(whole.share(7.0).left_us(), 1_000);
        clock.0.store(900, Ordering::Relaxed);
        assert_eq!((whole.left_us(), whole.share(0.5).left_us()), (200, 100));
        clock.0.store(1_100, Ordering::Relaxed);
        assert!(whole.passed() && whole.share(1.0).passed());
        assert!(!Deadline::never().passed() && !Deadline::never().share(0.0).passed());
    }
}
