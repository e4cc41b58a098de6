//! The served version of each model, swapped while requests run. A bad version leaves the old one serving.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::Serialize;

use super::{ModelFile, Registry};
use crate::Result;
use crate::config::Config;

/// A model in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its version.
    pub version: u32,
    /// The model.
    pub model: ModelFile,
}

impl Loaded {
    /// `name@version`, as answers and decisions carry it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}@{}", self.model.name, self.version)
    }
}

/// All served models as of one moment.
#[derive(Debug, Default)]
pub struct ModelsSnapshot {
    models: BTreeMap<String, Arc<Loaded>>,
}

impl ModelsSnapshot {
    /// The served version of a model.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Arc<Loaded>> {
        self.models.get(name)
    }

    /// All of them by name.
    pub fn models(&self) -> impl Iterator<Item = (&str, &Arc<Loaded>)> {
        self.models.iter().map(|(name, loaded)| (name.as_str(), loaded))
    }

    /// Model name to version.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<String, u32> {
        self.models.iter().map(|(name, loaded)| (name.clone(), loaded.version)).collect()
    }
}

/// Why a version is not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelError {
    /// Which model.
    pub model: String,
    /// What is served instead; `None`: nothing.
    pub serving: Option<u32>,
    /// What is wrong.
    pub detail: String,
}

/// A version that is served from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelSwap {
    /// Which model.
    pub model: String,
    /// What was served before; `None`: nothing.
    pub from: Option<u32>,
    /// What is served now.
    pub to: u32,
}

/// The served models of a namespace, kept up to date.
#[derive(Debug)]
pub struct Models {
    registry: Registry,
    snapshot: ArcSwap<ModelsSnapshot>,
    errors: Mutex<BTreeMap<String, String>>,
    loading: Mutex<()>,
}

impl Models {
    /// Loads what is served of each model. A model that can't be loaded is left out and named by [`Models::errors`].
    ///
    /// # Errors
    /// A folder of models that exists and can't be listed.
    pub fn open(config: &Config) -> Result<Self> {
        let registry = Registry::of(config);
        registry.names()?;
        let models = Self {
            registry,
            snapshot: ArcSwap::default(),
            errors: Mutex::default(),
            loading: Mutex::default(),
        };
        models.poll();
        Ok(models)
    }

    /// All served models as of now. A request takes it once.
    #[must_use]
    pub fn snapshot(&self) -> Arc<ModelsSnapshot> {
        self.snapshot.load_full()
    }

    /// Where they come from, for versions that a scene pins.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Models whose current version is not served, and why.
    #[must_use]
    pub fn errors(&self) -> Vec<ModelError> {
        let snapshot = self.snapshot();
        let errors = self.errors.lock();
        let all = errors.iter().map(|(model, detail)| ModelError {
            model: model.clone(),
            serving: snapshot.model(model).map(|loaded| loaded.version),
            detail: detail.clone(),
        });
        all.collect()
    }

    /// Looks for moved pointers and new models, and swaps all that is new in with one step.
    pub fn poll(&self) -> Vec<ModelSwap> {
        let _one_at_a_time = self.loading.lock();
        let names = match self.registry.names() {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "models can't be listed; what is served stays");
                return Vec::new();
            }
        };
        // What is wrong with a model that is there no more is nobody's concern.
        self.errors.lock().retain(|name, _| names.contains(name));
        let before = self.snapshot();
        let mut models = before.models.clone();
        let mut swaps = Vec::new();
        for name in names {
            let from = before.model(&name).map(|loaded| loaded.version);
            match self.look(&name, from) {
                Ok(None) => {
                    self.errors.lock().remove(&name);
                }
                Ok(Some(loaded)) => {
                    self.errors.lock().remove(&name);
                    swaps.push(ModelSwap { model: name.clone(), from, to: loaded.version });
                    models.insert(name, Arc::new(loaded));
                }
                Err(error) => {
                    let detail = error.to_string();
                    let before = self.errors.lock().insert(name.clone(), detail.clone());
                    if before.as_ref() != Some(&detail) {
                        tracing::warn!(model = name, detail, "version not served");
                    }
                }
            }
        }
        if !swaps.is_empty() {
            self.snapshot.store(Arc::new(ModelsSnapshot { models }));
        }
        swaps
    }

    /// The version to swap in, if there is a new one. Models are small: a bad one is simply read again next time.
    fn look(&self, name: &str, serving: Option<u32>) -> Result<Option<Loaded>> {
        let served = self.registry.served(name)?;
        let Some(wanted) = served.filter(|wanted| serving != Some(*wanted)) else { return Ok(None) };
        let (version, model) = self.registry.load(name, Some(wanted))?;
        Ok(Some(Loaded { version, model }))
    }
}
