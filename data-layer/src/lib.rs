//! Weir's data layer: dynamic and static data in, stores, and one access path out. It owns the nouns.

pub mod access;
pub mod archive;
pub mod backup;
pub mod compact;
pub mod config;
pub mod erase;
pub mod error;
pub mod experiment;
pub mod feedback;
pub mod ingest;
pub mod keylist;
pub mod live;
pub mod log;
pub mod publish;
pub mod registry;
pub mod rule;
pub mod shared;
pub mod tabular;
pub mod types;

pub use config::{ActionId, Actions, Config};
pub use error::{Error, Result};
