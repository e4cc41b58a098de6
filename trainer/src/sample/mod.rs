//! Samples: one row for each (request, candidate) with its label and features, as they were when the request came. From a
//! server's log where there is one, else by replaying DATA (bootstrap). Not for making features: that is compute-layer's.

pub mod bootstrap;
mod file;
pub mod history;
pub mod log;
mod scene;
mod world;

use serde::{Deserialize, Serialize};

pub use file::{read, write};
pub use scene::Scene;
pub use world::{World, schema_of};

/// What a SAMPLES folder holds: `samples.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct About {
    /// Version of this form.
    pub format: u32,
    /// `bootstrap` or `log`.
    pub from: String,
    /// Which scene.
    pub scene: String,
    /// Names of the features, in order of their columns.
    pub features: Vec<String>,
    /// Number of rows.
    pub rows: u64,
    /// Rows with label 1.
    pub positives: u64,
    /// Number of requests.
    pub requests: u64,
    /// Requests of people without any history.
    pub cold_requests: u64,
    /// Share of the negatives that was kept; the trainer turns the level of the model back by it.
    pub negatives_kept: f64,
    /// Seed of that draw.
    pub seed: u64,
    /// First moment of the labels.
    pub from_ms: i64,
    /// Last moment of the labels.
    pub to_ms: i64,
    /// Tables that recall read, with their generations.
    pub tables: std::collections::BTreeMap<String, String>,
    /// Sentences that a person should read.
    pub notes: Vec<String>,
}

/// Samples in memory, columns of one length; rows of one request stand together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples {
    /// Number of the request of each row, from 0, growing.
    pub request: Vec<u32>,
    /// Name of each request.
    pub requests: Vec<String>,
    /// Who asked, by request.
    pub users: Vec<String>,
    /// When, by request.
    pub times: Vec<i64>,
    /// Which item, by row.
    pub items: Vec<String>,
    /// 1 for what was taken, else 0.
    pub labels: Vec<u8>,
    /// One column for each feature of [`About::features`].
    pub features: Vec<Vec<f32>>,
}

impl Samples {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of rows with label 1.
    #[must_use]
    pub fn positives(&self) -> usize {
        self.labels.iter().filter(|l| **l == 1).count()
    }
}

#[cfg(test)]
mod tests;
