//! Hit rate@k: the share of users with at least one hit among the first k.

use super::{Kind, Look, Metric};

/// Hit rate.
pub const METRIC: Metric = Metric { name: "hit_rate", kind: Kind::PerUser(hit) };

fn hit(look: &Look<'_>, k: usize) -> Option<f64> {
    Some(f64::from(u8::from(look.found(k) > 0)))
}

#[cfg(test)]
mod tests {
    use crate::metric::testing::of;

    #[test]
    fn is_one_or_nothing() {
        assert_eq!(of(super::METRIC, &[true, true], 2, 2, 9), Some(1.0));
        assert_eq!(of(super::METRIC, &[false, true], 2, 1, 9), Some(0.0));
    }
}
