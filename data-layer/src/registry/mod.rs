//! Models in versions: `NAME/<version>/model.json` and `metrics.json`, with a `CURRENT` pointer. Not for computing with them,
//! which is compute-layer's.

mod models;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{Config, check_name, namespace_root};
use crate::publish::{Lock, Pointer, Temporary, sweep, write_whole};
use crate::{Error, Result};

pub use models::{Loaded, ModelError, ModelSwap, Models, ModelsSnapshot};

/// Newest form of `model.json` that this program writes and reads.
pub const MODEL_FORMAT: u32 = 1;

/// A trained model as it is stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Form of this file: 1.
    pub format: u32,
    /// Name it is published under.
    pub name: String,
    /// Which family computes with it, such as `logistic`.
    pub family: String,
    /// Names of the features, in the order of the weights.
    pub features: Vec<String>,
    /// Numbers by name; `logistic` has `weights` (as many as features) and `intercept` (one), for raw features.
    pub tensors: BTreeMap<String, Vec<f64>>,
    /// What it was trained from: method, seed, data, times.
    pub trained: BTreeMap<String, String>,
    /// How good it is.
    pub metrics: BTreeMap<String, f64>,
}

/// A version that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its number, from 1.
    pub version: u32,
    /// Whether it is served.
    pub current: bool,
}

/// `model.json`: the model and the sum of its compact JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    sum: String,
    model: ModelFile,
}

/// The models of a namespace.
#[derive(Debug, Clone)]
pub struct Registry {
    root: PathBuf,
}

impl ModelFile {
    /// Checks what can be checked without computing: names, finite numbers, known form.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.format == 0 || self.format > MODEL_FORMAT {
            return Err(format!("format: expected 1 to {MODEL_FORMAT}, found {}", self.format));
        }
        check_name(&self.name).map_err(|detail| format!("name: {detail}"))?;
        if self.family.is_empty() {
            return Err("family: expected the name of a model family, found none".to_owned());
        }
        let mut names: Vec<&String> = self.features.iter().collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("features: {:?} stands twice", twice[0]));
        }
        for (name, numbers) in &self.tensors {
            if let Some((at, bad)) = numbers.iter().enumerate().find(|(_, n)| !n.is_finite()) {
                return Err(format!("tensors.{name}[{at}]: expected a finite number, found {bad}"));
            }
        }
        if let Some((name, bad)) = self.metrics.iter().find(|(_, n)| !n.is_finite()) {
            return Err(format!("metrics.{name}: expected a finite number, found {bad}"));
        }
        match (self.family.as_str(), self.tensors.get("weights"), self.tensors.get("intercept")) {
            ("logistic", Some(weights), Some(intercept)) => {
                if weights.len() != self.features.len() || intercept.len() != 1 {
                    return Err(format!(
                        "tensors: expected {} weights and 1 intercept, found {} and {}",
                        self.features.len(),
                        weights.len(),
                        intercept.len()
                    ));
                }
                Ok(())
            }
            ("logistic", ..) => Err("tensors: a logistic model needs `weights` and `intercept`".to_owned()),
            _ => Ok(()),
        }
    }

    fn sum(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|e| Error::invalid("model", e.to_string()))?;
        Ok(format!("{:016x}", xxh3_64(&text)))
    }
}

impl Registry {
    /// The models of a namespace under a folder; nothing is read or made yet.
    #[must_use]
    pub fn open(dir: impl AsRef<Path>, namespace: &str) -> Self {
        Self { root: namespace_root(dir.as_ref(), namespace) }
    }

    /// The models of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self { root: config.models_root() }
    }

    /// Folder of the versions of one model.
    #[must_use]
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Names of all models, sorted.
    ///
    /// # Errors
    /// What the system said; a folder that does not exist has none.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = folders(&self.root)?;
        names.retain(|name| check_name(name).is_ok());
        Ok(names)
    }

    /// Stores a model as the next version and makes that the current one.
    ///
    /// # Errors
    /// A model that does not check, or what the system said.
    pub fn publish(&self, name: &str, model: &ModelFile) -> Result<u32> {
        let version = self.store(name, model)?;
        let folder = self.folder(name);
        let _lock = Lock::take(&folder)?;
        Pointer::advance(&folder, &version.to_string())?;
        Ok(version)
    }

    /// Stores a model as the next version and leaves the current one.
    ///
    /// # Errors
    /// As [`Registry::publish`].
    pub fn store(&self, name: &str, model: &ModelFile) -> Result<u32> {
        let wrong = |detail: String| Error::invalid(format!("model {name}"), detail);
        check_name(name).map_err(wrong)?;
        let model = ModelFile { name: name.to_owned(), ..model.clone() };
        model.check().map_err(wrong)?;
        let stored = Stored { sum: model.sum()?, model };
        let folder = self.folder(name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let _lock = Lock::take(&folder)?;
        let newest = self.versions(name)?.first().map_or(0, |v| v.version);
        // Never a number that was once published, even where its folder was removed.
        let published = Pointer::read(&folder).ok().flatten().map_or(0, |p| highest(&p));
        let version = newest.max(published) + 1;
        sweep(&folder);
        let place = folder.join(version.to_string());
        let temporary = Temporary::folder(&place)?;
        write_json(&temporary.path().join("model.json"), &stored)?;
        write_json(&temporary.path().join("metrics.json"), &stored.model.metrics)?;
        temporary.finish(&place)?;
        Ok(version)
    }

    /// Makes a version that is there (default: the newest) the current one. Returns its number.
    ///
    /// # Errors
    /// No such version, or a corrupt one; the pointer then stays.
    pub fn activate(&self, name: &str, version: Option<u32>) -> Result<u32> {
        let newest = self.versions(name)?.first().map(|v| v.version);
        let version = version.or(newest).ok_or_else(|| not_found(name, None))?;
        self.load(name, Some(version))?;
        let folder = self.folder(name);
        let _lock = Lock::take(&folder)?;
        Pointer::advance(&folder, &version.to_string())?;
        Ok(version)
    }

    /// Makes the version that was published before the current one again. Returns its number.
    ///
    /// # Errors
    /// Nothing was published before, or it is gone or corrupt; the pointer then stays.
    pub fn rollback(&self, name: &str) -> Result<u32> {
        check_name(name).map_err(|detail| Error::invalid("model", detail))?;
        let folder = self.folder(name);
        if !folder.is_dir() {
            return Err(not_found(name, None));
        }
        let _lock = Lock::take(&folder)?;
        let pointer = Pointer::read(&folder)?.ok_or_else(|| not_found(name, None))?.back(&folder, None)?;
        let version = number(&folder, &pointer)?;
        self.load(name, Some(version))?;
        pointer.write(&folder)?;
        Ok(version)
    }

    /// The versions of a model, newest first.
    ///
    /// # Errors
    /// What the system said; a model that does not exist has none.
    pub fn list(&self, name: &str) -> Result<Vec<Version>> {
        self.versions(name)
    }

    /// The version that is served; `None` where none was ever published.
    ///
    /// # Errors
    /// A pointer that can't be read.
    pub fn current(&self, name: &str) -> Result<Option<u32>> {
        check_name(name).map_err(|detail| Error::invalid("model", detail))?;
        let folder = self.folder(name);
        Pointer::read(&folder)?.map(|pointer| number(&folder, &pointer)).transpose()
    }

    /// The version that is served, or the newest where none was ever published.
    ///
    /// # Errors
    /// A pointer that can't be read, or what the system said.
    pub fn served(&self, name: &str) -> Result<Option<u32>> {
        match self.current(name)? {
            Some(version) => Ok(Some(version)),
            None => Ok(self.versions(name)?.first().map(|v| v.version)),
        }
    }

    /// Reads a version (default: what is served) and checks it. Returns its number too.
    ///
    /// # Errors
    /// No such version, a wrong sum, a newer form, a number that is not finite.
    pub fn load(&self, name: &str, version: Option<u32>) -> Result<(u32, ModelFile)> {
        check_name(name).map_err(|detail| Error::invalid("model", detail))?;
        let version = match version {
            Some(version) => version,
            None => self.served(name)?.ok_or_else(|| not_found(name, None))?,
        };
        let path = self.folder(name).join(version.to_string()).join("model.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(not_found(name, Some(version)));
            }
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let model = read_model(&text, &path)?;
        if model.name != name {
            let detail = format!("expected model {name}, found {}", model.name);
            return Err(Error::invalid(path.display().to_string(), detail));
        }
        Ok((version, model))
    }

    /// Removes old versions: all but the current one, the `keep - 1` published before it, and newer ones. Removes nothing
    /// where none was ever published. Returns what was removed.
    ///
    /// # Errors
    /// What the system said.
    pub fn keep(&self, name: &str, keep: usize) -> Result<Vec<u32>> {
        check_name(name).map_err(|detail| Error::invalid("model", detail))?;
        let folder = self.folder(name);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let _lock = Lock::take(&folder)?;
        let Some(pointer) = Pointer::read(&folder)? else { return Ok(Vec::new()) };
        let current = number(&folder, &pointer)?;
        let kept: Vec<&String> = pointer.history.iter().take(keep.max(1) - 1).collect();
        let mut removed = Vec::new();
        for Version { version, .. } in self.versions(name)? {
            if version < current && !kept.iter().any(|k| **k == version.to_string()) {
                let path = folder.join(version.to_string());
                std::fs::remove_dir_all(&path).map_err(Error::io(&path))?;
                removed.push(version);
            }
        }
        Ok(removed)
    }

    fn versions(&self, name: &str) -> Result<Vec<Version>> {
        check_name(name).map_err(|detail| Error::invalid("model", detail))?;
        // A pointer that names nothing is reported by `current`; versions can be listed, and published, all the same.
        let current = self.current(name).ok().flatten();
        let numbers = folders(&self.folder(name))?.into_iter().filter_map(|folder| folder.parse().ok());
        let mut all: Vec<Version> =
            numbers.map(|version: u32| Version { version, current: current == Some(version) }).collect();
        all.sort_by_key(|v| std::cmp::Reverse(v.version));
        Ok(all)
    }
}

/// Reads `model.json` and checks form, sum and numbers.
fn read_model(text: &str, path: &Path) -> Result<ModelFile> {
    let wrong = |detail: String| Error::invalid(path.display().to_string(), detail);
    let loose: serde_json::Value = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let format = loose.pointer("/model/format").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if format > u64::from(MODEL_FORMAT) {
        let found = u32::try_from(format).unwrap_or(u32::MAX);
        return Err(Error::Newer { path: path.to_owned(), found, known: MODEL_FORMAT });
    }
    let Stored { sum, model } = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let found = model.sum()?;
    if sum != found {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            section: "model".to_owned(),
            offset: 0,
            detail: format!(
                "expected sum {sum}, found {found}; publish the model instead of editing the file"
            ),
        });
    }
    model.check().map_err(wrong)?;
    Ok(model)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::invalid(path.display().to_string(), e.to_string()))?;
    text.push(b'\n');
    write_whole(path, |file| file.write_all(&text))
}

/// Names of the folders within a folder that don't start with a dot, sorted.
fn folders(root: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(root)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io(root))?;
        let name = entry.file_name().to_str().unwrap_or(".").to_owned();
        if !name.starts_with('.') && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn number(folder: &Path, pointer: &Pointer) -> Result<u32> {
    pointer.current.parse().map_err(|_| {
        let place = format!("{}:1", Pointer::path(folder).display());
        Error::invalid(place, format!("expected the number of a version, found {:?}", pointer.current))
    })
}

fn highest(pointer: &Pointer) -> u32 {
    let all = pointer.history.iter().chain([&pointer.current]);
    all.filter_map(|name| name.parse().ok()).max().unwrap_or(0)
}

fn not_found(name: &str, version: Option<u32>) -> Error {
    let name = version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
    Error::NotFound { what: "model", name, hint: "; train and publish it first".to_owned() }
}
