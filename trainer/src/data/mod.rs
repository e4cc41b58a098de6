//! DATA: a folder of interactions, items and users as Parquet, with `import.json` that says where it came from.
//! Useful for everything offline. Not useful for serving: the live side takes events.

pub mod frame;
mod interactions;
mod sheet;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use interactions::Interactions;
pub(crate) use sheet::number;
pub use sheet::{Cells, Sheet};

use crate::{Error, Result};

/// First time given to data without times: 2020-01-01T00:00:00Z. One second passes from row to row.
pub const FIXED_EPOCH_MS: i64 = 1_577_836_800_000;

/// Rows left out of one file, by reason.
pub type Skipped = BTreeMap<String, u64>;

/// What was read from one file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileReport {
    /// The file, as it was named.
    pub file: String,
    /// `recbole`, `csv`, `tsv`, `parquet`, `events`.
    pub form: String,
    /// Rows taken.
    pub read: u64,
    /// Rows left out, and why.
    pub skipped: Skipped,
    /// Columns that were not used.
    pub ignored_columns: Vec<String>,
}

/// Where DATA came from: `import.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub format: u32,
    /// Each file that was read.
    pub files: Vec<FileReport>,
    /// Number of interactions.
    pub interactions: u64,
    /// Number of people who acted.
    pub users: u64,
    /// Number of items acted on or described.
    pub items: u64,
    /// Whether the times are real. Where not, rows follow each other by a second from a fixed epoch, and recency means nothing.
    pub times: bool,
    /// Unit that the times were found to be in: `s`, `ms`, `us`, `ns`, `rfc3339`, or `none`.
    pub time_unit: String,
    /// First time, milliseconds since the Unix epoch.
    pub first_ms: i64,
    /// Last time.
    pub last_ms: i64,
    /// Names of the parts, where the input was split already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_split: Vec<String>,
    /// Sentences that a person should read.
    pub notes: Vec<String>,
}

/// One DATA folder, in memory.
#[derive(Debug, Clone)]
pub struct Data {
    /// Who did what, in time order.
    pub interactions: Interactions,
    /// Attributes of items.
    pub items: Sheet,
    /// Attributes of users.
    pub users: Sheet,
    /// Where it came from.
    pub report: Report,
}

/// Paths inside a DATA folder.
#[must_use]
pub fn part(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.parquet"))
}

impl Data {
    /// Reads a DATA folder. Missing item or user files are empty sheets.
    ///
    /// # Errors
    /// A file that is missing or has other columns than the form says; the message names both.
    pub fn open(dir: &Path) -> Result<Self> {
        let about = dir.join("import.json");
        if !about.exists() && dir.join("train").join("import.json").exists() {
            return Err(Error::invalid(
                dir.display().to_string(),
                "this folder holds a split; name its `train` or `test` folder",
            ));
        }
        let interactions = frame::read_interactions(&part(dir, "interactions"))?;
        let items = frame::read_sheet_or_empty(&part(dir, "items"), "item")?;
        let users = frame::read_sheet_or_empty(&part(dir, "users"), "user")?;
        let report =
            if about.exists() { read_json(&about)? } else { Report { times: true, ..Report::default() } };
        Ok(Self { interactions, items, users, report })
    }

    /// Writes a DATA folder; counts and time range of the report are set from the data.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&mut self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        self.report.format = 1;
        self.report.interactions = self.interactions.len() as u64;
        self.report.users = self.interactions.users.len() as u64;
        let described = self.items.ids.iter().filter(|id| self.interactions.items.code(id).is_none()).count();
        self.report.items = (self.interactions.items.len() + described) as u64;
        self.report.first_ms = self.interactions.time.first().copied().unwrap_or(0);
        self.report.last_ms = self.interactions.time.last().copied().unwrap_or(0);
        frame::write_interactions(&part(dir, "interactions"), &self.interactions)?;
        frame::write_sheet(&part(dir, "items"), "item", &self.items)?;
        frame::write_sheet(&part(dir, "users"), "user", &self.users)?;
        write_json(&dir.join("import.json"), &self.report)
    }
}

/// Reads a JSON file into a value.
///
/// # Errors
/// The file cannot be read, or has another form; the message names file and line.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    serde_json::from_str(&text).map_err(|e| Error::invalid(path.display().to_string(), e.to_string()))
}

/// Writes a value as indented JSON with a newline at the end.
///
/// # Errors
/// The file cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::invalid(path.display().to_string(), e.to_string()))?;
    text.push('\n');
    std::fs::write(path, text).map_err(Error::io(path))
}
