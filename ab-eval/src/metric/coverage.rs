//! Coverage@k: the share of the catalogue that was shown to anybody among the first k.

use super::{Kind, Metric};

/// Catalogue coverage.
pub const METRIC: Metric = Metric { name: "coverage", kind: Kind::Overall(coverage) };

fn coverage(shown: &mut [u32], catalogue: usize) -> Option<f64> {
    (catalogue > 0).then(|| shown.len() as f64 / catalogue as f64)
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_items_not_showings() {
        assert_eq!(super::coverage(&mut [5, 1], 8), Some(0.25));
        assert_eq!(super::coverage(&mut [], 0), None);
    }
}
