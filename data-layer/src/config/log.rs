//! `[log]`: where the durable log is, how long it stays, and when an event counts as durable.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::ingest::check::AHEAD;
use crate::ingest::dedupe::WINDOW;
use crate::publish::remote::{Address, Options};
use crate::types::Millis;
use crate::types::time::{DAY, HOUR, SECOND, parse_span};
use crate::{Error, Result};

/// `[log]`: the durable event and decision log.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Folder of all namespaces.
    pub dir: PathBuf,
    /// Age at which archived segments leave the log; `None` is never.
    pub retention: Option<Millis>,
    /// Whether the file says so.
    retention_said: bool,
    /// When an event counts as durable.
    pub sync: Sync,
    /// How long an event is remembered, so that it counts once however often it is sent.
    pub dedupe: Millis,
    /// How far an event's time may lie ahead of the server's clock.
    pub ahead: Millis,
    /// How long an erasure may wait until the files are rewritten, with all others that wait.
    pub erase_every: Millis,
    /// How often attributes that were said again since leave segments older than `compact_after`; `None` is never.
    pub compact_every: Option<Millis>,
    /// Age at which they may: that of `retention` where nothing else is said, and 30 days where that is for ever.
    pub compact_after: Millis,
    /// Where sealed segments become Parquet; `None`: nowhere, and nothing is ever removed.
    pub archive: Option<Address>,
    /// `[log.store]`: how the archive's store is spoken to.
    pub store: Options,
}

/// Longest span for which events may be remembered, or lie ahead.
const LONGEST_WINDOW: Millis = 7 * DAY;

/// Longest time that the files may hold who was erased.
const LONGEST_WAIT: Millis = 30 * DAY;

/// How long events stay in the log where nothing is said, and attributes where events stay for ever.
const RETENTION: Millis = 30 * DAY;

impl Log {
    /// What a configuration says that has no effect.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let idle = self.retention_said && self.retention.is_some() && self.archive.is_none();
        let note = "log.retention: nothing leaves a log that is not archived, so this has no effect on events; name a place in \
                    log.archive, or say \"forever\"";
        idle.then(|| note.to_owned()).into_iter().collect()
    }
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
    dedupe: Option<String>,
    ahead: Option<String>,
    erase_every: Option<String>,
    compact_every: Option<String>,
    compact_after: Option<String>,
    archive: Option<String>,
    #[serde(default)]
    store: Options,
}

impl RawLog {
    /// Fills in defaults and checks; relative paths start from `folder`.
    pub(super) fn check(self, folder: &Path, wrong: &dyn Fn(&str, String) -> Error) -> Result<Log> {
        let dir = folder.join(self.dir.unwrap_or_else(|| PathBuf::from("log")));
        let archive = self.archive.map(|text| Address::parse(&text, folder)).transpose();
        let archive = archive.map_err(|detail| wrong("log.archive", detail))?;
        if matches!(&archive, Some(Address::Folder(place)) if *place == dir) {
            return Err(wrong("log.archive", "expected another folder than log.dir".to_owned()));
        }
        self.store.check().map_err(|(key, detail)| wrong(&format!("log.store.{key}"), detail))?;
        let retention_said = self.retention.is_some();
        let retention = retention(self.retention).map_err(|d| wrong("log.retention", d))?;
        let compact_after = match self.compact_after {
            Some(text) => age(&text).map_err(|d| wrong("log.compact_after", d))?,
            None => retention.unwrap_or(RETENTION),
        };
        Ok(Log {
            dir,
            archive,
            store: self.store,
            retention,
            retention_said,
            compact_after,
            sync: self.sync.unwrap_or(Sync::Batch),
            dedupe: span(self.dedupe, WINDOW, LONGEST_WINDOW).map_err(|d| wrong("log.dedupe", d))?,
            erase_every: span(self.erase_every, HOUR, LONGEST_WAIT)
                .map_err(|d| wrong("log.erase_every", d))?,
            compact_every: every(self.compact_every).map_err(|d| wrong("log.compact_every", d))?,
            ahead: span(self.ahead, AHEAD, LONGEST_WINDOW).map_err(|d| wrong("log.ahead", d))?,
        })
    }
}

/// A span of 1 s to so long.
fn span(text: Option<String>, default: Millis, most: Millis) -> std::result::Result<Millis, String> {
    let Some(text) = text else { return Ok(default) };
    let span = parse_span(&text)?;
    if (SECOND..=most).contains(&span) {
        return Ok(span);
    }
    Err(format!("expected a span of 1s to {}d, found {text:?}", most / DAY))
}

fn every(text: Option<String>) -> std::result::Result<Option<Millis>, String> {
    match text.as_deref() {
        Some("off") => Ok(None),
        _ => span(text, DAY, LONGEST_WAIT).map(Some).map_err(|detail| format!("{detail}, or \"off\"")),
    }
}

fn retention(text: Option<String>) -> std::result::Result<Option<Millis>, String> {
    match text.as_deref() {
        None => Ok(Some(RETENTION)),
        Some("forever") => Ok(None),
        Some(text) => age(text).map(Some).map_err(|detail| format!("{detail}, or \"forever\"")),
    }
}

/// A span above 0.
fn age(text: &str) -> std::result::Result<Millis, String> {
    match parse_span(text)? {
        0 => Err("expected a span above 0".to_owned()),
        span => Ok(span),
    }
}
