//! A server's side: looks at the store, fetches generations that are not here, verifies them, moves the local `CURRENT`. What is served
//! stays as it is until a whole, sound generation lies on this machine. Not for swapping in, which is `access/`'s.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use object_store::ObjectMeta;
use parking_lot::Mutex;

use super::{Address, Options, Remote};
use crate::config::Config;
use crate::keylist::{EXTENSION, Table, Verify};
use crate::publish::{Folder, Line, Temporary, What, fault, sweep};
use crate::{Error, Result};

/// Looks left out at most after failures in a row: where the store did not answer, and where what it holds is bad.
const PATIENCE: (u32, u32) = (3, 31);

/// Who the journal names.
const WHO: &str = "pull";

/// A store that a server follows.
#[derive(Debug)]
pub struct Source {
    remote: Remote,
    config: Config,
    standing: Mutex<Known>,
    looking: Mutex<()>,
}

/// What came of one look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Tables whose local `CURRENT` moved, or whose files were mended.
    pub moved: Vec<String>,
    /// Whether everything that was asked for was answered and sound.
    pub good: bool,
}

/// How it goes, for metrics and for people.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// Looks at the store.
    pub looks: u64,
    /// Looks in which something failed, whatever it was.
    pub failures: u64,
    /// Generations fetched.
    pub pulls: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Time since everything was answered and sound; `None` where it never was.
    pub since_good: Option<Duration>,
    /// Why the store can't be listed.
    pub error: Option<String>,
    /// Table to why it does not follow.
    pub tables: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Known {
    standing: Standing,
    good: Option<Instant>,
    store: Trouble,
    tables: BTreeMap<String, Trouble>,
    /// Tables that could not be served, whose files were read whole and are what the store holds: reading them again helps nobody.
    read: BTreeMap<String, String>,
}

/// What failed, and how long to leave it alone.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Trouble {
    /// Failures in a row.
    failures: u32,
    /// Looks still left out.
    wait: u32,
    /// What `CURRENT` said; another line is tried at once.
    line: String,
    /// The object that was fetched and refused: it is fetched again only when it is another one.
    refused: Option<(String, String)>,
    detail: String,
}

impl Trouble {
    fn more(&mut self, error: &Error, line: &str) {
        let most =
            if matches!(error, Error::Store { .. } | Error::Io { .. }) { PATIENCE.0 } else { PATIENCE.1 };
        self.failures = if self.line == line { self.failures.saturating_add(1) } else { 1 };
        self.wait = (1u32 << (self.failures - 1).min(10)).saturating_sub(1).min(most);
        line.clone_into(&mut self.line);
        self.detail = error.to_string();
    }
}

impl Source {
    /// The source that a configuration names; `None` where it names none. Asks the store nothing yet.
    ///
    /// # Errors
    /// As [`Remote::open`].
    pub fn open(config: &Config) -> Result<Option<Self>> {
        let Some(address) = &config.tables.source else { return Ok(None) };
        Self::at(config, address, &config.tables.store).map(Some)
    }

    pub(super) fn at(config: &Config, address: &Address, options: &Options) -> Result<Self> {
        let remote = Remote::open(address, options, &config.namespace)?;
        Ok(Self { remote, config: config.clone(), standing: Mutex::default(), looking: Mutex::default() })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.remote.address()
    }

    /// Makes a look that is under way end at once. For a server that ends.
    pub fn stop(&self) {
        self.remote.stop();
    }

    /// How it goes.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let known = self.standing.lock();
        let tables = known.tables.iter().map(|(name, trouble)| (name.clone(), trouble.detail.clone()));
        let error = Some(known.store.detail.clone()).filter(|detail| !detail.is_empty());
        let since_good = known.good.map(|at| at.elapsed());
        Standing { tables: tables.collect(), error, since_good, ..known.standing.clone() }
    }

    /// Why a table does not follow the store, where it does not.
    #[must_use]
    pub fn error(&self, table: &str) -> Option<String> {
        let known = self.standing.lock();
        let of_store = Some(&known.store.detail).filter(|detail| !detail.is_empty());
        known.tables.get(table).map(|trouble| &trouble.detail).or(of_store).cloned()
    }

    /// Makes a folder for every table that the store holds, so that scenes may name it before it is here.
    ///
    /// # Errors
    /// What the store or the system said.
    pub fn folders(&self) -> Result<()> {
        for name in self.remote.tables()? {
            let folder = self.config.table_folder(&name);
            std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        }
        Ok(())
    }

    /// Looks at the store once, and follows it. What fails is logged when it starts and when it ends, and tried again later, ever less often.
    /// Files of the tables named in `broken` are read whole, and fetched again where they are damaged.
    pub fn look(&self, broken: &[String]) -> Looked {
        let _one_at_a_time = self.looking.lock();
        if !self.due() {
            return Looked::default();
        }
        let listed = self.remote.tables();
        let mut looked = Looked { good: listed.is_ok(), moved: Vec::new() };
        self.settle_store(listed.as_ref().err());
        for name in listed.unwrap_or_default() {
            match self.follow(&name, broken.contains(&name)) {
                Ok(true) => looked.moved.push(name),
                Ok(false) => {}
                Err(()) => looked.good = false,
            }
        }
        let mut known = self.standing.lock();
        if looked.good {
            known.good = Some(Instant::now());
        } else {
            known.standing.failures += 1;
        }
        looked
    }

    /// Whether to look now; failures make looks rarer.
    fn due(&self) -> bool {
        let mut known = self.standing.lock();
        if known.store.wait > 0 {
            known.store.wait -= 1;
            return false;
        }
        known.standing.looks += 1;
        true
    }

    fn settle_store(&self, error: Option<&Error>) {
        let mut known = self.standing.lock();
        let before = std::mem::take(&mut known.store);
        match error {
            None if before.failures > 0 => {
                tracing::info!(source = %self.address(), "the source of tables answers again")
            }
            None => {}
            Some(error) => {
                known.store = before.clone();
                known.store.more(error, "");
                if known.store.detail != before.detail {
                    let error = &known.store.detail;
                    tracing::warn!(source = %self.address(), error, "the source of tables can't be read; what is here is served");
                }
            }
        }
    }

    /// Follows one table; `Err` where it could not, which is then told and kept.
    fn follow(&self, name: &str, broken: bool) -> std::result::Result<bool, ()> {
        let before = self.standing.lock().tables.get(name).cloned().unwrap_or_default();
        let pointer = self.remote.current(name);
        let line =
            pointer.as_ref().ok().and_then(|p| p.as_ref()).map(|p| p.current.clone()).unwrap_or_default();
        if before.wait > 0 && before.line == line {
            if let Some(trouble) = self.standing.lock().tables.get_mut(name) {
                trouble.wait -= 1;
            }
            return Err(());
        }
        let mut now = Trouble { refused: before.refused.clone(), ..Trouble::default() };
        let done = pointer.and_then(|pointer| match pointer {
            Some(pointer) => self.pull(name, &pointer.current, broken, &mut now.refused),
            None => Ok(false),
        });
        let mut known = self.standing.lock();
        let error = match done {
            Ok(moved) => {
                if known.tables.remove(name).is_some() {
                    tracing::info!(table = name, "the table follows its source again");
                }
                return Ok(moved);
            }
            Err(error) => error,
        };
        let mut trouble = Trouble { refused: now.refused, ..before.clone() };
        trouble.more(&error, &line);
        if trouble.detail != before.detail {
            let error = &trouble.detail;
            tracing::warn!(
                table = name,
                error,
                "the table does not follow its source; what is here is served"
            );
        }
        known.tables.insert(name.to_owned(), trouble);
        Err(())
    }

    /// Brings a table to where `CURRENT` in the store is; whether anything changed.
    fn pull(
        &self,
        name: &str,
        line: &str,
        broken: bool,
        refused: &mut Option<(String, String)>,
    ) -> Result<bool> {
        let folder = Folder::of(&self.config, name)?.by(WHO);
        let names = generations(line).map_err(|detail| Error::invalid(self.place(name), detail))?;
        // A pointer that can't be read is mended by moving it.
        let here = folder.pointed();
        let moved = here.as_deref() != Some(line);
        let missing = names.iter().any(|generation| !folder.file(generation).is_file());
        let unread = broken && self.standing.lock().read.get(name).is_none_or(|read| read != line);
        if !moved && !missing && !unread {
            return Ok(false);
        }
        std::fs::create_dir_all(folder.path()).map_err(Error::io(folder.path()))?;
        sweep(folder.path());
        let mut fetched = 0;
        for generation in &names {
            if folder.file(generation).is_file() && folder.open(Some(generation), Verify::Full).is_ok() {
                continue;
            }
            self.bring(&folder, generation, refused)?;
            fetched += 1;
        }
        *refused = None;
        self.standing.lock().read.insert(name.to_owned(), line.to_owned());
        if moved {
            folder.follow(line)?;
            fault::point("pull: followed");
        }
        if let Err(error) = folder.keep(self.config.tables.keep) {
            tracing::warn!(table = name, %error, "old generations stay");
        }
        if moved || fetched > 0 {
            tracing::info!(table = name, from = ?here, to = line, fetched, "pulled");
        }
        Ok(moved || fetched > 0)
    }

    /// Fetches one generation and verifies it whole before it gets its name.
    fn bring(&self, folder: &Folder, generation: &str, refused: &mut Option<(String, String)>) -> Result<()> {
        let place = self.remote.shown(&self.remote.file(folder.name(), generation));
        let found =
            self.remote.wait(self.remote.head(folder.name(), generation))?.ok_or_else(|| Error::Store {
                place: place.clone(),
                detail: format!("not found, although CURRENT of {} names it; push it again", folder.name()),
            })?;
        let version = version(&found);
        if let Some((_, detail)) = refused.as_ref().filter(|(known, _)| *known == version) {
            return Err(Error::invalid(place, detail.clone()));
        }
        // Out of sight and locked until it has its name; what a killed process leaves behind is swept by the next that pulls.
        let (fetched, file) = Temporary::file(&folder.file(generation))?;
        self.remote.wait(self.remote.fetch(&found, &file))?;
        file.sync_all().map_err(Error::io(fetched.path()))?;
        fault::point("pull: fetched");
        if let Err(error) = sound(fetched.path(), folder, generation) {
            let detail = match error {
                Error::Corrupt { section, offset, detail, .. } => {
                    format!("corrupt {section} at byte {offset}: {detail}; push it again")
                }
                Error::Invalid { detail, .. } => detail,
                other => return Err(other),
            };
            *refused = Some((version, detail.clone()));
            return Err(Error::invalid(place, detail));
        }
        // Known to the journal before it has its name, so that it is not taken for one that was copied in.
        folder.announce(What::Pull, generation)?;
        fetched.finish(&folder.file(generation))?;
        let mut known = self.standing.lock();
        known.standing.pulls += 1;
        known.standing.bytes += found.size;
        Ok(())
    }

    fn place(&self, table: &str) -> String {
        format!("{}/{table}/CURRENT:1", self.address())
    }
}

/// The generations that a line of `CURRENT` names, the base first.
pub(super) fn generations(line: &str) -> std::result::Result<Vec<String>, String> {
    let line = Line::parse(line)?;
    match line.names().find(|name| !crate::publish::folder::is_generation(name)) {
        Some(other) => Err(format!("expected names of generations, found {other:?}; push one to mend it")),
        None => Ok(line.names().map(str::to_owned).collect()),
    }
}

/// Whether a file, which does not have its name yet, is whole, sound, and the generation of this table that it shall be.
fn sound(path: &Path, folder: &Folder, generation: &str) -> Result<()> {
    let table = Table::open(path, Verify::Full)?;
    let header = table.header();
    let (wanted, found) = ((folder.namespace(), folder.name()), (&*header.namespace, &*header.name));
    let wrong = |detail: String| Err(Error::invalid(path.display().to_string(), detail));
    if wanted != found {
        return wrong(format!(
            "expected table {} of namespace {}, found {} of {}",
            wanted.1, wanted.0, found.1, found.0
        ));
    }
    if header.generation() != generation {
        return wrong(format!(
            "expected generation {generation}, its content is {}.{EXTENSION}",
            header.generation()
        ));
    }
    if header.lists == 0 || (header.entries == 0 && header.vector == 0 && header.base.is_none()) {
        return wrong("has no entries; an empty table is never served".to_owned());
    }
    Ok(())
}

fn version(found: &ObjectMeta) -> String {
    format!("{} {} {}", found.location, found.size, found.e_tag.as_deref().unwrap_or_default())
}
