//! Normalised entropy: log loss over that of always saying the mean label; below 1 is better than knowing nothing of the
//! row (He et al. 2014).

use super::{Sample, ScoredMetric, Undefined, log_loss};

/// Normalised entropy.
pub const METRIC: ScoredMetric = ScoredMetric { name: "ne", cut: false, value: ne };

fn ne(sample: &Sample, weights: &[f64], k: usize) -> Result<f64, Undefined> {
    let loss = log_loss::log_loss(sample, weights, k)?;
    let total: f64 = weights.iter().sum();
    let positives: f64 = sample.labels.iter().zip(weights).filter(|(l, _)| **l).map(|(_, w)| w).sum();
    let share = positives / total;
    if share <= 0.0 || share >= 1.0 {
        return Err(Undefined::OneClass);
    }
    Ok(loss / -(share * share.ln() + (1.0 - share) * (1.0 - share).ln()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_for_the_mean_label() {
        let sample = Sample::new(vec![true, false, false, false], vec![0.25; 4], None, None, None);
        assert!((ne(&sample, &sample.weights, 0).unwrap() - 1.0).abs() < 1e-12);
        let sample = Sample::new(vec![true; 2], vec![0.25; 2], None, None, None);
        assert_eq!(ne(&sample, &sample.weights, 0), Err(Undefined::OneClass));
    }
}
