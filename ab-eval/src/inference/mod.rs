//! How sure we are: resampling, intervals and tests. Knows numbers, nothing of what they measure.

pub mod bootstrap;
pub mod ratio;
pub mod share;

pub use bootstrap::{Estimate, Resampling};
