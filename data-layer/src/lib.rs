//! Weir's data layer: dynamic and static data in, stores, and one access path out. It owns the nouns.

pub mod config;
pub mod error;
pub mod ingest;
pub mod live;
pub mod types;

pub use config::{ActionId, Actions, Config};
pub use error::{Error, Result};
