//! Models that score candidates. One file per family, one line in [`FAMILIES`]. Training is the trainer's; here models are only applied.

pub mod logistic;

use ndarray::ArrayView2;

use crate::params::did_you_mean;
use crate::{Error, Result};
use data_layer::registry::ModelFile;

/// Every model family there is.
pub const FAMILIES: &[Family] = &[
    logistic::FAMILY, // sigmoid of a weighted sum
];

/// A family of models, as a model file names it.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The word in the model file's `family`.
    pub name: &'static str,
    /// Checks the tensors and makes a scorer.
    pub load: fn(&ModelFile) -> Result<Box<dyn Scorer>>,
}

/// Scores a block of feature rows.
pub trait Scorer: Send + Sync + std::fmt::Debug {
    /// One score per row (n × k, the model's features in order) into `out`, as far as both reach. Scores are finite for any input; a row's
    /// score does not depend on the other rows.
    fn score(&self, block: ArrayView2<'_, f32>, out: &mut [f32]);
}

/// A loaded model: which features it wants, and how it scores them.
#[derive(Debug)]
pub struct Model {
    /// Names of the features, in the order of its columns.
    pub features: Vec<String>,
    /// The scorer.
    pub scorer: Box<dyn Scorer>,
}

impl Model {
    /// Loads a model of any known family.
    ///
    /// # Errors
    /// An unknown family, or tensors that do not fit the features.
    pub fn load(file: &ModelFile) -> Result<Self> {
        let family = FAMILIES.iter().find(|family| family.name == file.family).ok_or_else(|| {
            let known: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
            let near = did_you_mean(&file.family, &known);
            Error::invalid(
                format!("model {}.family", file.name),
                format!("unknown family {:?}{near}; known: {}", file.family, known.join(", ")),
            )
        })?;
        Ok(Self { features: file.features.clone(), scorer: (family.load)(file)? })
    }
}
