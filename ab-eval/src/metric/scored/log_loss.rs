//! Log loss: the mean of −ln of the chance that was given to what happened.

use super::{Sample, ScoredMetric, Undefined};
use crate::metric::binary;

/// Log loss.
pub const METRIC: ScoredMetric = ScoredMetric { name: "log_loss", cut: false, value: log_loss };

/// The loss itself; needs chances, not any score.
pub(super) fn log_loss(sample: &Sample, weights: &[f64], _: usize) -> Result<f64, Undefined> {
    if !sample.chances {
        return Err(Undefined::NoChances);
    }
    binary::log_loss(&sample.labels, &sample.scores, Some(weights)).ok_or(Undefined::OneClass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_chances() {
        let sample = Sample::new(vec![true, false], vec![2.0, -1.0], None, None, None);
        assert_eq!(log_loss(&sample, &sample.weights, 0), Err(Undefined::NoChances));
    }
}
