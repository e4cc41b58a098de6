//! All layers of a folder, checked against each other.

use std::path::Path;

use super::{Layer, file};
use crate::{Error, Result};

/// The layers of a namespace, in order of their names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layers {
    list: Vec<Layer>,
}

impl Layers {
    /// Reads every `*.toml` of a folder. A folder that does not exist has no layers.
    ///
    /// # Errors
    /// As [`Layer::parse`]; two layers of one name; one key in two layers.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let entries = match std::fs::read_dir(dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            found => found.map_err(Error::io(dir))?,
        };
        let mut layers = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io(dir))?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
                layers.push(Layer::parse(&text, &path.display().to_string())?);
            }
        }
        Self::of(layers)
    }

    /// Layers that were parsed one by one.
    ///
    /// # Errors
    /// Two layers of one name; one key in two layers.
    pub fn of(mut list: Vec<Layer>) -> Result<Self> {
        list.sort_by(|a, b| (&a.name, &a.file).cmp(&(&b.name, &b.file)));
        for (at, layer) in list.iter().enumerate() {
            for other in &list[..at] {
                if other.name == layer.name {
                    let detail = format!("layer {:?} is also in {}", layer.name, other.file);
                    return Err(Error::invalid(&layer.file, detail));
                }
                let both = layer.paths().find(|path| other.paths().any(|p| file::overlap(p, path)));
                if let Some(path) = both {
                    let detail = format!(
                        "{path:?} is also changed by layer {:?} in {}; a key belongs to one layer",
                        other.name, other.file
                    );
                    return Err(Error::invalid(&layer.file, detail));
                }
            }
        }
        Ok(Self { list })
    }

    /// All of them, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Layer> {
        self.list.iter()
    }

    /// The layer of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Layer> {
        self.list.iter().find(|layer| layer.name == name)
    }
}
