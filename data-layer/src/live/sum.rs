//! Whole numbers that don't overflow, in twelve bytes, and sums of them by bucket of time, which decay when they are read. Not for
//! counts by hour with windows, which are `counters.rs`'s.

/// A value in millionths, clamped to ±10⁹.
#[must_use]
pub fn micros(value: f64) -> i128 {
    // At most 10¹⁵, which is quicker by way of 64 bits.
    let micros =
        (value.clamp(-super::counters::MOST_VALUE, super::counters::MOST_VALUE) * 1e6).round() as i64;
    i128::from(micros)
}

/// A whole number of 96 bits with a sign: 10¹³ of the greatest values fit.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum([u32; 3]);

impl Sum {
    /// The number, held to ±2⁹⁵.
    #[must_use]
    pub fn of(value: i128) -> Self {
        let value = value.clamp(-(1 << 95), (1 << 95) - 1);
        Self([value as u32, (value >> 32) as u32, (value >> 64) as u32])
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i128 {
        let low = u64::from(self.0[0]) | u64::from(self.0[1]) << 32;
        i128::from(self.0[2] as i32) << 64 | i128::from(low)
    }

    /// Adds to it.
    pub fn add(&mut self, by: i128) {
        *self = Self::of(self.get() + by);
    }
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// Positive sums by bucket of time, oldest first; 16 bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Buckets {
    list: Vec<(i32, Sum)>,
    /// The newest bucket that anything fell in; decides which are kept. Stays when that is taken back.
    head: i32,
}

impl Buckets {
    /// Adds to a bucket, or takes back what was added to it; the newest `kept` buckets stay. Nothing is kept of a bucket that comes to
    /// zero or less.
    pub fn add(&mut self, bucket: i32, by: i128, kept: i32) {
        self.head = if self.list.is_empty() { bucket } else { self.head.max(bucket) };
        let oldest = self.head.saturating_sub(kept - 1);
        if bucket >= oldest {
            match self.list.binary_search_by_key(&bucket, |b| b.0) {
                Ok(at) => {
                    self.list[at].1.add(by);
                    if self.list[at].1.get() <= 0 {
                        self.list.remove(at);
                    }
                }
                Err(at) if by > 0 => self.list.insert(at, (bucket, Sum::of(by))),
                Err(_) => {}
            }
        }
        if self.list.first().is_some_and(|b| b.0 < oldest) {
            let gone = self.list.partition_point(|b| b.0 < oldest);
            self.list.drain(..gone);
        }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The newest bucket with anything in it.
    #[must_use]
    pub fn newest(&self) -> Option<i32> {
        self.list.last().map(|b| b.0)
    }

    /// The sum as of bucket `now`, in millionths, each bucket before it weighing 2^−`per_bucket` of the next.
    #[must_use]
    pub fn decayed(&self, now: i32, per_bucket: f64) -> f64 {
        let worth = |(at, sum): &(i32, Sum)| sum.get() as f64 * (f64::from(at - now) * per_bucket).exp2();
        self.list.iter().map(worth).sum()
    }

    /// log2 of the decayed sum as of bucket 0: in the order of this, nothing depends on the clock.
    #[must_use]
    pub fn score(&self, per_bucket: f64) -> Option<f64> {
        let newest = self.newest()?;
        // Most have one bucket.
        let sum = if let [(_, only)] = self.list[..] {
            only.get() as f64
        } else {
            self.decayed(newest, per_bucket)
        };
        Some(sum.log2() + f64::from(newest) * per_bucket)
    }

    /// Newest bucket that counted, and every bucket with its sum, oldest first.
    #[must_use]
    pub fn parts(&self) -> (i32, &[(i32, Sum)]) {
        (self.head, &self.list)
    }

    /// Puts together what [`Buckets::parts`] took apart; `None` where the buckets are not in order, not positive, or beyond the head.
    #[must_use]
    pub fn of(head: i32, list: Vec<(i32, Sum)>) -> Option<Self> {
        let ordered = list.windows(2).all(|w| w[0].0 < w[1].0) && list.iter().all(|b| b.1.get() > 0);
        (ordered && list.last().is_none_or(|b| b.0 <= head)).then_some(Self { list, head })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_is_sixteen_bytes() {
        assert_eq!(size_of::<(i32, Sum)>(), 16);
    }

    proptest! {
        #[test]
        fn sums_are_exact(values in prop::collection::vec(-1_000_000_000_000_000i128..1_000_000_000_000_000, 0..50)) {
            let mut sum = Sum::default();
            values.iter().for_each(|v| sum.add(*v));
            prop_assert_eq!(sum.get(), values.iter().sum::<i128>());
        }

        #[test]
        fn order_of_arrival_does_not_matter(adds in prop::collection::vec((-60i32..60, 1i128..1000), 1..30)) {
            let of = |adds: &[(i32, i128)]| {
                let mut buckets = Buckets::default();
                adds.iter().for_each(|(at, by)| buckets.add(*at, *by, 40));
                buckets
            };
            let mut backwards = adds.clone();
            backwards.reverse();
            let (one, two) = (of(&adds), of(&backwards));
            prop_assert_eq!(&one, &two);
            let (head, list) = one.parts();
            prop_assert_eq!(Buckets::of(head, list.to_vec()), Some(one.clone()));
        }
    }
}
