//! How sure we are: resampling and tests. Knows numbers, nothing of what they measure.

pub mod bootstrap;

pub use bootstrap::{Estimate, Resampling};
