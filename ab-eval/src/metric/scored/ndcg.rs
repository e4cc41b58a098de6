//! NDCG@k within slates that have both labels, mean over slates; gains, discount and ideal as in `metric::ndcg`. Equal
//! scores keep the order of the file.

use super::{Sample, ScoredMetric, Undefined};
use crate::metric::ndcg::discount;

/// NDCG of slates.
pub const METRIC: ScoredMetric = ScoredMetric { name: "ndcg", cut: true, value: ndcg };

fn ndcg(sample: &Sample, weights: &[f64], k: usize) -> Result<f64, Undefined> {
    mean(sample, weights, |labels| {
        let gained: f64 =
            labels.iter().take(k).enumerate().filter(|(_, l)| **l).map(|(p, _)| discount(p)).sum();
        let positives = labels.iter().filter(|l| **l).count();
        gained / (0..positives.min(k)).map(discount).sum::<f64>()
    })
}

/// Mean over slates of a figure of their labels, best score first. A slate counts as often as it was drawn; weights of
/// single rows play no part.
pub(super) fn mean(sample: &Sample, weights: &[f64], of: impl Fn(&[bool]) -> f64) -> Result<f64, Undefined> {
    let slates = sample.slates.as_ref().ok_or(Undefined::NoColumn("slate"))?;
    let (mut sum, mut total) = (0.0, 0.0);
    for slate in slates {
        let drawn = weights[slate.row] / sample.weights[slate.row];
        if drawn > 0.0 {
            sum += drawn * of(&slate.labels);
            total += drawn;
        }
    }
    if total > 0.0 { Ok(sum / total) } else { Err(Undefined::NoSlate) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_slates_with_both_labels() {
        let labels = vec![true, false, false, true, true];
        let scores = vec![0.9, 0.1, 0.5, 0.2, 0.3];
        let sample = Sample::new(labels, scores, None, None, Some(&[0, 0, 1, 1, 2]));
        let expected = (1.0 + 1.0 / 3f64.log2()) / 2.0;
        assert!((ndcg(&sample, &sample.weights, 10).unwrap() - expected).abs() < 1e-12);
    }
}
