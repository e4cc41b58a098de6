//! Opens tables, notices new generations, and swaps them in for all requests at once. A bad one leaves the old one serving.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::Serialize;

use super::snapshot::Shelf;
use super::{Mapped, Snapshot, Stack};
use crate::config::Config;
use crate::keylist::Verify;
use crate::live::Live;
use crate::publish::{Folder, Line};
use crate::types::Ordinal;
use crate::{Error, Result};

/// Ids that are made ordinals under one lock of the item table, so that requests get in between.
const CHUNK: usize = 256;

/// All tables of a namespace, kept up to date.
#[derive(Debug)]
pub struct Tables {
    config: Config,
    live: Arc<Live>,
    snapshot: ArcSwap<Snapshot>,
    errors: Mutex<BTreeMap<String, Failed>>,
    loading: Mutex<()>,
    /// What is served no more, but may still be read: kept, so that the last reader is not the one who unmaps it.
    retired: Mutex<Vec<Arc<Stack>>>,
}

/// Why a generation is not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableError {
    /// Which table.
    pub table: String,
    /// What was to be served; empty where that could not be found out.
    pub generation: String,
    /// What is served instead; `None`: nothing.
    pub serving: Option<String>,
    /// What is wrong.
    pub detail: String,
}

/// A generation that is served from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Swap {
    /// Which table.
    pub table: String,
    /// What was served before; `None`: nothing.
    pub from: Option<String>,
    /// What is served now.
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failed {
    generation: String,
    detail: String,
    /// Length and time of its files when it failed: it is tried again when they change, not each second.
    files: Vec<Option<(u64, SystemTime)>>,
}

impl Tables {
    /// Opens what is served of each table. A table that can't be opened is left out and named by [`Tables::errors`].
    ///
    /// # Errors
    /// A folder of tables that exists and can't be listed.
    pub fn open(config: &Config, live: Arc<Live>) -> Result<Self> {
        let tables = Self {
            config: config.clone(),
            live,
            snapshot: ArcSwap::default(),
            errors: Mutex::default(),
            loading: Mutex::default(),
            retired: Mutex::default(),
        };
        tables.folders()?;
        tables.poll();
        Ok(tables)
    }

    /// All tables as of now. A request takes it once.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Tables whose newest generation is not served, and why.
    #[must_use]
    pub fn errors(&self) -> Vec<TableError> {
        let snapshot = self.snapshot();
        let serving = |name: &str| snapshot.table(name).map(Stack::generation);
        let errors = self.errors.lock();
        let all = errors.iter().map(|(table, failed)| TableError {
            table: table.clone(),
            generation: failed.generation.clone(),
            serving: serving(table),
            detail: failed.detail.clone(),
        });
        all.collect()
    }

    /// Looks for moved pointers and new tables, and swaps all that is new in with one step. Called every second by a server,
    /// and at once by a publish.
    pub fn poll(&self) -> Vec<Swap> {
        let _one_at_a_time = self.loading.lock();
        let folders = match self.folders() {
            Ok(folders) => folders,
            Err(error) => {
                tracing::warn!(%error, "tables can't be listed; what is served stays");
                return Vec::new();
            }
        };
        // What is wrong with a table that is there no more is nobody's concern.
        self.errors.lock().retain(|name, _| folders.contains(name));
        let before = self.snapshot();
        let mut tables = before.tables.clone();
        let mut swaps = Vec::new();
        for name in folders {
            match self.look(&name, &before) {
                Ok(None) => {
                    self.errors.lock().remove(&name);
                }
                Ok(Some(stack)) => {
                    self.errors.lock().remove(&name);
                    let from = before.table(&name).map(Stack::generation);
                    swaps.push(Swap { table: name.clone(), from, to: stack.generation() });
                    let shelf =
                        Shelf::after(tables.get(&name), stack, self.config.tables.options(&name).cache);
                    let old = tables.insert(name, shelf);
                    self.retired.lock().extend(old.map(|shelf| shelf.stack));
                }
                Err(Some(failed)) => {
                    tracing::warn!(table = name, failed.generation, failed.detail, "generation not served");
                    self.errors.lock().insert(name, failed);
                }
                Err(None) => {}
            }
        }
        if !swaps.is_empty() {
            self.snapshot.store(Arc::new(Snapshot { tables }));
        }
        drop(before);
        self.retired.lock().retain(|stack| Arc::strong_count(stack) > 1);
        swaps
    }

    /// Polls, and says what is served of one table.
    ///
    /// # Errors
    /// No such table, or its newest generation is refused.
    pub fn reload(&self, name: &str) -> Result<String> {
        self.errors.lock().remove(name);
        self.poll();
        if let Some(failed) = self.errors.lock().get(name) {
            return Err(Error::invalid(format!("table {name}"), failed.detail.clone()));
        }
        let snapshot = self.snapshot();
        snapshot.table(name).map(Stack::generation).ok_or_else(|| super::no_table(name))
    }

    /// Names of the tables that have a folder, sorted.
    fn folders(&self) -> Result<Vec<String>> {
        let root = self.config.tables_root();
        let entries = match std::fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&root)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io(&root))?;
            let name = entry.file_name().to_str().unwrap_or("").to_owned();
            if crate::config::check_name(&name).is_ok() && entry.path().is_dir() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// What to swap in, if there is something new; `Err(None)` where it is known to be bad.
    fn look(&self, name: &str, before: &Snapshot) -> std::result::Result<Option<Stack>, Option<Failed>> {
        let failed = |generation: String, files, error: Error| {
            let failed = Failed { generation, detail: error.to_string(), files };
            let known = self.errors.lock().get(name) == Some(&failed);
            if known { None } else { Some(failed) }
        };
        let folder = Folder::of(&self.config, name).map_err(|e| failed(String::new(), Vec::new(), e))?;
        let served = folder.served_line().map_err(|e| failed(String::new(), Vec::new(), e))?;
        let serving = before.table(name);
        let Some(wanted) = served.filter(|wanted| serving.map(Stack::line) != Some(wanted)) else {
            return Ok(None);
        };
        let files: Vec<_> = wanted.names().map(|generation| state(&folder.file(generation))).collect();
        let known =
            self.errors.lock().get(name).is_some_and(|f| f.generation == wanted.name() && f.files == files);
        if known {
            return Err(None);
        }
        self.load(&folder, &wanted, serving).map(Some).map_err(|error| {
            // What the system refused, such as one file more, it may allow the next time: that is tried again.
            let again = matches!(error, Error::Io { .. });
            failed(wanted.name(), if again { Vec::new() } else { files }, error)
        })
    }

    /// Opens the files of a line; those that are served already are not opened again.
    fn load(&self, folder: &Folder, line: &Line, serving: Option<&Stack>) -> Result<Stack> {
        let open = |generation: &str| match serving.and_then(|stack| stack.layer(generation)) {
            Some(layer) => Ok(layer),
            None => self.open_layer(folder, generation).map(Arc::new),
        };
        let base = open(&line.base)?;
        if base.table().header().entries == 0 && base.table().header().vector == 0 {
            return Err(Error::invalid(
                base.table().path().display().to_string(),
                "has no entries; it is never served",
            ));
        }
        if folder.current()?.is_none() {
            let (table, generation) = (folder.name(), &line.base);
            tracing::warn!(
                table,
                generation,
                "nothing was ever published of it; serving the newest generation"
            );
        }
        let deltas = line.deltas.iter().map(|delta| open(delta)).collect::<Result<_>>()?;
        Stack::new(base, deltas)
    }

    /// Checks a file whole and makes its items ordinals, a few at a time, so that requests get in between.
    fn open_layer(&self, folder: &Folder, generation: &str) -> Result<Mapped> {
        let table = folder.open(Some(generation), Verify::Full)?;
        let mut ordinals: Vec<Ordinal> = Vec::with_capacity(table.dictionary_len() as usize);
        for first in (0..table.dictionary_len()).step_by(CHUNK) {
            let last = table.dictionary_len().min(first.saturating_add(CHUNK as u32));
            ordinals.extend(self.live.intern((first..last).map(|index| table.dictionary(index)))?);
        }
        Mapped::new(table, ordinals)
    }
}

fn state(path: &PathBuf) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.len(), data.modified().ok()?))
}
