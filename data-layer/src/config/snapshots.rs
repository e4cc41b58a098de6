//! `[live.snapshots]`: how often the live side is written down, so that a start need not replay the whole log.

use std::path::Path;

use serde::Deserialize;

use crate::publish::remote::Address;
use crate::types::Millis;
use crate::types::time::{MINUTE, SECOND, parse_span};
use crate::{Error, Result};

/// `[live.snapshots]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshots {
    /// How often one is taken, where anything happened; one more when a server ends. `None`: never.
    pub every: Option<Millis>,
    /// How many are kept. At least 1.
    pub keep: usize,
    /// Where they are copied to, and fetched from by a server that has none; spoken to as `[log.store]` says.
    pub store: Option<Address>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { every: Some(10 * MINUTE), keep: 2, store: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSnapshots {
    every: Option<String>,
    keep: Option<usize>,
    store: Option<String>,
}

impl RawSnapshots {
    /// Fills in defaults and checks; relative paths start from `folder`.
    pub(super) fn check(self, folder: &Path, wrong: &dyn Fn(&str, String) -> Error) -> Result<Snapshots> {
        let default = Snapshots::default();
        let every = match self.every.as_deref() {
            None => default.every,
            Some("never") => None,
            Some(text) => match parse_span(text).map_err(|detail| wrong("live.snapshots.every", detail))? {
                span if span >= SECOND => Some(span),
                _ => {
                    let detail = format!("expected a span of at least 1s, or \"never\", found {text:?}");
                    return Err(wrong("live.snapshots.every", detail));
                }
            },
        };
        let keep = self.keep.unwrap_or(default.keep);
        if !(1..=100).contains(&keep) {
            return Err(wrong("live.snapshots.keep", format!("expected 1 to 100, found {keep}")));
        }
        let store = self.store.map(|text| Address::parse(&text, folder)).transpose();
        let store = store.map_err(|detail| wrong("live.snapshots.store", detail))?;
        Ok(Snapshots { every, keep, store })
    }
}
