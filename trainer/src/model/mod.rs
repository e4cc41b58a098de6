//! Models: one file for each family that can be trained, and what is measured of them. Serving them is compute-layer's.

pub mod logistic;
pub mod metric;
mod spec;
pub mod train;

use ndarray::Array2;

pub use spec::{By, Spec, Validation};

use crate::Result;

/// What a family learnt: numbers by name, for raw features.
pub type Tensors = std::collections::BTreeMap<String, Vec<f64>>;

/// A family that can be trained.
pub struct Family {
    /// The word in `family` of the spec and of the model file.
    pub name: &'static str,
    /// Learns from rows (column-major, n × k) and labels; `kept` is the share of negatives that the rows hold.
    pub fit: fn(x: &Array2<f64>, y: &[u8], kept: f64, spec: &Spec) -> Result<Tensors>,
    /// Scores rows with what was learnt, as the server will.
    pub score: fn(tensors: &Tensors, x: &Array2<f64>) -> Vec<f64>,
}

/// All families. A new one is a file and a line here (and a scorer in compute-layer).
pub const FAMILIES: [Family; 1] = [logistic::FAMILY];
