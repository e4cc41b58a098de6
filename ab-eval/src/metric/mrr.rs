//! MRR@k: one over the place of the first hit among the first k, 0 without one.

use super::{Kind, Look, Metric};

/// Mean reciprocal rank.
pub const METRIC: Metric = Metric { name: "mrr", kind: Kind::PerUser(reciprocal_rank) };

fn reciprocal_rank(look: &Look<'_>, k: usize) -> Option<f64> {
    let first = look.hits.iter().take(k).position(|h| *h);
    Some(first.map_or(0.0, |place| 1.0 / (place as f64 + 1.0)))
}

#[cfg(test)]
mod tests {
    use crate::metric::testing::of;

    #[test]
    fn looks_at_the_first_hit_within_the_cut() {
        assert_eq!(of(super::METRIC, &[false, true, true], 2, 3, 9), Some(0.5));
        assert_eq!(of(super::METRIC, &[false, true], 2, 1, 9), Some(0.0));
    }
}
