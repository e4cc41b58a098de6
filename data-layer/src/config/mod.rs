//! `weir.toml`: read, checked and typed once, at start. Not for scene and experiment files, which have rooms of their own
//! but share [`toml_file`] for errors with a line and a suggestion.

mod actions;
mod overlay;
mod raw;
mod size;
mod tables;
pub mod toml_file;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::types::{DEFAULT_NAMESPACE, Millis, Schema};
use crate::{Error, Result};

pub use crate::keylist::Residency;
pub use actions::{ActionId, Actions, Weight};
pub use size::parse as parse_size;
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
}

/// `[server]`: where it listens and who may call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Address and port; loopback only where there are no keys.
    pub listen: SocketAddr,
    /// Worker threads; 0 is one per core.
    pub workers: usize,
    /// Largest body of a request in bytes, after decompression.
    pub body_limit: usize,
    /// API keys; empty: every call has every right, on loopback.
    pub keys: Vec<ApiKey>,
}

/// One API key.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// For logs; the secret never appears in one.
    pub name: String,
    /// What the caller presents.
    pub secret: Secret,
    /// What it allows.
    pub rights: Vec<Right>,
}

/// A string that does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Recommendations and other reads.
    Read,
    /// Items, users, pools, schema.
    Write,
    /// `POST /v1/events` only.
    Ingest,
    /// `explain`, forced buckets, seed and time.
    Debug,
    /// Publish and roll back.
    Admin,
}

/// `[log]`: the durable event and decision log.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Folder of all namespaces.
    pub dir: PathBuf,
    /// How long events are kept; `None` is for ever.
    pub retention: Option<Millis>,
    /// When an event counts as durable.
    pub sync: Sync,
}

/// When an event is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// After one fsync shared by what arrives together.
    Batch,
}

/// `[live]`: the dynamic store.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Where it lives.
    pub backend: Backend,
    /// Folder for its snapshots.
    pub dir: PathBuf,
}

/// Where the live side lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In this process.
    Embedded,
}

/// `[models]`: a folder of immutable versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Generations {
    /// Folder of all namespaces; see [`Config::models_root`].
    pub dir: PathBuf,
    /// How many versions are kept when one is published, the current one included. At least 1.
    pub keep: usize,
}

impl Secret {
    /// Hides a string.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The string itself, to compare in constant time.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
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
