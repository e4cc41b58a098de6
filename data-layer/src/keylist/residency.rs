//! Whether a table's pages stay in memory. A wish, not a condition: what the system refuses leaves the table as usable as before.

use serde::{Deserialize, Serialize};

use super::map;
use super::table::Table;

/// What becomes of a table's pages in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// Read now, and never given up: needs the right to lock that much memory (`ulimit -l`, `CAP_IPC_LOCK`).
    Locked,
    /// Read now; the system may give pages up when memory is short.
    #[default]
    Warm,
    /// Read when asked for, page by page, nothing ahead: for tables larger than memory. By the readers' threads, under a timeout,
    /// never by a request's own.
    Lazy,
}

/// What the system refused, and how to mend it: a warning, for the table works all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// What was asked for.
    pub asked: Residency,
    /// What the system said, and what to do.
    pub detail: String,
}

impl Table {
    /// Asks the system to keep the table's pages as told; reads the whole file unless that is [`Residency::Lazy`]. `None` where it
    /// did. A table that may not be locked is warm.
    #[must_use = "a refusal is worth a line in the log"]
    pub fn reside(&self, residency: Residency) -> Option<Refused> {
        let refused = |detail: String| Refused { asked: residency, detail };
        match residency {
            Residency::Locked => map::lock(&self.map).err().map(|error| {
                let warm = map::warm(&self.map).err().map(|e| format!("; reading it ahead: {e}"));
                let bytes = self.header.file_length;
                refused(format!(
                    "locking {bytes} bytes: {error}; it is kept warm instead; raise the limit (ulimit -l, LimitMEMLOCK=, \
                     CAP_IPC_LOCK){}",
                    warm.unwrap_or_default()
                ))
            }),
            Residency::Warm => map::warm(&self.map).err().map(|error| refused(format!("reading ahead: {error}"))),
            Residency::Lazy => map::lazy(&self.map).err().map(|error| refused(error.to_string())),
        }
    }
}
