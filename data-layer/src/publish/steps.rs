//! The steps that change a table's folder: build, publish, roll back, remove what is old. Each is written into the journal before it is
//! taken, and taken by one rename.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Temporary;
use super::fault;
use super::folder::{Folder, Generation};
use super::gate::{Figures, Gate, compare};
use super::journal::{self, Entry, Journal, What, names_in};
use super::line::Line;
use super::pointer::{Lock, Pointer};
use crate::keylist::{Built, OnLists, Table, Verify, Writer};
use crate::{Error, Result};

/// A step that was taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Published {
    /// What is served from now on: the first line of `CURRENT`, a whole generation and the deltas on top of it.
    pub generation: String,
    /// That line before; `None` where nothing was, or where it could not be read.
    pub from: Option<String>,
    /// How the two compare, where that was asked for and could be found out.
    pub gate: Option<Figures>,
    /// Whether the gate said no and was overridden.
    pub forced: bool,
    /// What the gate said where it was overridden, why it could not compare, or why the journal does not tell of this.
    pub warnings: Vec<String>,
}

impl Folder {
    /// Puts what a writer holds into this folder as a generation. Does not publish it.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn build(&self, writer: Writer) -> Result<Built> {
        self.build_watched(writer, &mut |_, _| {})
    }

    /// [`Folder::build`], telling how many lists of how many are in the file.
    ///
    /// # Errors
    /// As [`Folder::build`].
    pub fn build_watched(&self, writer: Writer, on_lists: &mut OnLists<'_>) -> Result<Built> {
        std::fs::create_dir_all(self.path()).map_err(Error::io(self.path()))?;
        super::sweep(self.path());
        // Out of sight until the journal says that it was built here: a file that the journal does not know was copied in, and a
        // server may publish it.
        let aside = Temporary::folder(&self.path().join("build"))?;
        let built = writer.finish_watched(aside.path(), on_lists)?;
        let _lock = Lock::take(self.path())?;
        self.note(What::Build, &built.generation);
        let path = self.file(&built.generation);
        std::fs::rename(&built.path, &path).map_err(Error::io(&path))?;
        fault::point("build: renamed");
        super::sync_folder(self.path())?;
        Ok(Built { path, ..built })
    }

    /// Writes into the journal that a generation is about to come into the folder other than by being copied in, so that no server
    /// takes it for one that was. To be called before its file gets its name.
    ///
    /// # Errors
    /// The lock can't be had.
    pub fn announce(&self, what: What, generation: &str) -> Result<()> {
        let _lock = Lock::take(self.path())?;
        self.note(what, generation);
        Ok(())
    }

    /// Checks a generation (default: the newest) whole and makes it the current one; a delta is put on top of what is current. Returns the
    /// first line of `CURRENT`.
    ///
    /// # Errors
    /// As [`Folder::publish_told`].
    pub fn publish(&self, generation: Option<&str>, gate: Gate) -> Result<String> {
        Ok(self.publish_told(generation, gate)?.generation)
    }

    /// [`Folder::publish`], with all there is to tell of it.
    ///
    /// # Errors
    /// What [`Folder::open`] says, an empty table, one that the gate refuses, or a delta of another generation than the current one; the
    /// pointer then stays.
    pub fn publish_told(&self, generation: Option<&str>, gate: Gate) -> Result<Published> {
        self.publish_over(generation, gate, None)
    }

    /// [`Folder::publish_told`], as long as the current line is that of `over`, which may be none; without `over`, whatever it is.
    pub(super) fn publish_over(
        &self,
        generation: Option<&str>,
        gate: Gate,
        over: Option<Option<&Line>>,
    ) -> Result<Published> {
        let newest = self.list()?.into_iter().next().map(|g| g.generation);
        let generation = match generation.map(str::to_owned).or(newest) {
            Some(generation) => generation,
            None => return Err(self.none()),
        };
        let generation = self.resolve(Some(&generation))?;
        // Before the check, so that nobody removes it between the check and the step.
        let _lock = Lock::take(self.path())?;
        let table = self.open(Some(&generation), Verify::Full)?;
        let header = table.header();
        if header.lists == 0 || (header.entries == 0 && header.vector == 0 && header.base.is_none()) {
            return Err(self.refused(&generation, "has no entries; an empty table is never published"));
        }
        let from = self.current_line().ok().flatten();
        if let Some(over) = over.filter(|over| from.as_ref() != *over) {
            let named = |line: Option<&Line>| line.map_or_else(|| "nothing".to_owned(), Line::to_string);
            let (over, now) = (named(over), named(from.as_ref()));
            let detail = format!("was made of {over}, but {now} is current by now; do it again");
            return Err(self.refused(&generation, &detail));
        }
        let line = match header.base {
            Some(_) => self.on_top(&table, from.as_ref())?,
            None => Line::of(&generation),
        };
        let from = from.map(|line| line.to_string());
        let mut told =
            Published { generation: line.to_string(), from, gate: None, forced: false, warnings: Vec::new() };
        if told.from.as_ref() == Some(&told.generation) {
            return Ok(told);
        }
        // A delta is as far from what it is on as it says; the gate looks at the whole that is made of them.
        if header.base.is_none()
            && let Err(error) = self.pass(&table, gate, &mut told)
        {
            self.tell_refusal(told, &error);
            return Err(error);
        }
        let detail = (!told.warnings.is_empty()).then(|| told.warnings.join("; "));
        let entry = Entry {
            from: told.from.clone(),
            gate: told.gate.clone(),
            forced: told.forced,
            detail,
            ..Entry::new(What::Publish, &told.generation, self.who())
        };
        super::sweep(self.path());
        fault::point("publish: checked");
        told.warnings.extend(self.write_down(entry));
        Pointer::advance(self.path(), &told.generation)?;
        fault::point("publish: done");
        Ok(told)
    }

    /// Makes `CURRENT` say a line that was decided elsewhere, where another gate was passed. What it names must be here, checked whole.
    ///
    /// # Errors
    /// What the system said.
    pub fn follow(&self, line: &str) -> Result<()> {
        let _lock = Lock::take(self.path())?;
        let from = self.pointed();
        if from.as_deref() == Some(line) {
            return Ok(());
        }
        self.write_down(Entry { from, ..Entry::new(What::Publish, line, self.who()) });
        Pointer::advance(self.path(), line)?;
        Ok(())
    }

    /// Makes the line that was published before the current one again: a whole generation, or one delta less. Returns it.
    ///
    /// # Errors
    /// Nothing was published before, or it is gone or corrupt; the pointer then stays.
    pub fn rollback(&self) -> Result<String> {
        self.rollback_to(None)
    }

    /// Makes a generation that was published before the current one again: the named one, else the one before. What was published
    /// after it is forgotten, so that the next step goes further back. Returns its name.
    ///
    /// # Errors
    /// It was not published before, or it is gone or corrupt; the pointer then stays.
    pub fn rollback_to(&self, generation: Option<&str>) -> Result<String> {
        if !self.path().is_dir() {
            return Err(self.none());
        }
        let _lock = Lock::take(self.path())?;
        let now = Pointer::read(self.path())?.ok_or_else(|| Error::NotFound {
            what: "earlier generation",
            name: self.path().display().to_string(),
            hint: "; nothing was ever published".to_owned(),
        })?;
        let from = now.current.clone();
        let pointer = now.back(self.path(), generation)?;
        for name in pointer.line(self.path())?.names() {
            self.open(Some(name), Verify::Full)?;
        }
        fault::point("rollback: checked");
        let entry = Entry { from: Some(from), ..Entry::new(What::Rollback, &pointer.current, self.who()) };
        self.write_down(entry);
        pointer.write(self.path())?;
        Ok(pointer.current)
    }

    /// Removes old generations: all but those of the current line, of the `keep - 1` published before it, and what is newer than the
    /// current whole one. Removes nothing where nothing was ever published. Returns what was removed.
    ///
    /// # Errors
    /// What the system said.
    pub fn keep(&self, keep: usize) -> Result<Vec<String>> {
        if !self.path().is_dir() {
            return Ok(Vec::new());
        }
        let _lock = Lock::take(self.path())?;
        let Some(pointer) = Pointer::read(self.path())? else { return Ok(Vec::new()) };
        let kept = keep.max(1) - 1;
        let before = &pointer.history[..pointer.history.len().min(kept)];
        let stay: BTreeSet<&str> =
            std::iter::once(&pointer.current).chain(before).flat_map(|line| names_in(line)).collect();
        let base = names_in(&pointer.current).next().unwrap_or_default();
        let mut removed = Vec::new();
        // By the order of the list: names of one second say nothing of which is older.
        let older = self.list()?.into_iter().skip_while(|found| found.generation != base).skip(1);
        for Generation { generation, .. } in older {
            if !stay.contains(generation.as_str()) {
                let path = self.file(&generation);
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
                fault::point("keep: removed");
                removed.push(generation);
            }
        }
        Ok(removed)
    }

    /// Compares with the generation before, and refuses where the limits say so and nobody overrides them.
    fn pass(&self, table: &Table, gate: Gate, told: &mut Published) -> Result<()> {
        let (limits, force) = match gate {
            Gate::Sound => return Ok(()),
            Gate::Within(limits) => (limits, false),
            Gate::Forced(limits) => (limits, true),
        };
        let Some(before) = told.from.as_deref().and_then(|from| names_in(from).next()) else {
            return Ok(());
        };
        // What is wrong with the one before must not keep a sound one out: it is what mends it.
        let compared = match self.open(Some(before), Verify::Open) {
            Ok(old) => compare(&old, table).map_err(|error| (of_file(&error, &old), error)),
            Err(error) => Err((true, error)),
        };
        let figures = match compared {
            Ok(figures) => figures,
            Err((true, error)) => {
                told.warnings.push(format!("not compared with the one before: {error}"));
                return Ok(());
            }
            Err((false, error)) => return Err(error),
        };
        let said = limits.refusals(&figures).join("; ");
        told.gate = Some(figures);
        if said.is_empty() {
            return Ok(());
        }
        if !force {
            let how = "publish it with --force, over HTTP with {\"force\": true}, or change the limit";
            return Err(self.refused(
                &told.generation,
                &format!("is too far from {before}, which is served: {said}; if that is meant, {how}"),
            ));
        }
        told.forced = true;
        told.warnings.push(format!("the gate was overridden: {said}"));
        Ok(())
    }

    /// Writes down that the gate said no; nothing where it did not come to that.
    fn tell_refusal(&self, told: Published, error: &Error) {
        let Published { generation, from, gate: Some(gate), .. } = told else { return };
        let (gate, detail) = (Some(gate), Some(error.to_string()));
        self.write_down(Entry { from, gate, detail, ..Entry::new(What::Refuse, generation, self.who()) });
    }

    pub(super) fn refused(&self, generation: &str, detail: &str) -> Error {
        Error::invalid(format!("table {} generation {generation}", self.name()), detail)
    }

    fn note(&self, what: What, generation: &str) {
        self.write_down(Entry::new(what, generation, self.who()));
    }

    /// Writes an entry, after what the journal does not know yet. Gives back why that was not possible.
    pub(super) fn write_down(&self, entry: Entry) -> Option<String> {
        let folder = self.path();
        let found = Journal::read(folder).ok().and_then(|journal| journal.settle(folder));
        let found = found.filter(|_| entry.moves());
        let entries: Vec<Entry> = found.into_iter().chain([entry]).collect();
        let appended = journal::append(folder, &entries);
        fault::point("journal: written");
        let error = appended.err()?;
        tracing::warn!(table = self.name(), %error, "the journal does not tell of this step");
        Some(format!("the journal does not tell of this step: {error}"))
    }
}

/// Whether an error is about this table's file.
fn of_file(error: &Error, table: &Table) -> bool {
    matches!(error, Error::Corrupt { path, .. } if path == table.path())
}
