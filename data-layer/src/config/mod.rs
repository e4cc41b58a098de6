//! `weir.toml`: read, checked and typed once, at start. Not for scene and experiment files, which have rooms of their own
//! but share [`toml_file`] for errors with a line and a suggestion.

mod actions;
mod keep;
mod levels;
mod live;
mod log;
mod overlay;
pub mod parts;
mod raw;
mod server;
mod size;
mod snapshots;
mod sources;
mod streams;
mod tables;
pub mod toml_file;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::types::{DEFAULT_NAMESPACE, Schema, Unknown};
use crate::{Error, Result};

pub use crate::keylist::Residency;
pub use actions::{ActionId, Actions, Weight};
pub use keep::{Keep, Pairing};
pub use levels::{Calendar, LevelRule, Points};
pub use live::{Backend, Live, Shared};
pub use log::{Log, Sync};
pub use parts::{Part, Parts};
pub use server::{ApiKey, Right, Secret, Server};
pub use size::parse as parse_size;
pub use snapshots::Snapshots;
pub use sources::Priorities;
pub use streams::{Start, StreamOptions};
pub use tables::{TableOptions, Tables, VerifyWhen};

/// Everything `weir.toml` says, with absolute or caller-relative paths, defaults filled in and values checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it came from; empty for [`Config::in_folder`].
    pub file: PathBuf,
    /// Which product of the deployment; `main` by default.
    pub namespace: String,
    /// IANA name of the time zone that calendar days use.
    pub timezone: String,
    /// `[server]`.
    pub server: Server,
    /// `[log]`.
    pub log: Log,
    /// `[live]`.
    pub live: Live,
    /// `[streams.NAME]`, by name.
    pub streams: BTreeMap<String, StreamOptions>,
    /// `[tables]`.
    pub tables: Tables,
    /// `[models]`.
    pub models: Generations,
    /// `[scenes] dir`: one TOML file per scene.
    pub scenes: PathBuf,
    /// `[experiments] dir`: one TOML file per layer.
    pub experiments: PathBuf,
    /// `[actions]`, over the defaults.
    pub actions: Actions,
    /// `[schema]` or `schema.toml`, with the reserved attributes.
    pub schema: Schema,
    /// What is said there of other attributes, if anything is.
    pub schema_unknown: Option<Unknown>,
}

/// `[models]`: a folder of immutable versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Generations {
    /// Folder of all namespaces; see [`Config::models_root`].
    pub dir: PathBuf,
    /// How many versions are kept when one is published, the current one included. At least 1.
    pub keep: usize,
}

impl Config {
    /// Reads a file, lays `WEIR__…` variables of the environment over it, and checks everything. Variables that are no text
    /// are read with replacement characters, so that one of another program harms nobody.
    ///
    /// # Errors
    /// A file that can't be read, a key that does not exist (with its line and a suggestion), a value that makes no sense.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::load_with(path, std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// As [`Config::load`], with the environment as an input.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(
        path: impl AsRef<Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let raw: raw::File = toml_file::parse(&text, path)?;
        let raw = overlay::apply(raw, &text, path, &environment)?;
        raw.check(path, &environment)
    }

    /// The configuration of an empty file that would stand in `folder`.
    ///
    /// # Errors
    /// None that an empty file can cause; a `schema.toml` in the folder is read.
    pub fn in_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let mut config = raw::File::default().check(&folder.as_ref().join("weir.toml"), &[])?;
        config.file = PathBuf::new();
        Ok(config)
    }

    /// Folder that holds the tables of this namespace: `dir` for `main`, `dir/ns=<namespace>` for others.
    #[must_use]
    pub fn tables_root(&self) -> PathBuf {
        namespace_root(&self.tables.dir, &self.namespace)
    }

    /// Folder of the generations of one table.
    #[must_use]
    pub fn table_folder(&self, name: &str) -> PathBuf {
        self.tables_root().join(name)
    }

    /// Folder that holds the models of this namespace: `dir` for `main`, `dir/ns=<namespace>` for others.
    #[must_use]
    pub fn models_root(&self) -> PathBuf {
        namespace_root(&self.models.dir, &self.namespace)
    }

    /// Folder of the event log of this namespace.
    #[must_use]
    pub fn events_folder(&self) -> PathBuf {
        self.log.dir.join(&self.namespace).join("events")
    }

    /// Folder of the decision log of this namespace.
    #[must_use]
    pub fn decisions_folder(&self) -> PathBuf {
        self.log.dir.join(&self.namespace).join("decisions")
    }
}

/// `dir` for the default namespace, `dir/ns=<namespace>` for others.
#[must_use]
pub fn namespace_root(dir: &Path, namespace: &str) -> PathBuf {
    if namespace == DEFAULT_NAMESPACE { dir.to_owned() } else { dir.join(format!("ns={namespace}")) }
}

/// Checks a name that becomes part of a path and a metric label (namespace, table, model): 1 to 64 of `a-z A-Z 0-9 _ - .`, not first a dot.
///
/// # Errors
/// A sentence with what was found.
pub fn check_name(name: &str) -> std::result::Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(format!("expected a name of 1 to 64 letters, digits, '_', '-' or '.', found {name:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
