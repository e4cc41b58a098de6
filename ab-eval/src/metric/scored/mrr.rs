//! MRR of slates that have both labels: one over the place of the first row of label 1, mean over slates; not cut.

use super::{Sample, ScoredMetric, Undefined, ndcg::mean};

/// Mean reciprocal rank of slates.
pub const METRIC: ScoredMetric = ScoredMetric { name: "mrr", cut: false, value: mrr };

fn mrr(sample: &Sample, weights: &[f64], _: usize) -> Result<f64, Undefined> {
    mean(sample, weights, |labels| labels.iter().position(|l| *l).map_or(0.0, |p| 1.0 / (p as f64 + 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_the_first() {
        let sample = Sample::new(vec![false, true], vec![0.9, 0.1], None, None, Some(&[0, 0]));
        assert_eq!(mrr(&sample, &sample.weights, 0), Ok(0.5));
    }
}
