//! MAP@k: mean over users of the average precision at hits, divided by all that the user took (trec_eval's `map_cut`).

use super::{Kind, Look, Metric};

/// Mean average precision.
pub const METRIC: Metric = Metric { name: "map", kind: Kind::PerUser(average_precision) };

fn average_precision(look: &Look<'_>, k: usize) -> Option<f64> {
    let mut found = 0.0;
    let mut sum = 0.0;
    for (place, hit) in look.hits.iter().take(k).enumerate() {
        if *hit {
            found += 1.0;
            sum += found / (place as f64 + 1.0);
        }
    }
    Some(sum / look.relevant as f64)
}

#[cfg(test)]
mod tests {
    use crate::metric::testing::of;

    #[test]
    fn averages_precision_at_hits() {
        assert_eq!(of(super::METRIC, &[true, false, true, false], 2, 4, 9), Some((1.0 + 2.0 / 3.0) / 2.0));
    }
}
