//! The nouns every layer speaks: ids, typed values, events, positions, decisions. No I/O, no stores.

pub mod decision;
pub mod event;
pub mod id;
pub mod schema;
pub mod time;
pub mod value;

pub use decision::{Decision, DecisionItem, DecisionSource, Degraded};
pub use event::{
    Attributes, Event, Identify, Impression, Interaction, ItemEvent, Record, Retraction, Seen, UserEvent,
};
pub use id::{Id, IdError, Person, PersonKind, Position};
pub use schema::{Schema, Unknown};
pub use time::Millis;
pub use value::{Value, ValueType};

/// Dense number of an item, local to this process: never stored, logged, or used to break ties.
pub type Ordinal = u32;

/// Number of a user partition, `0..PARTITIONS`.
pub type Partition = u16;

/// Fixed number of user partitions of a deployment (decision 4 of the design).
pub const PARTITIONS: Partition = 1024;

/// Number of item partitions, the same for every deployment.
pub const ITEM_PARTITIONS: Partition = 64;

/// The namespace used where none is configured.
pub const DEFAULT_NAMESPACE: &str = "main";
