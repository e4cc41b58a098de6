//! `CURRENT`: which generation of a table, or version of a model, is served, and which were before it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Line, write_whole};
use crate::{Error, Result};

/// Name of the pointer file.
pub(super) const FILE: &str = "CURRENT";
/// Most names a pointer remembers.
pub(super) const HISTORY: usize = 64;

/// What a pointer file says: the first line is current, the others were, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// What is served.
    pub current: String,
    /// What was served before, newest first.
    pub history: Vec<String>,
}

impl Pointer {
    /// Where the pointer of a folder is.
    #[must_use]
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads the pointer of a folder; `None` where nothing was ever published.
    ///
    /// # Errors
    /// A pointer that names nothing, or what the system said.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = Self::path(folder);
        let text = match std::fs::read(&path) {
            // What is not text names nothing, and is mended like everything else that names nothing.
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path)(error)),
        };
        Self::parse(&text).map(Some).ok_or_else(|| {
            Error::invalid(
                format!("{}:1", path.display()),
                "expected the name of a generation; publish one to mend it",
            )
        })
    }

    /// What a pointer file says; `None` where its first line names nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        let good = |name: &String| !name.starts_with('.') && !name.contains(['/', '\\']);
        let current = names.next().filter(good)?;
        Some(Self { current, history: names.filter(good).collect() })
    }

    /// What [`Pointer::parse`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        std::iter::once(&self.current).chain(&self.history).map(|line| format!("{line}\n")).collect()
    }

    /// The first line as a generation with its deltas.
    ///
    /// # Errors
    /// A line that is none.
    pub fn line(&self, folder: &Path) -> Result<Line> {
        let place = || format!("{}:1", Self::path(folder).display());
        Line::parse(&self.current).map_err(|detail| Error::invalid(place(), detail))
    }

    /// Makes `name` the current one; what was current becomes history. Naming the current one again changes nothing.
    ///
    /// # Errors
    /// What the system said.
    pub fn advance(folder: &Path, name: &str) -> Result<Self> {
        let next = match Self::read(folder) {
            Ok(Some(now)) if now.current == name => return Ok(now),
            Ok(Some(now)) => {
                let mut history = now.history;
                history.retain(|other| other != name);
                history.insert(0, now.current);
                history.truncate(HISTORY);
                Self { current: name.to_owned(), history }
            }
            // A pointer that names nothing is mended by publishing.
            Ok(None) | Err(Error::Invalid { .. }) => Self { current: name.to_owned(), history: Vec::new() },
            Err(error) => return Err(error),
        };
        next.write(folder)?;
        Ok(next)
    }

    /// The pointer after a step back, to the line of a generation that was current before, else to the newest of those. The names that
    /// were current after it are forgotten, so that two steps go two back.
    ///
    /// # Errors
    /// Nothing, or not this, was published before.
    pub fn back(self, folder: &Path, to: Option<&str>) -> Result<Self> {
        let is = |line: &String| to.is_none_or(|name| line.split_whitespace().next() == Some(name));
        let Some(at) = self.history.iter().position(is) else {
            let hint = match (to, self.history.is_empty()) {
                (_, true) => format!("; {} is the first that was published", self.current),
                (None, _) => String::new(),
                (Some(name), _) => format!(
                    "; {name} is not among those that were published before: {}; `weir table publish` serves any that is there",
                    self.history.join(", ")
                ),
            };
            return Err(Error::NotFound {
                what: "earlier generation",
                name: folder.display().to_string(),
                hint,
            });
        };
        let mut history = self.history.into_iter().skip(at);
        let current = history.next().unwrap_or(self.current);
        Ok(Self { current, history: history.collect() })
    }

    /// Writes the pointer, in one step.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&self, folder: &Path) -> Result<()> {
        write_whole(&Self::path(folder), |file| file.write_all(self.text().as_bytes()))
    }
}

/// Held while a pointer is read and moved, so that two publishers don't lose each other's step. Released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of a folder.
    ///
    /// # Errors
    /// What the system said.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(".lock");
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        file.lock().map_err(Error::io(&path))?;
        Ok(Self { _file: file })
    }
}
