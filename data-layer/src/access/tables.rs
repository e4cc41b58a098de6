//! Opens tables, notices new generations, and swaps them in for all requests at once. A bad one leaves the old one serving.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::Serialize;

use super::damage::{Damage, FileState, state};
use super::snapshot::Shelf;
use super::{Mapped, Snapshot, Stack};
use crate::config::{Config, Residency, VerifyWhen};
use crate::keylist::Verify;
use crate::live::Live;
use crate::publish::{Folder, Line};
use crate::types::Ordinal;
use crate::{Error, Result};

/// Ids that are made ordinals under one lock of the item table, so that requests get in between.
const CHUNK: usize = 256;
/// Who the journal names where damage made a table go back.
const SCRUB: &str = "scrub";

/// All tables of a namespace, kept up to date.
#[derive(Debug)]
pub struct Tables {
    config: Config,
    live: Arc<Live>,
    snapshot: ArcSwap<Snapshot>,
    errors: Mutex<BTreeMap<String, Failed>>,
    damage: Damage,
    loading: Mutex<()>,
    /// What is served no more, but may still be read: kept, so that the last reader is not the one who unmaps it.
    retired: Mutex<Vec<Arc<Stack>>>,
}

/// What is wrong with a generation: it is not served, or not as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableError {
    /// Which table.
    pub table: String,
    /// What was to be served, or is damaged; empty where that could not be found out.
    pub generation: String,
    /// What is served; `None`: nothing.
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
    /// Length, time and number of its files when it failed: it is tried again when they change, not each second.
    files: Vec<FileState>,
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
            damage: Damage::default(),
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

    /// Tables whose newest generation is not served, and why; and those with a damaged file, which is served as far as it is whole,
    /// or not any more.
    #[must_use]
    pub fn errors(&self) -> Vec<TableError> {
        let snapshot = self.snapshot();
        let error = |table: String, generation: String, detail: String| {
            let serving = snapshot.table(&table).map(Stack::generation);
            TableError { table, generation, serving, detail }
        };
        let failed = self.errors.lock().clone().into_iter();
        let failed = failed.map(|(table, failed)| error(table, failed.generation, failed.detail));
        let damaged = self.damage.all().into_iter().map(|(table, found)| {
            let is_served =
                snapshot.table(&table).is_some_and(|stack| stack.layer(&found.generation).is_some());
            let now = if is_served { "what is whole of it is served" } else { "the one before is served" };
            error(table, found.generation, format!("{}; {now}", found.detail))
        });
        failed.chain(damaged).collect()
    }

    /// Tables with a file in which damage was found, as pairs of table and generation.
    #[must_use]
    pub fn damage(&self) -> Vec<(String, String)> {
        self.damage.all().into_iter().map(|(table, found)| (table, found.generation)).collect()
    }

    /// Every file that is served, with the name of its table.
    #[must_use]
    pub fn files(&self) -> Vec<(String, Arc<Mapped>)> {
        let snapshot = self.snapshot();
        let of_table = |(name, stack): (&str, &Stack)| -> Vec<(String, Arc<Mapped>)> {
            let files = std::iter::once(stack.base()).chain(stack.deltas());
            files.map(|file| (name.to_owned(), Arc::clone(file))).collect()
        };
        snapshot.tables().flat_map(of_table).collect()
    }

    /// Takes note that the file of a generation is damaged. Where it is published, the newest whole one before it is made the current one,
    /// and the journal tells; else what is whole of it stays served, and what is not is reported as it is read. Waits for the disk:
    /// never on a request's thread.
    pub fn damaged(&self, table: &str, generation: &str, detail: &str) {
        let Ok(folder) = Folder::of(&self.config, table) else { return };
        if !self.damage.note(table, generation, detail, state(&folder.file(generation))) {
            return;
        }
        tracing::error!(table, generation, detail, "a file that is served is damaged");
        match folder.by(SCRUB).fall_back(generation, detail) {
            Ok(Some(line)) => {
                let swaps = self.poll();
                tracing::error!(table, to = %line, ?swaps, "went back to the generation before");
            }
            Ok(None) => tracing::error!(
                table,
                generation,
                "nothing whole is before it; it stays served as far as it is whole"
            ),
            Err(error) => tracing::error!(table, generation, %error, "it stays served: going back failed"),
        }
    }

    /// Asks the system to hold a file in memory as its table's configuration says.
    pub(super) fn reside(&self, table: &str, file: &Mapped) {
        if let Some(refused) = file.table().reside(self.config.tables.options(table).residency) {
            tracing::warn!(table, generation = file.generation(), asked = ?refused.asked, refused.detail, "not held in memory as asked");
        }
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
        self.forget(&before);
        let mut tables = before.tables.clone();
        let mut swaps = Vec::new();
        for name in folders {
            match self.look(&name, &before) {
                Ok(None) => {
                    self.errors.lock().remove(&name);
                }
                Ok(Some(stack)) => {
                    self.errors.lock().remove(&name);
                    self.settle(&name, &stack);
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
        let file = |generation: &str| state(&folder.file(generation));
        let mended = self.damage.mended(name, file);
        let is_new = |wanted: &Line| serving.map(Stack::line) != Some(wanted);
        let is_mended = |wanted: &Line| wanted.names().any(|name| mended.iter().any(|other| other == name));
        let Some(wanted) = served.filter(|wanted| is_new(wanted) || is_mended(wanted)) else {
            return Ok(None);
        };
        if self.damage.in_line(name, wanted.names(), file).is_some() {
            return Err(None);
        }
        let files: Vec<_> = wanted.names().map(file).collect();
        let known =
            self.errors.lock().get(name).is_some_and(|f| f.generation == wanted.name() && f.files == files);
        if known {
            return Err(None);
        }
        let kept =
            |generation: &str| serving?.layer(generation).filter(|_| !mended.iter().any(|m| m == generation));
        self.load(&folder, &wanted, &kept).map(Some).map_err(|error| {
            // What the system refused, such as one file more, it may allow the next time: that is tried again.
            let again = matches!(error, Error::Io { .. });
            failed(wanted.name(), if again { Vec::new() } else { files }, error)
        })
    }

    /// Forgets damage that concerns nobody: of files that are not served, and are gone, put in order, or older than what is.
    fn forget(&self, before: &Snapshot) {
        self.damage.retain(|table, found| {
            let Some(stack) = before.table(table) else { return true };
            let newest = stack.line().names().last().unwrap_or_default();
            let file = Folder::of(&self.config, table).map(|folder| state(&folder.file(&found.generation)));
            let is_damaged = file.is_ok_and(|file| file.is_some() && found.is_of(file));
            stack.layer(&found.generation).is_some() || (is_damaged && newest < found.generation.as_str())
        });
    }

    /// Forgets damage of files that were put in order and are served from now on.
    fn settle(&self, table: &str, stack: &Stack) {
        let Ok(folder) = Folder::of(&self.config, table) else { return };
        let served = |generation: &str| stack.layer(generation).is_some();
        self.damage.retain(|other, found| {
            other != table
                || !served(&found.generation)
                || found.is_of(state(&folder.file(&found.generation)))
        });
    }

    /// Opens the files of a line, but for those that are served already and are kept.
    fn load(
        &self,
        folder: &Folder,
        line: &Line,
        kept: &dyn Fn(&str) -> Option<Arc<Mapped>>,
    ) -> Result<Stack> {
        let open = |generation: &str| match kept(generation) {
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

    /// Opens a file, checks as much of it as is asked for, and makes its items ordinals, a few at a time, so that requests get in
    /// between.
    fn open_layer(&self, folder: &Folder, generation: &str) -> Result<Mapped> {
        let options = self.config.tables.options(folder.name());
        let later = options.verify == VerifyWhen::Background;
        let table = folder.open(Some(generation), if later { Verify::Open } else { Verify::Full })?;
        let mut ordinals: Vec<Ordinal> = Vec::with_capacity(table.dictionary_len() as usize);
        for first in (0..table.dictionary_len()).step_by(CHUNK) {
            let last = table.dictionary_len().min(first.saturating_add(CHUNK as u32));
            ordinals.extend(self.live.intern((first..last).map(|index| table.dictionary(index)))?);
        }
        let mapped = Mapped::new(table, ordinals)?;
        // What is checked later is read, and held in memory, then.
        if !later || options.residency == Residency::Lazy {
            self.reside(folder.name(), &mapped);
        }
        Ok(if later { mapped.unchecked() } else { mapped })
    }
}
