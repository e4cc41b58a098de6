//! Logistic regression by linfa (L-BFGS), wrapped for what can go wrong: features are standardised and the scale folded back
//! into the weights, tolerance and penalty grow with the rows because linfa's loss is a sum, the model's polarity is read and not
//! guessed, and negatives that were left out turn the intercept back.

use linfa::prelude::*;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, Axis, ShapeBuilder};

use super::{Family, Spec, Tensors};
use crate::{Error, Result};

/// The family `logistic`.
pub const FAMILY: Family = Family { name: "logistic", fit, score };

/// Learns weights for raw features; `tensors`: `weights` (k) and `intercept` (1).
fn fit(x: &Array2<f64>, y: &[u8], kept: f64, spec: &Spec) -> Result<Tensors> {
    let n = y.len() as f64;
    let positives = y.iter().filter(|l| **l == 1).count();
    if positives == 0 || positives == y.len() {
        return Err(Error::invalid(
            "samples",
            format!("expected both labels, found {positives} positives in {} rows", y.len()),
        ));
    }
    let (mean, scale) = moments(x);
    let mut standard = Array2::zeros(x.raw_dim().f());
    for (c, column) in x.axis_iter(Axis(1)).enumerate() {
        standard.column_mut(c).assign(&column.mapv(|v| (v - mean[c]) / scale[c]));
    }
    let labels: Array1<bool> = y.iter().map(|l| *l == 1).collect();
    let fitted = LogisticRegression::default()
        .alpha(spec.l2 * n)
        .gradient_tolerance(spec.tolerance * n)
        .max_iterations(spec.max_steps)
        .fit(&Dataset::new(standard, labels))
        .map_err(|e| Error::invalid("logistic", e.to_string()))?;
    // linfa's positive class is the more frequent one.
    let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
    let weights: Vec<f64> = fitted.params().iter().zip(&scale).map(|(w, s)| sign * w / s).collect();
    let shift: f64 = weights.iter().zip(&mean).map(|(w, m)| w * m).sum();
    let intercept = sign * fitted.intercept() - shift + kept.ln();
    if weights.iter().chain([&intercept]).any(|w| !w.is_finite()) {
        return Err(Error::invalid("logistic", "the solver gave weights that are not finite; raise l2"));
    }
    Ok(Tensors::from([("weights".into(), weights), ("intercept".into(), vec![intercept])]))
}

/// Mean and deviation of each column; 1 for a column that does not vary.
fn moments(x: &Array2<f64>) -> (Vec<f64>, Vec<f64>) {
    let n = x.nrows().max(1) as f64;
    x.axis_iter(Axis(1))
        .map(|column| {
            let mean = column.sum() / n;
            let deviation = (column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            (mean, if deviation > 1e-9 { deviation } else { 1.0 })
        })
        .unzip()
}

/// Probability of label 1.
fn score(tensors: &Tensors, x: &Array2<f64>) -> Vec<f64> {
    let none = Vec::new();
    let weights = tensors.get("weights").unwrap_or(&none);
    let intercept = tensors.get("intercept").and_then(|i| i.first()).copied().unwrap_or(0.0);
    let of = |row: ndarray::ArrayView1<'_, f64>| {
        let sum: f64 = row.iter().zip(weights).map(|(v, w)| v * w).sum();
        1.0 / (1.0 + (-(sum + intercept)).exp())
    };
    x.axis_iter(Axis(0)).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Validation, metric};

    fn spec() -> Spec {
        Spec {
            name: "t".into(),
            family: "logistic".into(),
            features: vec!["a".into(), "b".into()],
            optional: Vec::new(),
            l2: 1e-4,
            max_steps: 300,
            tolerance: 1e-6,
            seed: 0,
            validation: Validation::default(),
        }
    }

    /// Rows whose log-odds are `2·a − b/50 + level`, a in 0..1, b in 100..200.
    fn rows(level: f64) -> (Array2<f64>, Vec<u8>) {
        let draw = |r: usize, k: u64| {
            (xxhash_rust::xxh3::xxh3_64_with_seed(&(r as u64).to_le_bytes(), k) >> 11) as f64
                / (1_u64 << 53) as f64
        };
        let n = 6000;
        let mut x = Array2::zeros((n, 2).f());
        let mut y = Vec::new();
        for r in 0..n {
            (x[[r, 0]], x[[r, 1]]) = (draw(r, 1), 100.0 + 100.0 * draw(r, 2));
            let odds = 2.0 * x[[r, 0]] - x[[r, 1]] / 50.0 + level;
            y.push(u8::from(draw(r, 3) < 1.0 / (1.0 + (-odds).exp())));
        }
        (x, y)
    }

    #[test]
    fn polarity_and_scale_hold_with_few_and_with_many_positives() {
        for (level, low, high) in [(-0.6, 0.04, 0.13), (4.6, 0.87, 0.96)] {
            let (x, y) = rows(level);
            let share = y.iter().filter(|l| **l == 1).count() as f64 / y.len() as f64;
            assert!((low..high).contains(&share), "{share}");
            let tensors = fit(&x, &y, 1.0, &spec()).unwrap();
            let w = &tensors["weights"];
            assert!((w[0] - 2.0).abs() < 0.6 && (w[1] + 0.02).abs() < 0.006, "{w:?}");
            let p = score(&tensors, &x);
            assert!(metric::auc(&p, &y) > 0.6);
            let mean = p.iter().sum::<f64>() / p.len() as f64;
            assert!((mean - share).abs() < 0.01, "{mean} {share}");
        }
    }

    #[test]
    fn left_out_negatives_turn_the_level_back() {
        let (x, y) = rows(-0.6);
        let keep: Vec<usize> = (0..y.len()).filter(|r| y[*r] == 1 || r % 5 == 0).collect();
        let mut thin = Array2::zeros((keep.len(), 2).f());
        keep.iter().enumerate().for_each(|(to, r)| thin.row_mut(to).assign(&x.row(*r)));
        let labels: Vec<u8> = keep.iter().map(|r| y[*r]).collect();
        let p = score(&fit(&thin, &labels, 0.2, &spec()).unwrap(), &x);
        let share = y.iter().filter(|l| **l == 1).count() as f64 / y.len() as f64;
        assert!((p.iter().sum::<f64>() / p.len() as f64 - share).abs() < 0.02);
    }

    #[test]
    fn one_label_only_is_refused() {
        let (x, _) = rows(0.0);
        assert!(fit(&x, &vec![1; 6000], 1.0, &spec()).unwrap_err().to_string().contains("both labels"));
    }
}
