//! Weir's trainer: imports data, builds candidate tables, samples and models, and publishes them. Offline; nothing that serves
//! links it.

pub mod command;
pub mod data;
pub mod error;
pub mod import;
pub mod model;
pub mod offline;
pub mod progress;
pub mod publish;
pub mod runs;
pub mod sample;
pub mod split;

pub use error::{Error, Result};
