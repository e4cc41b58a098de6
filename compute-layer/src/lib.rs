//! Weir's compute layer: candidates, features and ranking. Synchronous; knows no HTTP, JSON or Redis and does no I/O of its own.
//!
//! A request passes through it in this order: [`compute::recall_all`] → (filters of the app layer) → [`compute::rank`] →
//! [`compute::top`]. Each stage has one folder and one visible list of its components: [`recall::KINDS`],
//! [`feature::KINDS`], [`rank::FAMILIES`].

pub mod candidate;
pub mod compute;
pub mod deadline;
pub mod error;
pub mod feature;
pub mod kernel;
pub mod params;
pub mod query;
pub mod rank;
pub mod recall;

pub use candidate::{Bitmask, Candidate, Candidates, MAX_SOURCES};
pub use deadline::{Clock, Deadline, Monotonic};
pub use error::{Error, Result};
pub use feature::FeatureSet;
pub use params::Params;
pub use query::{Lists, Query, Stores};
pub use rank::{Model, Scorer};
pub use recall::{Outcome, Recall, RecallPlan};
