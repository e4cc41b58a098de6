//! The bootstrap over users (Efron 1979), seeded. Resample `b` draws from stream `b` of the seed, so that a figure and its
//! baseline see the same users (paired), and so does every metric.

use rand::Rng;
use serde::Serialize;

use crate::audience::draw::stream;

/// A figure with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// How often.
    pub times: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Resampling {
    /// How often each of `n` units is drawn in resample `b`.
    #[must_use]
    pub fn counts(&self, n: usize, b: usize) -> Vec<u32> {
        let mut rng = stream(self.seed, b as u64);
        let mut counts = vec![0; n];
        for _ in 0..n {
            counts[rng.random_range(0..n)] += 1;
        }
        counts
    }
}

/// Means of columns over rows, where a cell may be undefined (NaN) and is then left out of its column's mean.
#[must_use]
pub fn means(rows: &[f64], width: usize, counts: Option<&[u32]>) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    let mut weights = vec![0.0; width];
    for (n, row) in rows.chunks_exact(width.max(1)).enumerate() {
        let weight = counts.map_or(1.0, |c| f64::from(c[n]));
        if weight == 0.0 {
            continue;
        }
        for ((sum, total), cell) in sums.iter_mut().zip(&mut weights).zip(row) {
            if !cell.is_nan() {
                *sum += weight * cell;
                *total += weight;
            }
        }
    }
    sums.iter().zip(&weights).map(|(s, w)| s / w).collect()
}

/// The interval between the 2.5th and 97.5th percentile of resampled figures; undefined ones are left out. Without any, the
/// interval is the value.
#[must_use]
pub fn percentile(value: f64, mut resampled: Vec<f64>) -> Estimate {
    resampled.retain(|x| x.is_finite());
    if resampled.is_empty() {
        return Estimate { value, low: value, high: value };
    }
    resampled.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (resampled.len() - 1) as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        let above = (below + 1).min(resampled.len() - 1);
        resampled[below] + part * (resampled[above] - resampled[below])
    };
    Estimate { value, low: at(0.025), high: at(0.975) }
}

/// The value ± 1.96 standard deviations of resampled figures: for figures whose resamples are shifted, such as how many
/// different items were shown.
#[must_use]
pub fn normal(value: f64, resampled: &[f64]) -> Estimate {
    let n = resampled.len() as f64;
    if resampled.len() < 2 {
        return Estimate { value, low: value, high: value };
    }
    let mean = resampled.iter().sum::<f64>() / n;
    let variance = resampled.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = 1.96 * variance.sqrt();
    Estimate { value, low: value - half, high: value + half }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::draw::normal as draw_normal;

    #[test]
    fn resamples_repeat_and_keep_their_size() {
        let r = Resampling { times: 10, seed: 5 };
        assert_eq!(r.counts(100, 3), r.counts(100, 3));
        assert_ne!(r.counts(100, 3), r.counts(100, 4));
        assert_eq!(r.counts(100, 3).iter().sum::<u32>(), 100);
    }

    #[test]
    fn undefined_cells_are_left_out() {
        let rows = [1.0, f64::NAN, 3.0, 4.0];
        assert_eq!(means(&rows, 2, None), [2.0, 4.0]);
        assert_eq!(means(&rows, 2, Some(&[3, 1])), [1.5, 4.0]);
    }

    /// A law: of intervals for the mean of many samples, about 95 % hold the true mean.
    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let (trials, n) = (300, 60);
        let mut held = 0;
        for trial in 0..trials {
            let mut rng = stream(11, trial);
            let sample: Vec<f64> = (0..n).map(|_| 2.0 + draw_normal(&mut rng)).collect();
            let r = Resampling { times: 200, seed: trial };
            let resampled = (0..r.times).map(|b| means(&sample, 1, Some(&r.counts(n, b)))[0]).collect();
            let e = percentile(means(&sample, 1, None)[0], resampled);
            held += u64::from(e.low <= 2.0 && 2.0 <= e.high);
        }
        let share = held as f64 / trials as f64;
        assert!((0.90..=0.98).contains(&share), "{share}");
    }
}
