//! How far files were taken, on the disk: JSON, written beside and renamed, so that it is always one or the other. Not for what is
//! in the files.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Place;
use crate::{Error, Result};

/// Version of the file that this program writes.
const VERSION: u32 = 1;

/// The file, and its lock.
#[derive(Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    _lock: File,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    #[serde(flatten)]
    place: Place,
}

impl Checkpoint {
    /// Locks a checkpoint and reads it; none yet is an empty one.
    ///
    /// # Errors
    /// [`Error::Locked`] where another program follows by it; [`Error::Newer`]; [`Error::Invalid`] where it is none; [`Error::Io`].
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<(PathBuf, Place)>)> {
        let lock_path = with_ending(path, ".lock");
        let lock = File::create(&lock_path).map_err(Error::io(&lock_path))?;
        lock.try_lock().map_err(|_| Error::Locked { path: path.to_owned() })?;
        let checkpoint = Self { path: path.to_owned(), _lock: lock };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((checkpoint, Vec::new()));
            }
            Err(error) => return Err(Error::io(path)(error)),
        };
        let wrong = |e: serde_json::Error| {
            let detail = format!(
                "expected a checkpoint of followed files: {e}; without it they are read from their beginning"
            );
            Error::invalid(path.display().to_string(), detail)
        };
        let any: serde_json::Value = serde_json::from_str(&text).map_err(wrong)?;
        let found = any["version"].as_u64().unwrap_or(0);
        if found > u64::from(VERSION) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(Error::Newer { path: path.to_owned(), found, known: VERSION });
        }
        let written: Written = serde_json::from_value(any).map_err(wrong)?;
        Ok((checkpoint, written.files.into_iter().map(|entry| (entry.path, entry.place)).collect()))
    }

    /// Writes it, and waits until it is on the disk.
    ///
    /// # Errors
    /// [`Error::Io`]; the one before is still there.
    pub(super) fn write(&self, places: &[(PathBuf, Place)]) -> Result<()> {
        let files = places.iter().map(|(path, place)| Entry { path: path.clone(), place: *place }).collect();
        let text = serde_json::to_vec(&Written { version: VERSION, files })
            .map_err(|e| Error::invalid(self.path.display().to_string(), e.to_string()))?;
        let beside = with_ending(&self.path, ".new");
        let put = || -> std::io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(&text)?;
            file.sync_data()?;
            std::fs::rename(&beside, &self.path)
        };
        put().map_err(Error::io(&self.path))
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
