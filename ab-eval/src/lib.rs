//! Weir's evaluation: ranking and click metrics with intervals, A/B summaries, and a simulated public whose truth is known.
//! Works on files and over HTTP; nothing that serves depends on it.

pub mod ab;
pub mod audience;
pub mod command;
pub mod ctr;
pub mod error;
pub mod inference;
pub mod input;
pub mod metric;
pub mod ranking;
pub mod report;

pub use error::{Error, Result};
