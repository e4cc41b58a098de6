//! `[streams.NAME]`: streams in Redis that other systems write events to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::check_name;
use crate::shared::Options;
use crate::types::time::parse_span;
use crate::{Error, Result};

/// Longest name of a key, a group or a field.
const MOST_NAME: usize = 512;

/// `[streams.NAME]`: one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// How its Redis is reached.
    pub redis: Options,
    /// Its key.
    pub key: String,
    /// The consumer group that servers read it as.
    pub group: String,
    /// The field of an entry that holds the event.
    pub field: String,
    /// Whether a new group begins with what is there already.
    pub from: Start,
}

/// Where a new group begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest entry.
    #[default]
    Oldest,
    /// Behind the newest one.
    Newest,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStream {
    url: Urls,
    #[serde(default)]
    cluster: bool,
    ca: Option<PathBuf>,
    timeout: Option<String>,
    key: String,
    group: Option<String>,
    field: Option<String>,
    #[serde(default)]
    from: Start,
}

/// One address or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Urls {
    One(String),
    Some(Vec<String>),
}

impl Urls {
    pub(super) fn list(&self) -> Vec<String> {
        match self {
            Self::One(url) => vec![url.clone()],
            Self::Some(urls) => urls.clone(),
        }
    }
}

/// Checks them all; relative paths start from `folder`.
pub(super) fn check(
    raw: BTreeMap<String, RawStream>,
    folder: &Path,
    namespace: &str,
    wrong: &dyn Fn(&str, String) -> Error,
) -> Result<BTreeMap<String, StreamOptions>> {
    let mut streams = BTreeMap::new();
    for (name, raw) in raw {
        let at = |key: &str| format!("streams.{name}.{key}");
        check_name(&name).map_err(|detail| wrong("streams", detail))?;
        let span = raw.timeout.as_deref().map_or(Ok(1000), parse_span);
        let timeout = span.map_err(|detail| wrong(&at("timeout"), detail))?;
        let urls = raw.url.list();
        let authorities = raw.ca.map(|path| folder.join(path));
        let timeout = Duration::from_millis(timeout.unsigned_abs());
        let redis = Options { urls, cluster: raw.cluster, authorities, timeout };
        redis.check().map_err(|(key, detail)| wrong(&at(key), detail))?;
        let group = raw.group.unwrap_or_else(|| format!("weir-{namespace}"));
        let field = raw.field.unwrap_or_else(|| "event".to_owned());
        for (key, text) in [("key", &raw.key), ("group", &group), ("field", &field)] {
            if text.is_empty() || text.len() > MOST_NAME {
                let detail = format!("expected 1 to {MOST_NAME} bytes, found {}", text.len());
                return Err(wrong(&at(key), detail));
            }
        }
        streams.insert(name, StreamOptions { redis, key: raw.key, group, field, from: raw.from });
    }
    Ok(streams)
}
