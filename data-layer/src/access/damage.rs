//! What is known of files that are damaged: which are served all the same, and which are not gone back to. Finding damage is
//! `scrub.rs`'s, doing something about it `tables.rs`'s.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use parking_lot::Mutex;

/// Length, time and number of a file; `None` where it is not there. Another state is another file, or other content.
pub(super) type FileState = Option<(u64, SystemTime, u64)>;

/// The state of a file.
pub(super) fn state(path: &Path) -> FileState {
    let data = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&data);
    #[cfg(not(unix))]
    let number = 0;
    Some((data.len(), data.modified().ok()?, number))
}

/// Damage that was found, by table.
#[derive(Debug, Default)]
pub(super) struct Damage {
    found: Mutex<BTreeMap<String, Vec<Found>>>,
}

/// A damaged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The generation in it.
    pub(super) generation: String,
    /// What is wrong.
    pub(super) detail: String,
    file: FileState,
}

impl Found {
    /// Whether a file in this state is the damaged one; one that is gone can't be another.
    pub(super) fn is_of(&self, file: FileState) -> bool {
        file.is_none() || file == self.file
    }
}

impl Damage {
    /// Notes that a file is damaged; `false` where that was known.
    pub(super) fn note(&self, table: &str, generation: &str, detail: &str, file: FileState) -> bool {
        let mut all = self.found.lock();
        let found = all.entry(table.to_owned()).or_default();
        let known = found.iter().any(|f| f.generation == generation && f.file == file);
        found.retain(|f| f.generation != generation);
        found.push(Found { generation: generation.to_owned(), detail: detail.to_owned(), file });
        !known
    }

    /// The damaged file of a line of generations that is still the one that was found damaged, if any.
    pub(super) fn in_line<'a>(
        &self,
        table: &str,
        mut line: impl Iterator<Item = &'a str>,
        state: impl Fn(&str) -> FileState,
    ) -> Option<Found> {
        let all = self.found.lock();
        let found = all.get(table)?;
        line.find_map(|name| found.iter().find(|f| f.generation == name && state(name) == f.file)).cloned()
    }

    /// Generations whose damaged file was put in order, or at least is another one by now.
    pub(super) fn mended(&self, table: &str, state: impl Fn(&str) -> FileState) -> Vec<String> {
        let all = self.found.lock();
        let found = all.get(table).map(Vec::as_slice).unwrap_or_default();
        found.iter().filter(|f| !f.is_of(state(&f.generation))).map(|f| f.generation.clone()).collect()
    }

    /// Keeps what still concerns somebody.
    pub(super) fn retain(&self, keep: impl Fn(&str, &Found) -> bool) {
        self.found.lock().retain(|table, found| {
            found.retain(|f| keep(table, f));
            !found.is_empty()
        });
    }

    /// All of it, by table.
    pub(super) fn all(&self) -> Vec<(String, Found)> {
        let all = self.found.lock();
        all.iter().flat_map(|(table, found)| found.iter().map(|f| (table.clone(), f.clone()))).collect()
    }
}
