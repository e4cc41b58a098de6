//! Recall@k: hits among the first k over all that the user took.

use super::{Kind, Look, Metric};

/// Recall.
pub const METRIC: Metric = Metric { name: "recall", kind: Kind::PerUser(recall) };

fn recall(look: &Look<'_>, k: usize) -> Option<f64> {
    Some(look.found(k) as f64 / look.relevant as f64)
}

#[cfg(test)]
mod tests {
    use crate::metric::testing::of;

    #[test]
    fn divides_by_what_was_taken() {
        assert_eq!(of(super::METRIC, &[true, false, true], 4, 2, 9), Some(0.25));
        assert_eq!(of(super::METRIC, &[], 4, 2, 9), Some(0.0));
    }
}
