//! Scenes: one TOML file each, changed by the buckets of experiments, compiled into works. Files are read by [`load`].

pub mod edit;
pub mod known;
pub mod load;
pub mod locate;
pub mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use compute_layer::RecallPlan;
use data_layer::access::ListSpec;
use data_layer::experiment::{Layer, assign};
use data_layer::types::{Millis, PersonKind};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use toml::Table;

pub use known::Known;
pub use work::{Rank, Shown, Work};

use crate::error::{Fault, Refusal, Result};
use crate::hint::did_you_mean;
use crate::request::Request;
use load::Files;

/// Layer to bucket.
pub type Buckets = BTreeMap<String, String>;

/// Most combinations of buckets of one scene that are compiled beforehand; more are compiled when first asked for.
const COMPILED_AHEAD: usize = 256;

/// A scene's file.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Its name.
    pub name: String,
    /// Where it was read.
    pub file: PathBuf,
    /// The text, for line numbers.
    pub text: Arc<str>,
    /// The tree that buckets change.
    pub tree: Arc<Table>,
}

/// An experiment's file.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Where it was read.
    pub file: PathBuf,
    /// The text, for line numbers.
    pub text: Arc<str>,
    /// What it says.
    pub layer: Arc<Layer>,
}

/// All scenes, compiled against what is known.
#[derive(Debug)]
pub struct Scenes {
    files: Files,
    known: Known,
    works: RwLock<FxHashMap<(String, Buckets), Arc<Work>>>,
}

impl Scenes {
    /// Compiles every scene under every bucket.
    ///
    /// # Errors
    /// Every fault of every file, at once.
    pub fn compile(files: Files, known: Known) -> std::result::Result<Self, Vec<Fault>> {
        let scenes = Self { files, known, works: RwLock::default() };
        let mut faults = load::conflicts(&scenes.files);
        for scene in &scenes.files.scenes {
            let plain = scenes.compile_one(scene, &Buckets::new());
            let sound = plain.is_ok();
            faults.extend(plain.err().unwrap_or_default());
            let ahead = scenes.combinations(scene);
            // A fault of the scene itself would only be repeated under each bucket.
            for buckets in ahead.iter().filter(|_| sound) {
                let found = scenes.compile_one(scene, buckets).err().unwrap_or_default();
                faults.extend(found);
            }
        }
        faults.sort_by(|a, b| (&a.file, a.line, &a.detail).cmp(&(&b.file, b.line, &b.detail)));
        faults.dedup();
        if faults.is_empty() { Ok(scenes) } else { Err(faults) }
    }

    /// The scene of a name.
    ///
    /// # Errors
    /// 404 with the nearest name.
    pub fn scene(&self, name: &str) -> Result<&Scene> {
        self.files.scenes.iter().find(|scene| scene.name == name).ok_or_else(|| {
            let hint = did_you_mean(name, self.files.scenes.iter().map(|s| s.name.as_str()));
            Refusal::new(404, format!("unknown scene {name:?}{hint}")).into()
        })
    }

    /// All scenes.
    #[must_use]
    pub fn list(&self) -> &[Scene] {
        &self.files.scenes
    }

    /// The files they came from.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// What they were compiled against.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// The buckets that this request falls into, of every layer that concerns the scene.
    #[must_use]
    pub fn buckets(&self, scene: &Scene, request: &Request, now_ms: Millis) -> Buckets {
        let mut buckets = Buckets::new();
        for layer in self.layers(scene) {
            let unit = match layer.unit {
                PersonKind::User => &request.user,
                PersonKind::Anonymous => &request.anonymous,
                PersonKind::Session => &request.session_id,
            };
            let bucket = unit.as_ref().and_then(|id| assign(layer, id.as_str(), now_ms));
            if let Some(bucket) = bucket {
                buckets.insert(layer.name.clone(), bucket.name.clone());
            }
        }
        buckets
    }

    /// Layer to epoch, for the layers of these buckets.
    #[must_use]
    pub fn epochs(&self, buckets: &Buckets) -> BTreeMap<String, String> {
        let layers = self.files.experiments.iter().map(|e| &e.layer);
        layers.filter(|l| buckets.contains_key(&l.name)).map(|l| (l.name.clone(), l.epoch.clone())).collect()
    }

    /// What runs for a scene under these buckets.
    ///
    /// # Errors
    /// When buckets that were never compiled together don't go together.
    pub fn work(&self, scene: &Scene, buckets: &Buckets) -> Result<Arc<Work>> {
        let key = (scene.name.clone(), buckets.clone());
        if let Some(work) = self.works.read().get(&key) {
            return Ok(Arc::clone(work));
        }
        let compiled = self.compile_one(scene, buckets).map_err(crate::Error::Files)?;
        Ok(compiled)
    }

    /// The layers that concern a scene: those that change it, and those that change none (A/A).
    pub fn layers<'a>(&'a self, scene: &'a Scene) -> impl Iterator<Item = &'a Layer> {
        self.files.experiments.iter().map(|e| &*e.layer).filter(|layer| load::concerns(layer, &scene.name))
    }

    /// What every scene runs under no bucket.
    #[must_use]
    pub fn works(&self) -> Vec<Arc<Work>> {
        self.list().iter().filter_map(|scene| self.work(scene, &Buckets::new()).ok()).collect()
    }

    /// What the scenes run under every choice of buckets that is compiled, in no order.
    #[must_use]
    pub fn every_work(&self) -> Vec<Arc<Work>> {
        self.works.read().values().cloned().collect()
    }

    /// How the scenes read a table, where one of them merges it with a live list.
    #[must_use]
    pub fn list_spec(&self, table: &str) -> Option<ListSpec> {
        let works = self.works();
        let mut specs =
            works.iter().flat_map(|work| work.recalls.iter().flat_map(|plan| plan.component.lists()));
        specs.find(|spec| spec.table == table && spec.live.is_some()).cloned()
    }

    /// Whether a scene reads a table by user.
    #[must_use]
    pub fn is_of_users(&self, table: &str) -> bool {
        let of_users = |plan: &RecallPlan| {
            plan.component.is_of_users() && plan.component.lists().iter().any(|spec| spec.table == table)
        };
        self.works().iter().any(|work| work.recalls.iter().any(of_users))
    }

    fn compile_one(&self, scene: &Scene, buckets: &Buckets) -> std::result::Result<Arc<Work>, Vec<Fault>> {
        let (tree, changes) = load::changed(&self.files, scene, buckets)?;
        let work = Work::compile(&tree, &self.known).map_err(|wrong| {
            wrong.into_iter().map(|w| load::fault(scene, &changes, w)).collect::<Vec<_>>()
        })?;
        let work = Arc::new(work);
        self.works.write().insert((scene.name.clone(), buckets.clone()), Arc::clone(&work));
        Ok(work)
    }

    /// Every combination of buckets of a scene; each bucket alone where those would be too many.
    fn combinations(&self, scene: &Scene) -> Vec<Buckets> {
        let layers: Vec<&Layer> = self.layers(scene).collect();
        let count = layers.iter().fold(1_usize, |n, layer| n.saturating_mul(layer.buckets.len() + 1));
        let mut all = vec![Buckets::new()];
        for layer in layers {
            let before = if count <= COMPILED_AHEAD { all.clone() } else { vec![Buckets::new()] };
            for bucket in &layer.buckets {
                all.extend(before.iter().map(|buckets: &Buckets| {
                    let mut with = buckets.clone();
                    with.insert(layer.name.clone(), bucket.name.clone());
                    with
                }));
            }
        }
        all
    }
}
