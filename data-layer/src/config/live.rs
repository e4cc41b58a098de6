//! `[live]`: where the dynamic store is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::Actions;
use super::keep::{Keep, RawKeep, RawRecent, RawTogether};
use super::snapshots::{RawSnapshots, Snapshots};
use super::streams::Urls;
use crate::shared::Options;
use crate::types::Millis;
use crate::types::time::{DAY, parse_span};
use crate::{Error, Result};

const MINUTE: Millis = 60_000;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// In this process.
    Embedded,
    /// People in Redis, shared with other servers, which exchange there what happens to items.
    Redis(Shared),
}

/// What is said of the Redis that servers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// How it is reached.
    pub redis: Options,
    /// How long a request waits for what is known of a person before it goes on without.
    pub read_timeout: Duration,
    /// How long an interaction's id can be found, to take it back or to drop a repeat. Milliseconds, at least a minute.
    pub retractable_for: Millis,
    /// How long the state of a person stays after its last change. Milliseconds, at least an hour.
    pub forget_after: Millis,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLive {
    backend: Option<String>,
    dir: Option<PathBuf>,
    url: Option<Urls>,
    cluster: Option<bool>,
    ca: Option<PathBuf>,
    timeout: Option<String>,
    read_timeout: Option<String>,
    retractable_for: Option<String>,
    forget_after: Option<String>,
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
        let backend = self.backend(folder, wrong)?;
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

    fn backend(&self, folder: &Path, wrong: &dyn Fn(&str, String) -> Error) -> Result<Backend> {
        match self.backend.as_deref().unwrap_or("embedded") {
            "embedded" => {
                let given = [
                    ("url", self.url.is_some()),
                    ("cluster", self.cluster.is_some()),
                    ("ca", self.ca.is_some()),
                    ("timeout", self.timeout.is_some()),
                    ("read_timeout", self.read_timeout.is_some()),
                    ("retractable_for", self.retractable_for.is_some()),
                    ("forget_after", self.forget_after.is_some()),
                ];
                match given.into_iter().find(|(_, given)| *given) {
                    Some((key, _)) => Err(wrong(
                        &format!("live.{key}"),
                        "only the redis backend has it: set backend = \"redis\", or leave it out".to_owned(),
                    )),
                    None => Ok(Backend::Embedded),
                }
            }
            "redis" => self.shared(folder, wrong).map(Backend::Redis),
            other => {
                Err(wrong("live.backend", format!("expected \"embedded\" or \"redis\", found {other:?}")))
            }
        }
    }

    fn shared(&self, folder: &Path, wrong: &dyn Fn(&str, String) -> Error) -> Result<Shared> {
        let span = |key: &str, given: &Option<String>, default: &str, least: Millis, most: Millis| {
            let key = format!("live.{key}");
            let span =
                parse_span(given.as_deref().unwrap_or(default)).map_err(|detail| wrong(&key, detail))?;
            match (least..=most).contains(&span) {
                true => Ok(span),
                false => Err(wrong(&key, format!("expected {least} to {most} ms, found {span} ms"))),
            }
        };
        let wait = |key, given, default| {
            span(key, given, default, 1, 60_000).map(|span| Duration::from_millis(span.unsigned_abs()))
        };
        let Some(urls) = &self.url else {
            let detail = "expected the address of Redis, such as \"redis://127.0.0.1:6379\", found none";
            return Err(wrong("live.url", detail.to_owned()));
        };
        let redis = Options {
            urls: urls.list(),
            cluster: self.cluster.unwrap_or(false),
            authorities: self.ca.as_ref().map(|path| folder.join(path)),
            timeout: wait("timeout", &self.timeout, "1s")?,
        };
        redis.check().map_err(|(key, detail)| wrong(&format!("live.{key}"), detail))?;
        Ok(Shared {
            redis,
            read_timeout: wait("read_timeout", &self.read_timeout, "25ms")?,
            retractable_for: span("retractable_for", &self.retractable_for, "1d", MINUTE, 366 * DAY)?,
            forget_after: span("forget_after", &self.forget_after, "400d", 60 * MINUTE, 3660 * DAY)?,
        })
    }
}
