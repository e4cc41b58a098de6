//! Events as they stand in the log: checked, typed, with times resolved. The client's JSON is read in `ingest/`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Id, Millis, Partition, Person, Schema, Value};

/// Attribute name to value; `None` clears.
pub type Attributes = BTreeMap<String, Option<Value>>;

/// One checked event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Attributes or deletion of an item.
    Item(ItemEvent),
    /// Attributes of a user.
    User(UserEvent),
    /// Somebody did something with an item.
    Interaction(Interaction),
    /// An interaction is taken back.
    Retraction(Retraction),
    /// Somebody saw items.
    Impression(Impression),
    /// An anonymous id turns out to be a user.
    Identify(Identify),
    /// Types of attributes changed; stands before the first event that needs them.
    Schema(Schema),
    /// A person asked to be forgotten. Later events under the id are a new person.
    Erase(Erase),
    /// Two people are tied, or no longer.
    Edge(Edge),
    /// A source begins or ends naming all its items.
    Load(Load),
}

/// Attributes or deletion of an item; every field of it carries the event's time and source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemEvent {
    /// Which item.
    pub id: Id,
    /// content, person, query, place, ad …; absent: leave as it is (`item` for a new one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Event time.
    pub time: Millis,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// New values.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// `true` deletes, `false` revives; a field of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// Attributes of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserEvent {
    /// Which user.
    pub person: Person,
    /// Event time.
    pub time: Millis,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// New values.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// Somebody did something with an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// The client's id of this event; absent: its content is its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Who.
    pub person: Person,
    /// With which item.
    pub item: Id,
    /// A configured action.
    pub action: String,
    /// Its value: dwell, revenue, a rating. Default 1.
    pub value: f64,
    /// When.
    pub time: Millis,
    /// The answer that showed the item, where the client knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The client's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Scalars of the moment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, Value>,
}

/// The interaction with this id is taken back, everywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retraction {
    /// Id of the interaction.
    pub id: Id,
    /// Who did it, where the client says so: finds the interaction where servers share the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// When.
    pub time: Millis,
}

/// Somebody saw items. Served is not seen: this comes from the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impression {
    /// The client's id of this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// Who.
    pub person: Person,
    /// In which scene.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<String>,
    /// Of which answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What was seen.
    pub items: Vec<Seen>,
    /// When.
    pub time: Millis,
}

/// One item of an impression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Which item.
    pub id: Id,
    /// Place in the slate, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// For how long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible_ms: Option<u64>,
}

/// An anonymous id turns out to be a user; its state is merged into the user's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identify {
    /// The id until now.
    pub anonymous: Id,
    /// Who it is.
    pub user: Id,
    /// When.
    pub time: Millis,
}

/// A person asked to be forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erase {
    /// Who.
    pub person: Person,
    /// When.
    pub time: Millis,
}

/// Somebody is tied to somebody by a relation, such as following, or no longer. Both are users of the namespace. Merged as a field
/// is: the newest event time counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Whose tie it is.
    pub from: Id,
    /// To whom.
    pub to: Id,
    /// What ties them: `follow`, `friend`, `block` …
    pub relation: String,
    /// When.
    pub time: Millis,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether the tie is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A source begins or ends naming all its items. What it named before and does not name in between is deleted for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Which source.
    pub source: String,
    /// The load's own id; the end names that of the beginning.
    pub id: String,
    /// Which of the two this is.
    pub phase: Phase,
    /// When.
    pub time: Millis,
}

/// Beginning or end of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Items follow.
    Begin,
    /// All items were named.
    End,
}

/// One entry of the event log. Everything derived is a function of these, in order, and of nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Number in this log, from 1, without gaps.
    pub sequence: u64,
    /// When the server took it: stamped once, here.
    pub received_ms: Millis,
    /// Partition of the person it concerns; 0 where it concerns none.
    pub partition: Partition,
    /// Whether it came by the lane of the past: it counts as any other, and earns no points.
    pub past: bool,
    /// What was said.
    pub event: Event,
}

impl Event {
    /// The person this event is about, if it is about one.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        match self {
            Self::User(e) => Some(e.person.clone()),
            Self::Interaction(e) => Some(e.person.clone()),
            Self::Impression(e) => Some(e.person.clone()),
            Self::Identify(e) => Some(Person::user(e.user.clone())),
            Self::Erase(e) => Some(e.person.clone()),
            Self::Edge(e) => Some(Person::user(e.from.clone())),
            Self::Retraction(e) => e.person.clone(),
            Self::Item(_) | Self::Schema(_) | Self::Load(_) => None,
        }
    }
}
