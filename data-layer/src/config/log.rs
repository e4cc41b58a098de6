//! `[log]`: where the durable log is, how long it stays, and when an event counts as durable.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::types::Millis;
use crate::types::time::parse_span;
use crate::{Error, Result};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// After one fsync shared by what arrives together.
    Batch,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    dir: Option<PathBuf>,
    retention: Option<String>,
    sync: Option<Sync>,
}

impl RawLog {
    /// Fills in defaults and checks; relative paths start from `folder`.
    pub(super) fn check(self, folder: &Path, wrong: &dyn Fn(&str, String) -> Error) -> Result<Log> {
        Ok(Log {
            dir: folder.join(self.dir.unwrap_or_else(|| PathBuf::from("log"))),
            retention: retention(self.retention).map_err(|d| wrong("log.retention", d))?,
            sync: self.sync.unwrap_or(Sync::Batch),
        })
    }
}

fn retention(text: Option<String>) -> std::result::Result<Option<i64>, String> {
    match text.as_deref() {
        None => parse_span("30d").map(Some),
        Some("forever") => Ok(None),
        Some(text) => match parse_span(text)? {
            0 => Err("expected a span above 0, or \"forever\"".to_owned()),
            span => Ok(Some(span)),
        },
    }
}
