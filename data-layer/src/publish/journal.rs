//! The journal of a table's folder: what was built, published and rolled back, when, by whom, and what the gate found. For people, and
//! to tell what was built here from what was copied in. Not for what is served: `CURRENT` alone decides that.
//!
//! A step is written down and synced before it is taken, under the folder's lock. So after a kill the last line may tell of a
//! step that never happened. Whoever reads the story sees that `CURRENT` does not say so, and whoever takes the next step writes it
//! down ([`What::CutShort`]). A journal that is damaged, gone or can't be written never blocks anything.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::gate::Figures;
use super::pointer::Pointer;
use super::write_whole;
use crate::types::{Millis, time};
use crate::{Error, Result};

/// Name of the file.
pub const FILE: &str = "journal.ndjson";
/// Bytes from which on old lines are dropped.
const LARGE: u64 = 1 << 20;
/// Newest lines that stay when old ones are dropped; those of generations that are still there stay, too.
const NEWEST: usize = 1_000;
/// How far the time of a file may lie behind the clock that was read just before it was written.
const CLOCKS: Millis = 50;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A generation was built into the folder.
    Build,
    /// A generation was fetched into the folder from elsewhere, by a server that publishes it itself.
    Pull,
    /// A generation was made the current one.
    Publish,
    /// A generation that was published before was made the current one again.
    Rollback,
    /// The gate said no to a generation; what is served stayed.
    Refuse,
    /// The step before, to what stands in `from`, was written down and never taken.
    CutShort,
    /// `CURRENT` was moved by something that writes no journal.
    Found,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in RFC 3339.
    #[serde(with = "rfc3339")]
    pub time: Millis,
    /// What happened.
    pub what: What,
    /// The first line of `CURRENT` after it, whole; of a build, a pull or a refusal, the generation.
    pub generation: String,
    /// The first line of `CURRENT` before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Who did it: `command line`, `http`, `http:<name of the key>`, `watch`, `pull`, `trainer`.
    pub by: String,
    /// How it compares with the generation before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Figures>,
    /// Whether the gate said no and was overridden.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// What the gate said, where it was overridden, or why it could not compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Entry {
    /// A line of now, without what the gate says.
    #[must_use]
    pub fn new(what: What, generation: impl Into<String>, by: impl Into<String>) -> Self {
        Self {
            time: time::now(),
            what,
            generation: generation.into(),
            from: None,
            by: by.into(),
            gate: None,
            forced: false,
            detail: None,
        }
    }

    /// Whether it tells of `CURRENT`.
    #[must_use]
    pub fn moves(&self) -> bool {
        !matches!(self.what, What::Build | What::Pull | What::Refuse)
    }

    /// Whether it names this generation: as what is served, as what was built, or as one of the deltas on top.
    #[must_use]
    pub fn names(&self, generation: &str) -> bool {
        names_in(&self.generation).any(|name| name == generation)
    }
}

/// The generations that a line of `CURRENT` names: `BASE +DELTA …`.
pub(crate) fn names_in(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace().map(|name| name.trim_start_matches('+'))
}

/// What a journal says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Journal {
    /// The lines that can be read, oldest first.
    pub entries: Vec<Entry>,
    /// The lines that can't.
    pub damaged: Vec<String>,
}

impl Journal {
    /// Where the journal of a folder is.
    #[must_use]
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// What happened in a folder: its journal, without the steps that were never taken.
    ///
    /// # Errors
    /// What the system said.
    pub fn story(folder: &Path) -> Result<Self> {
        let mut journal = Self::read(folder)?;
        journal.entries.extend(journal.settle(folder));
        let mut entries: Vec<Entry> = Vec::with_capacity(journal.entries.len());
        for entry in journal.entries {
            if entry.what != What::CutShort {
                entries.push(entry);
            } else if let Some(at) = entries.iter().rposition(Entry::moves)
                && entry.from.as_ref() == Some(&entries[at].generation)
            {
                entries.remove(at);
            }
        }
        Ok(Self { entries, ..journal })
    }

    /// What to write down before the next step, where `CURRENT` does not say what the journal says. `CURRENT` that is older than the
    /// journal's last step was never touched by it.
    #[must_use]
    pub fn settle(&self, folder: &Path) -> Option<Entry> {
        let last = self.entries.iter().rev().find(|entry| entry.moves())?;
        let now = Pointer::read(folder).ok().flatten().map(|pointer| pointer.current).unwrap_or_default();
        if now == last.generation {
            return None;
        }
        let touched = std::fs::metadata(Pointer::path(folder)).and_then(|data| data.modified()).ok();
        let touched =
            touched.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|at| at.as_millis() as Millis);
        let older = touched.is_none_or(|at| at + CLOCKS < last.time);
        let what = if older { What::CutShort } else { What::Found };
        Some(Entry { from: Some(last.generation.clone()), ..Entry::new(what, now, last.by.clone()) })
    }

    /// Reads the journal of a folder; an empty one where there is none.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = Self::path(folder);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io(&path)(error)),
        };
        let mut journal = Self::default();
        for line in String::from_utf8_lossy(&bytes).lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(entry) => journal.entries.push(entry),
                Err(_) => journal.damaged.push(line.to_owned()),
            }
        }
        Ok(journal)
    }

    /// Whether anything is known of a generation: that it was built or fetched here, or was ever the current one. That it was refused says
    /// nothing of how it came. A damaged line that holds its name counts.
    #[must_use]
    pub fn knows(&self, generation: &str) -> bool {
        let came = |entry: &&Entry| entry.what != What::Refuse;
        self.entries.iter().filter(came).any(|entry| entry.names(generation))
            || self.damaged.iter().any(|line| line.contains(generation))
    }

    /// How a generation came to be served last, or else into the folder.
    #[must_use]
    pub fn last_of(&self, generation: &str) -> Option<&Entry> {
        let of = |entry: &&Entry| entry.names(generation);
        let newest = self.entries.iter().rev();
        newest.clone().filter(of).find(|entry| entry.moves()).or_else(|| newest.clone().find(of))
    }
}

/// Adds lines and syncs them. To be called under the folder's lock.
///
/// # Errors
/// What the system said.
pub fn append(folder: &Path, entries: &[Entry]) -> Result<()> {
    let path = Journal::path(folder);
    let mut text = String::new();
    for entry in entries {
        text.push_str(&serde_json::to_string(entry).map_err(|e| Error::invalid("journal", e.to_string()))?);
        text.push('\n');
    }
    let written = (|| {
        let mut file = File::options().create(true).append(true).read(true).open(&path)?;
        let length = file.metadata()?.len();
        // A line that was cut short stays a line of its own.
        if length > 0 && last_byte(&mut file)? != b'\n' {
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(length)
    })();
    if written.map_err(Error::io(&path))? > LARGE {
        shorten(folder)?;
    }
    Ok(())
}

fn last_byte(file: &mut File) -> std::io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Drops old lines, but how each generation that is still there came, and how it was served last.
fn shorten(folder: &Path) -> Result<()> {
    let Journal { entries, .. } = Journal::read(folder)?;
    let there = |name: &str| folder.join(format!("{name}.{}", crate::keylist::EXTENSION)).is_file();
    let names: BTreeSet<&str> = entries.iter().flat_map(|entry| names_in(&entry.generation)).collect();
    let there: BTreeSet<&str> = names.into_iter().filter(|name| there(name)).collect();
    let old = entries.len().saturating_sub(NEWEST);
    let mut told: BTreeSet<(bool, bool, &str)> = BTreeSet::new();
    let mut kept: Vec<&Entry> = Vec::new();
    for (at, entry) in entries.iter().enumerate().rev() {
        let new = names_in(&entry.generation)
            .filter(|name| there.contains(name))
            .filter(|name| told.insert((entry.moves(), entry.what == What::Refuse, name)))
            .count();
        if at >= old || new > 0 {
            kept.push(entry);
        }
    }
    write_whole(&Journal::path(folder), |file| {
        for entry in kept.into_iter().rev() {
            serde_json::to_writer(&mut *file, entry)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
}

/// Times as people read them.
mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::types::{Millis, time};

    pub fn serialize<S: Serializer>(at: &Millis, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&time::format_rfc3339(*at))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
        time::parse_rfc3339(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_and_damage_costs_only_its_line() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Journal::read(root.path()).unwrap(), Journal::default());
        let built = Entry::new(What::Build, "20260101T000000Z-00000001", "command line");
        let figures = Figures { before: "b".into(), coverage: 0.25, length: 1.0, drift: 0.1, keys: 7 };
        let published = Entry {
            from: Some("before".into()),
            gate: Some(figures),
            forced: true,
            detail: Some("said no".into()),
            ..Entry::new(What::Publish, "20260101T000000Z-00000001 +20260102T000000Z-00000002", "http:shop")
        };
        append(root.path(), std::slice::from_ref(&built)).unwrap();
        // Half a line, as a full disk or a kill leaves it.
        let mut file = File::options().append(true).open(Journal::path(root.path())).unwrap();
        file.write_all(b"{\"time\":\"2026-01-01T00:00:00Z\",\"what\":\"publish\",\"generation\":\"20260103T")
            .unwrap();
        append(root.path(), std::slice::from_ref(&published)).unwrap();
        let journal = Journal::read(root.path()).unwrap();
        assert_eq!(journal.entries, [built, published.clone()]);
        assert_eq!(journal.damaged.len(), 1);
        assert!(journal.knows("20260103T") && !journal.knows("20260104T000000Z-00000004"));
        assert!(journal.knows("20260102T000000Z-00000002"), "a delta of a stack");
        assert_eq!(journal.last_of("20260101T000000Z-00000001"), Some(&published));
        let found = journal.settle(root.path()).unwrap();
        assert_eq!(
            (found.what, found.from),
            (What::CutShort, Some(published.generation)),
            "there is no CURRENT"
        );
    }

    #[test]
    fn a_long_journal_forgets_what_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let name = |n: usize| format!("20260101T000000Z-{n:08x}");
        std::fs::write(root.path().join(format!("{}.keylist", name(3))), b"").unwrap();
        let many: Vec<Entry> = (0..12_000).map(|n| Entry::new(What::Build, name(n), "trainer")).collect();
        append(root.path(), &many).unwrap();
        // That it was refused since does not hide that it was built here.
        let since = [What::Publish, What::Refuse].map(|what| Entry::new(what, name(3), "trainer"));
        append(root.path(), &since).unwrap();
        let journal = Journal::read(root.path()).unwrap();
        assert_eq!(journal.entries.len(), NEWEST + 1);
        assert!(journal.knows(&name(3)) && journal.knows(&name(11_999)) && !journal.knows(&name(4)));
        assert_eq!(journal.entries[0].generation, name(3));
    }
}
