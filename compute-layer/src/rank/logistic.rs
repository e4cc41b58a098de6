//! Logistic regression: the chance that the item is taken, `1 / (1 + exp(-(b + Σ w·x)))`, on raw features (standardisation is folded into
//! the weights when the model is published).

use ndarray::ArrayView2;

use super::{Family, Scorer};
use crate::kernel::dot::dot;
use crate::{Error, Result};
use data_layer::registry::ModelFile;

/// `family = "logistic"`: tensors `weights` (one per feature) and `intercept` (one).
pub const FAMILY: Family = Family { name: "logistic", load };

/// Beyond this a sum counts as this: the sigmoid is 0 or 1 in `f32` long before.
const LIMIT: f32 = 80.0;

#[derive(Debug)]
struct Logistic {
    weights: Vec<f32>,
    intercept: f32,
}

fn load(file: &ModelFile) -> Result<Box<dyn Scorer>> {
    let tensor = |name: &str, len: usize| {
        let place = format!("model {}.tensors.{name}", file.name);
        let found =
            file.tensors.get(name).ok_or_else(|| Error::invalid(&place, "this tensor is required"))?;
        if found.len() != len {
            return Err(Error::invalid(place, format!("expected {len} numbers, found {}", found.len())));
        }
        let narrow: Vec<f32> = found.iter().map(|&x| x as f32).collect();
        match narrow.iter().position(|x| !x.is_finite()) {
            None => Ok(narrow),
            Some(at) => {
                Err(Error::invalid(place, format!("expected finite numbers, found {} at {at}", found[at])))
            }
        }
    };
    let weights = tensor("weights", file.features.len())?;
    let intercept = tensor("intercept", 1)?[0];
    Ok(Box::new(Logistic { weights, intercept }))
}

impl Logistic {
    fn one(&self, row: &[f32]) -> f32 {
        let mut sum = self.intercept + dot(row, &self.weights);
        if !sum.is_finite() {
            sum = self.tamed(row);
        }
        1.0 / (1.0 + (-sum.clamp(-LIMIT, LIMIT)).exp())
    }

    /// For rows that overflow or hold what is not finite: those count as 0, and the sum is made in `f64`.
    #[cold]
    fn tamed(&self, row: &[f32]) -> f32 {
        let terms = row.iter().zip(&self.weights).filter(|(x, _)| x.is_finite());
        let sum: f64 = terms.map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
        (sum + f64::from(self.intercept)).clamp(f64::from(-LIMIT), f64::from(LIMIT)) as f32
    }
}

impl Scorer for Logistic {
    fn score(&self, block: ArrayView2<'_, f32>, out: &mut [f32]) {
        for (row, out) in block.rows().into_iter().zip(out) {
            *out = match row.as_slice() {
                Some(row) => self.one(row),
                None => self.one(&row.to_vec()),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn file(weights: Vec<f64>, intercept: f64) -> ModelFile {
        ModelFile {
            family: "logistic".to_owned(),
            features: weights.iter().map(|_| "x".to_owned()).collect(),
            tensors: [("weights".to_owned(), weights), ("intercept".to_owned(), vec![intercept])].into(),
            ..ModelFile::default()
        }
    }

    #[test]
    fn known_values() {
        let scorer = load(&file(vec![2.0, -1.0], 0.5)).unwrap();
        let block = Array2::from_shape_vec((2, 2), vec![0.0, 0.5, 1.0, 0.0]).unwrap();
        let mut out = [0.0; 2];
        scorer.score(block.view(), &mut out);
        assert_eq!(out[0], 0.5);
        assert!((out[1] - 0.924_141_8).abs() < 1e-6);
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused() {
        let mut short = file(vec![1.0], 0.0);
        short.features.push("y".to_owned());
        assert!(load(&short).unwrap_err().to_string().contains("expected 2 numbers, found 1"));
        assert!(load(&file(vec![f64::INFINITY], 0.0)).is_err());
        assert!(load(&file(vec![1e300], 0.0)).is_err());
    }

    proptest! {
        #[test]
        fn finite_for_any_input_and_batch_equals_single(
            cells in prop::collection::vec(prop_oneof![any::<f32>(), Just(f32::NAN), Just(f32::INFINITY)], 12),
            weights in prop::collection::vec(-1e30_f64..1e30, 3),
        ) {
            let scorer = load(&file(weights, 0.1)).unwrap();
            let block = Array2::from_shape_vec((4, 3), cells).unwrap();
            let mut out = [0.0; 4];
            scorer.score(block.view(), &mut out);
            for (row, whole) in out.iter().enumerate() {
                let mut single = [0.0];
                scorer.score(block.slice(ndarray::s![row..=row, ..]), &mut single);
                prop_assert!((0.0..=1.0).contains(whole));
                prop_assert_eq!(single[0].to_bits(), whole.to_bits());
            }
        }
    }
}
