//! The record of one answer: what was decided, from what, and how. Served, which is not seen. Parquet columns have the same names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Id, Millis};

/// Something that was left out of an answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// `stage` or `stage.component`, such as `recall.item_cf`.
    pub stage: String,
    /// One word: `deadline`, `missing`, `error`, `position`, `few`.
    pub cause: String,
    /// A sentence.
    pub detail: String,
}

/// One recommendation as decided. Appended to the decision log; at most the last group commit is lost on kill -9.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Decision {
    /// The server's own id of the answer.
    pub request_id: String,
    /// Wall clock when it was decided.
    pub time: Millis,
    /// The time the answer was computed for.
    pub now_ms: Millis,
    /// The seed of all chance in it.
    pub seed: u64,
    /// Namespace.
    pub namespace: String,
    /// Scene.
    pub scene: String,
    /// Who asked.
    #[serde(default)]
    pub user: Option<Id>,
    /// Who asked, unknown.
    #[serde(default)]
    pub anonymous: Option<Id>,
    /// Session of the asker.
    #[serde(default)]
    pub session_id: Option<Id>,
    /// The request as it was understood (JSON).
    pub query: serde_json::Value,
    /// Layer to bucket.
    pub buckets: BTreeMap<String, String>,
    /// Layer to epoch.
    pub epochs: BTreeMap<String, String>,
    /// Scene hash, model version, table generations.
    pub versions: serde_json::Value,
    /// What was left out.
    pub degraded: Vec<Degraded>,
    /// Sequence of the event log that the answer could see.
    pub log_position: String,
    /// The slate.
    pub items: Vec<DecisionItem>,
    /// Names of the features in `items[].features`, in order.
    #[serde(default)]
    pub feature_names: Vec<String>,
    /// What was read and every candidate with its fate, where the whole funnel was recorded (JSON).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funnel: Option<serde_json::Value>,
}

/// One place of a slate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionItem {
    /// Which item.
    pub id: Id,
    /// Place from 0, counted over all pages.
    pub position: u32,
    /// Final score.
    pub score: f32,
    /// Where it came from.
    pub sources: Vec<DecisionSource>,
    /// Chance of this item at this place given those before; `None` where nothing was left to chance.
    pub propensity: Option<f64>,
    /// The feature vector the model saw; empty without a model.
    pub features: Vec<f32>,
}

/// One source of an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionSource {
    /// Name of the recall component.
    pub name: String,
    /// Its score.
    pub score: f32,
    /// Its rank, from 1.
    pub rank: u32,
}
