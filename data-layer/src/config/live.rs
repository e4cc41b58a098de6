//! `[live]`: where the dynamic store is kept.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Actions;
use super::keep::{Keep, RawKeep, RawRecent, RawTogether};
use super::snapshots::{RawSnapshots, Snapshots};
use crate::{Error, Result};

/// `[live]`: the dynamic store.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Where it lives.
    pub backend: Backend,
    /// Folder for its snapshots.
    pub dir: PathBuf,
    /// How much is kept.
    pub keep: Keep,
    /// `[live.snapshots]`.
    pub snapshots: Snapshots,
}

/// Where the live side lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// In this process.
    Embedded,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLive {
    backend: Option<String>,
    dir: Option<PathBuf>,
    url: Option<toml::Value>,
    cluster: Option<bool>,
    #[serde(default)]
    recent: RawRecent,
    seen: Option<usize>,
    met: Option<usize>,
    ties: Option<usize>,
    retractable: Option<usize>,
    #[serde(default)]
    together: RawTogether,
    #[serde(default)]
    snapshots: RawSnapshots,
}

impl RawLive {
    /// Fills in defaults and checks; relative paths start from `folder`.
    pub(super) fn check(
        self,
        folder: &Path,
        actions: &Actions,
        wrong: &dyn Fn(&str, String) -> Error,
    ) -> Result<Live> {
        let backend = self.backend(wrong)?;
        let dir = folder.join(self.dir.unwrap_or_else(|| PathBuf::from("live")));
        let snapshots = self.snapshots.check(folder, wrong)?;
        let keep = RawKeep {
            recent: self.recent,
            seen: self.seen,
            met: self.met,
            ties: self.ties,
            retractable: self.retractable,
            together: self.together,
        };
        Ok(Live { backend, dir, keep: keep.check(actions, wrong)?, snapshots })
    }

    fn backend(&self, wrong: &dyn Fn(&str, String) -> Error) -> Result<Backend> {
        match self.backend.as_deref().unwrap_or("embedded") {
            "embedded" if self.url.is_some() || self.cluster.is_some() => Err(wrong(
                "live.url",
                "only the redis backend has one, and it comes with a later version".into(),
            )),
            "embedded" => Ok(Backend::Embedded),
            "redis" => Err(wrong(
                "live.backend",
                "\"redis\" comes with a later version; use \"embedded\" until then".into(),
            )),
            other => Err(wrong("live.backend", format!("expected \"embedded\", found {other:?}"))),
        }
    }
}
