//! What a scene may name: attributes, tables and models as they are now. Scenes are compiled against it, and again when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use compute_layer::Model;
use data_layer::types::Schema;

use crate::hint::did_you_mean;

/// The surroundings that scenes are compiled in.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Types of attributes.
    pub schema: Arc<Schema>,
    /// Names of the tables that have a folder, published or not.
    pub tables: Vec<String>,
    /// Models that have a folder: what each name, or `name@version`, stands for now. `None`: nothing that can be used is published.
    pub models: BTreeMap<String, Option<(String, Arc<Model>)>>,
    /// Names of the models that have a folder.
    pub model_names: Vec<String>,
}

/// Why a model can't be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Away {
    /// There is none of that name; a sentence.
    Unknown(String),
    /// There is, but nothing that can be used now.
    Now,
}

impl Known {
    /// Whether there is such a table.
    #[must_use]
    pub fn has_table(&self, name: &str) -> bool {
        self.tables.iter().any(|t| t == name)
    }

    /// The model that a name stands for, with its version as `name@version`.
    ///
    /// # Errors
    /// [`Away`].
    pub fn model(&self, name: &str) -> Result<(String, Arc<Model>), Away> {
        match self.models.get(name) {
            Some(Some(found)) => Ok(found.clone()),
            Some(None) => Err(Away::Now),
            None => {
                let hint = did_you_mean(name, self.model_names.iter().map(String::as_str));
                Err(Away::Unknown(format!("unknown model {name:?}; train and publish it first{hint}")))
            }
        }
    }
}
