//! Judges scored rows: every metric of the list in `metric::scored`, with intervals; says which are not defined and why.

use crate::inference::bootstrap::{Estimate, Resampling, normal};
use crate::metric::scored::{SCORED, Sample, Undefined};

/// One figure, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredFigure {
    /// `auc`, `ndcg@10`.
    pub name: String,
    /// The figure with its interval.
    pub estimate: Result<Estimate, Undefined>,
}

/// Computes every metric, cut ones at each of `cuts`. What is resampled are users, else slates, else rows; intervals are the
/// value ± 1.96 deviations of the resamples.
#[must_use]
pub fn judge(sample: &Sample, cuts: &[usize], resampling: Resampling) -> Vec<ScoredFigure> {
    let columns: Vec<(String, usize, usize)> = SCORED
        .iter()
        .enumerate()
        .flat_map(|(m, metric)| {
            let cut = |k: &usize| (format!("{}@{k}", metric.name), m, *k);
            if metric.cut { cuts.iter().map(cut).collect() } else { vec![(metric.name.to_owned(), m, 0)] }
        })
        .collect();
    let values: Vec<_> =
        columns.iter().map(|(_, m, k)| (SCORED[*m].value)(sample, &sample.weights, *k)).collect();
    let mut resampled = vec![Vec::new(); columns.len()];
    let mut weights = vec![0.0; sample.labels.len()];
    for b in 0..resampling.times {
        let counts = resampling.counts(sample.unit_count, b);
        for (row, weight) in weights.iter_mut().enumerate() {
            *weight = sample.weights[row] * f64::from(counts[sample.units[row] as usize]);
        }
        for (c, (_, m, k)) in columns.iter().enumerate().filter(|(c, _)| values[*c].is_ok()) {
            resampled[c].extend((SCORED[*m].value)(sample, &weights, *k).ok());
        }
    }
    columns
        .into_iter()
        .zip(values.into_iter().zip(resampled))
        .map(|((name, _, _), (value, resampled))| ScoredFigure {
            name,
            estimate: value.map(|value| normal(value, &resampled)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_is_said_and_does_not_stop_the_rest() {
        let sample = Sample::new(vec![true, true], vec![0.5, 0.7], None, None, None);
        let figures = judge(&sample, &[5], Resampling { times: 20, seed: 1 });
        let of = |name: &str| figures.iter().find(|f| f.name == name).unwrap().estimate;
        assert_eq!(of("auc"), Err(Undefined::OneClass));
        assert_eq!(of("gauc"), Err(Undefined::NoColumn("user")));
        assert_eq!(of("ndcg@5"), Err(Undefined::NoColumn("slate")));
        assert!(of("log_loss").unwrap().value > 0.0);
    }
}
