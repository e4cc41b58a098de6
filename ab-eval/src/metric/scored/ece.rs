//! Expected calibration error: rows in 15 bins of equal width by score (lower edge out, upper edge in), the weighted mean of
//! |mean score − mean label| (Guo et al. 2017). Biased upwards on few rows, and so are its resamples: the interval is around
//! the value by their deviation.

use super::{Sample, ScoredMetric, Undefined};

/// Expected calibration error.
pub const METRIC: ScoredMetric = ScoredMetric { name: "ece", cut: false, value: ece };

const BINS: usize = 15;

fn ece(sample: &Sample, weights: &[f64], _: usize) -> Result<f64, Undefined> {
    if !sample.chances {
        return Err(Undefined::NoChances);
    }
    let mut gaps = [0.0; BINS];
    for (row, weight) in weights.iter().enumerate() {
        let bin = (sample.scores[row] * BINS as f64).ceil() as usize;
        gaps[bin.clamp(1, BINS) - 1] +=
            weight * (sample.scores[row] - f64::from(u8::from(sample.labels[row])));
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 { Ok(gaps.iter().map(|g| g.abs()).sum::<f64>() / total) } else { Err(Undefined::OneClass) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_for_honest_chances_and_the_gap_for_others() {
        let sample = Sample::new(vec![true, false, false, false], vec![0.25; 4], None, None, None);
        assert_eq!(ece(&sample, &sample.weights, 0), Ok(0.0));
        let sample = Sample::new(vec![true, false], vec![1.0, 1.0], None, None, None);
        assert_eq!(ece(&sample, &sample.weights, 0), Ok(0.5));
    }
}
