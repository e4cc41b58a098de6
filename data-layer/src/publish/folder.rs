//! The folder of one table: its generations, its pointer, and what they are. What moves the pointer is `steps.rs`'s.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Line;
use super::pointer::Pointer;
use crate::config::Config;
use crate::keylist::{EXTENSION, Header, Statistics, Table, TableSpec, Verify};
use crate::types::{DEFAULT_NAMESPACE, Millis};
use crate::{Error, Result};

/// Who the journal names where nobody says.
const COMMAND_LINE: &str = "command line";

/// The generations of one table, `DIR/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    namespace: String,
    name: String,
    by: String,
}

/// A generation that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Generation {
    /// Its name.
    pub generation: String,
    /// Whether it is served, as a whole or on top of one.
    pub current: bool,
    /// Whether it is served on top of a whole one.
    pub on_top: bool,
    /// Size of its file.
    pub bytes: u64,
}

/// What a generation is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stat {
    /// Namespace of the table.
    pub namespace: String,
    /// Name of the table.
    pub table: String,
    /// Its name.
    pub generation: String,
    /// Version of its format.
    pub format: u32,
    /// How far the source had come.
    pub watermark: Millis,
    /// Size of its file.
    pub bytes: u64,
    /// Sum of its header, in hex: what deltas of it name.
    pub sum: String,
    /// For a delta: the sum of the whole generation that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_of: Option<String>,
    /// Deltas on top of it, oldest first, where it is what is served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<String>,
    /// Counts and ranges.
    #[serde(flatten)]
    pub statistics: Statistics,
}

impl Folder {
    /// A folder by its path. The last part is the table's name; the part before it, where it reads `ns=…`, the namespace.
    ///
    /// # Errors
    /// A last part that can't be a table's name.
    pub fn at(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let part = |p: Option<&std::ffi::OsStr>| p.and_then(|p| p.to_str()).unwrap_or("").to_owned();
        // `tables/hot/.` and the like have no last part of their own until resolved.
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = part(whole.file_name());
        crate::config::check_name(&name).map_err(|detail| {
            Error::invalid(path.display().to_string(), format!("a table's folder: {detail}"))
        })?;
        let above = part(whole.parent().and_then(Path::file_name));
        let namespace = above.strip_prefix("ns=").unwrap_or(DEFAULT_NAMESPACE).to_owned();
        Ok(Self { path: path.to_owned(), namespace, name, by: COMMAND_LINE.to_owned() })
    }

    /// The folder of a table under a configuration.
    ///
    /// # Errors
    /// A name that can't be a table's.
    pub fn of(config: &Config, name: &str) -> Result<Self> {
        crate::config::check_name(name).map_err(|detail| Error::invalid("table", detail))?;
        let (path, namespace) = (config.table_folder(name), config.namespace.clone());
        Ok(Self { path, namespace, name: name.to_owned(), by: COMMAND_LINE.to_owned() })
    }

    /// The same folder in the hands of somebody whom the journal names: `http:<name of the key>`, `watch`, `trainer`. Without this it is
    /// the `command line`.
    #[must_use]
    pub fn by(self, who: impl Into<String>) -> Self {
        Self { by: who.into(), ..self }
    }

    /// Who the journal names.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.by
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Namespace of the table.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What a table built into this folder is: its namespace and name, the folder for what does not fit into memory, and defaults.
    #[must_use]
    pub fn spec(&self, watermark: Millis) -> TableSpec {
        let (namespace, scratch) = (self.namespace.clone(), self.path.clone());
        TableSpec { namespace, scratch, ..TableSpec::new(self.name.clone(), watermark) }
    }

    /// The file of a generation.
    #[must_use]
    pub fn file(&self, generation: &str) -> PathBuf {
        self.path.join(format!("{generation}.{EXTENSION}"))
    }

    /// All generations, newest first: by watermark, which their names start with; of one second, the file written last.
    ///
    /// # Errors
    /// What the system said; a folder that does not exist has none.
    pub fn list(&self) -> Result<Vec<Generation>> {
        // A pointer that names nothing is reported by `current`; generations can be listed, and published, all the same.
        let line = self.current_line().ok().flatten().unwrap_or_default();
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(&self.path)(error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io(&self.path))?;
            let name = entry.file_name();
            let Some(generation) = name.to_str().and_then(|n| n.strip_suffix(".keylist")) else { continue };
            if !is_generation(generation) {
                continue;
            }
            // A file may be removed between the listing and here.
            let Ok(data) = entry.metadata() else { continue };
            let current = line.names().any(|name| name == generation);
            let on_top = line.deltas.iter().any(|name| name == generation);
            let (written, bytes) = (data.modified().ok(), data.len());
            all.push((written, Generation { generation: generation.to_owned(), current, on_top, bytes }));
        }
        let watermark = |g: &Generation| g.generation.split('-').next().map(str::to_owned);
        all.sort_by_cached_key(|(written, g)| Reverse((watermark(g), *written, g.generation.clone())));
        Ok(all.into_iter().map(|(_, generation)| generation).collect())
    }

    /// The whole generation that `CURRENT` names; `None` where nothing was ever published.
    ///
    /// # Errors
    /// A pointer that can't be read.
    pub fn current(&self) -> Result<Option<String>> {
        Ok(self.current_line()?.map(|line| line.base))
    }

    /// What `CURRENT` names, with its deltas; `None` where nothing was ever published.
    ///
    /// # Errors
    /// A pointer that can't be read.
    pub fn current_line(&self) -> Result<Option<Line>> {
        Pointer::read(&self.path)?.map(|pointer| pointer.line(&self.path)).transpose()
    }

    /// The first line of `CURRENT`, whatever it says; `None` where there is none, or where it names nothing.
    pub(super) fn pointed(&self) -> Option<String> {
        Pointer::read(&self.path).ok().flatten().map(|pointer| pointer.current)
    }

    /// What is served, with its deltas: what `CURRENT` names, or the newest whole generation where nothing was ever published.
    ///
    /// # Errors
    /// A pointer that can't be read, or what the system said.
    pub fn served_line(&self) -> Result<Option<Line>> {
        match self.current_line()? {
            Some(line) => Ok(Some(line)),
            None => Ok(self.served()?.map(Line::of)),
        }
    }

    /// What is served: the whole generation that `CURRENT` names, or the newest one where nothing was ever published.
    ///
    /// # Errors
    /// A pointer that can't be read, or what the system said.
    pub fn served(&self) -> Result<Option<String>> {
        if let Some(current) = self.current()? {
            return Ok(Some(current));
        }
        // One whose header can't be read counts as whole: it is reported as what it is, not passed over.
        let is_delta = |generation: &str| {
            Table::header_of(self.file(generation)).is_ok_and(|header| header.base.is_some())
        };
        Ok(self.list()?.into_iter().map(|found| found.generation).find(|generation| !is_delta(generation)))
    }

    /// Opens a generation, or what is served, and checks that it is this table's.
    ///
    /// # Errors
    /// No such generation, a corrupt file, or another table's.
    pub fn open(&self, generation: Option<&str>, verify: Verify) -> Result<Table> {
        let generation = self.resolve(generation)?;
        let table = Table::open(self.file(&generation), verify)?;
        let Header { namespace, name, .. } = table.header();
        if (namespace, name) != (&self.namespace, &self.name) {
            return Err(Error::invalid(
                table.path().display().to_string(),
                format!(
                    "expected table {} of namespace {}, found {name} of {namespace}; build it into its own folder",
                    self.name, self.namespace
                ),
            ));
        }
        let says = table.header().generation();
        if says != generation {
            return Err(Error::invalid(
                table.path().display().to_string(),
                format!("its content is generation {says}; give the file that name"),
            ));
        }
        Ok(table)
    }

    /// What a generation, or what is served, is; without reading its records.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn stat(&self, generation: Option<&str>) -> Result<Stat> {
        self.stat_checked(generation, Verify::Open)
    }

    /// Checks every byte of a generation, or of what is served, with its deltas.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn verify(&self, generation: Option<&str>) -> Result<Stat> {
        self.stat_checked(generation, Verify::Full)
    }

    fn stat_checked(&self, generation: Option<&str>, verify: Verify) -> Result<Stat> {
        let table = self.open(generation, verify)?;
        let mut stat = stat(&table);
        if generation.is_none() {
            stat.deltas = self.served_line()?.map(|line| line.deltas).unwrap_or_default();
            for delta in &stat.deltas {
                super::overlay::check(&self.open(Some(delta), verify)?, &table)?;
            }
        }
        Ok(stat)
    }

    pub(super) fn resolve(&self, generation: Option<&str>) -> Result<String> {
        let generation = match generation {
            // The name of its file will do.
            Some(generation) => generation.strip_suffix(".keylist").unwrap_or(generation).to_owned(),
            None => self.served()?.ok_or_else(|| self.none())?,
        };
        if generation.starts_with('.')
            || generation.contains(['/', '\\'])
            || !self.file(&generation).is_file()
        {
            return Err(Error::NotFound {
                what: "generation",
                name: format!("{generation} of table {}", self.name),
                hint: "; `weir table list` shows those that are there".to_owned(),
            });
        }
        Ok(generation)
    }

    pub(super) fn none(&self) -> Error {
        Error::NotFound {
            what: "generation",
            name: format!("any of table {}", self.name),
            hint: format!("; {} holds none, build one first", self.path.display()),
        }
    }
}

/// Whether a name is that of a generation: a time and eight hex digits. A copy under another name would else be the newest of all.
pub(super) fn is_generation(name: &str) -> bool {
    let time = |c: char| c.is_ascii_digit() || "TZ-".contains(c);
    let hex = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
    name.rsplit_once('-').is_some_and(|(at, sum)| {
        !at.is_empty() && at.chars().all(time) && sum.len() == 8 && sum.chars().all(hex)
    })
}

fn stat(table: &Table) -> Stat {
    let header = table.header();
    Stat {
        namespace: header.namespace.clone(),
        table: header.name.clone(),
        generation: header.generation(),
        format: header.version,
        watermark: header.watermark,
        bytes: header.file_length,
        sum: format!("{:016x}", header.sum),
        delta_of: header.base.map(|sum| format!("{sum:016x}")),
        deltas: Vec::new(),
        statistics: table.statistics().clone(),
    }
}
