//! Weir's app layer: the all-in-one recommend API, scenes, filters, strategies, presentation. [`flow`] is where to start.

pub mod api;
pub mod ask;
pub mod command;
pub mod cursor;
pub mod decide;
pub mod engine;
mod erased;
pub mod error;
pub mod feedback;
pub mod filter;
pub mod flow;
mod found;
pub mod hint;
pub mod metrics;
pub mod present;
pub mod rank;
pub mod read;
pub mod recall;
pub mod request;
pub mod scene;
pub mod strategy;
pub mod trip;

pub use engine::Engine;
pub use error::{Error, Result};
