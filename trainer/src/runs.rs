//! Runs: what was trained, from what, how good. A run is a folder with `model.json`, `metrics.json`, `spec.toml` and `run.json`.

use std::path::{Path, PathBuf};

use data_layer::registry::ModelFile;
use serde::{Deserialize, Serialize};

use crate::data::{read_json, write_json};
use crate::model::Spec;
use crate::model::train::Metrics;
use crate::sample::About;
use crate::{Error, Result};

/// Where a run came from: `run.json`. No clock is in it: the same input gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of this form.
    pub format: u32,
    /// The samples folder, as it was named.
    pub samples: PathBuf,
    /// What the samples were.
    pub about: About,
    /// XXH3 of `samples.parquet`, hex.
    pub samples_hash: String,
    /// Version of the trainer.
    pub trainer: String,
}

/// A run as it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// Its folder.
    pub path: PathBuf,
    /// The model.
    pub model: ModelFile,
    /// How good it is.
    pub metrics: Metrics,
    /// Where it came from.
    pub origin: Origin,
}

impl Run {
    /// Writes a run.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(
        dir: &Path,
        model: &ModelFile,
        metrics: &Metrics,
        spec: &Spec,
        origin: &Origin,
    ) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        write_json(&dir.join("model.json"), model)?;
        write_json(&dir.join("metrics.json"), metrics)?;
        write_json(&dir.join("run.json"), origin)?;
        let path = dir.join("spec.toml");
        let text =
            toml::to_string(spec).map_err(|e| Error::invalid(path.display().to_string(), e.to_string()))?;
        std::fs::write(&path, text).map_err(Error::io(&path))
    }

    /// Reads a run.
    ///
    /// # Errors
    /// A file of it is missing or has another form.
    pub fn open(dir: &Path) -> Result<Self> {
        if !dir.join("run.json").exists() {
            return Err(Error::invalid(
                dir.display().to_string(),
                "no run is here: expected run.json, as `train --out` writes it",
            ));
        }
        Ok(Self {
            path: dir.to_owned(),
            model: read_json(&dir.join("model.json"))?,
            metrics: read_json(&dir.join("metrics.json"))?,
            origin: read_json(&dir.join("run.json"))?,
        })
    }

    /// All runs in a folder, by name; the folder itself where it is one.
    ///
    /// # Errors
    /// The folder cannot be read, or a run in it is broken.
    pub fn all(dir: &Path) -> Result<Vec<Self>> {
        if dir.join("run.json").exists() {
            return Ok(vec![Self::open(dir)?]);
        }
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
            let path = entry.map_err(Error::io(dir))?.path();
            if path.join("run.json").exists() {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::open(path)).collect()
    }
}

/// The hash of a file, in hex.
///
/// # Errors
/// It cannot be read.
pub fn hash(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    Ok(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes)))
}
