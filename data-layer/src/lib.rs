//! Weir's data layer: dynamic and static data in, stores, and one access path out. It owns the nouns.

pub mod error;
pub mod types;

pub use error::{Error, Result};
