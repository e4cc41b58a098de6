//! Import: other people's files into DATA. One file for each form; which one a file has is told by its name and first line.

mod columns;
mod delimited;
mod events;
mod find;
mod parquet;
mod times;

use std::path::{Path, PathBuf};

pub use find::find;

use crate::data::{Data, FileReport, Interactions, Report, Sheet};
use crate::{Error, Result};

/// What to read, sorted by what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Parts of the interactions: one named `""`, or those of a given split (`train`, `test`, `valid`).
    pub parts: Vec<(String, Vec<PathBuf>)>,
    /// Files of items.
    pub items: Vec<PathBuf>,
    /// Files of users.
    pub users: Vec<PathBuf>,
}

/// How tolerant to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How many malformed lines of a file may be skipped before the import fails; 0 is none.
    pub skip_bad: u64,
}

/// What one file gave.
#[derive(Debug, Default)]
struct Taken {
    rows: Interactions,
    /// Unit of the times, `none` where there are none.
    unit: String,
    items: Sheet,
    users: Sheet,
    report: FileReport,
}

/// Counts malformed lines against what is tolerated.
#[derive(Debug)]
struct Tolerance {
    left: u64,
    asked: u64,
}

impl Tolerance {
    fn new(options: Options) -> Self {
        Self { left: options.skip_bad, asked: options.skip_bad }
    }

    /// Takes note of a malformed line; gives the error back where no more may be skipped.
    fn skip(&mut self, report: &mut FileReport, reason: &str, error: Error) -> Result<()> {
        if self.left == 0 {
            return Err(match error {
                Error::Invalid { place, detail } if self.asked > 0 => {
                    Error::Invalid { place, detail: format!("{detail} (after {} skipped lines)", self.asked) }
                }
                other => other,
            });
        }
        self.left -= 1;
        *report.skipped.entry(reason.to_owned()).or_default() += 1;
        Ok(())
    }
}

/// Reads everything and writes `out`: one DATA folder, or one for each part of a given split. Gives back each part's
/// name and report.
///
/// # Errors
/// A file that cannot be read or is malformed beyond what is tolerated; the message names file, line and field.
pub fn run(inputs: &Inputs, out: &Path, options: Options) -> Result<Vec<(String, Report)>> {
    if inputs.parts.iter().all(|(_, files)| files.is_empty()) {
        return Err(Error::Usage(
            "no interactions to import: name a file with --inter or a folder with --dir".into(),
        ));
    }
    let (mut items, mut users) = (Sheet::default(), Sheet::default());
    let mut about = Vec::new();
    for file in &inputs.items {
        let (sheet, report) = read_sheet(file, Kind::Item, options)?;
        about.push(report);
        items = items.joined(sheet);
    }
    for file in &inputs.users {
        let (sheet, report) = read_sheet(file, Kind::User, options)?;
        about.push(report);
        users = users.joined(sheet);
    }
    let mut written = Vec::new();
    let parts: Vec<String> =
        inputs.parts.iter().map(|(name, _)| name.clone()).filter(|name| !name.is_empty()).collect();
    let mut offset = 0;
    for (name, files) in &inputs.parts {
        let mut part = Part::new(items.clone(), users.clone(), about.clone(), offset);
        for file in files {
            part.add(read_rows(file, options)?)?;
        }
        let mut data = part.finish();
        data.report.given_split.clone_from(&parts);
        offset += data.interactions.len() as i64 * 1000;
        data.write(&if name.is_empty() { out.to_owned() } else { out.join(name) })?;
        written.push((name.clone(), data.report));
    }
    Ok(written)
}

/// Whether a sheet describes items or users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Item,
    User,
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or("")
}

fn read_rows(path: &Path, options: Options) -> Result<Taken> {
    match extension(path) {
        "parquet" => parquet::rows(path),
        "ndjson" | "jsonl" | "json" => events::rows(path, options),
        _ => delimited::rows(path, options),
    }
}

fn read_sheet(path: &Path, kind: Kind, options: Options) -> Result<(Sheet, FileReport)> {
    match extension(path) {
        "parquet" => parquet::sheet(path, kind),
        "ndjson" | "jsonl" | "json" => {
            let taken = events::rows(path, options)?;
            Ok((if kind == Kind::Item { taken.items } else { taken.users }, taken.report))
        }
        _ => delimited::sheet(path, kind, options),
    }
}

/// One DATA folder in the making.
struct Part {
    rows: Interactions,
    items: Sheet,
    users: Sheet,
    files: Vec<FileReport>,
    units: Vec<String>,
    /// Where the made-up times of this part begin.
    offset: i64,
}

impl Part {
    fn new(items: Sheet, users: Sheet, files: Vec<FileReport>, offset: i64) -> Self {
        Self { rows: Interactions::default(), items, users, files, units: Vec::new(), offset }
    }

    fn add(&mut self, taken: Taken) -> Result<()> {
        let timed = taken.unit != "none";
        if self.units.iter().any(|u| (u != "none") != timed) {
            return Err(Error::invalid(
                taken.report.file,
                "some files of interactions have times and some have none; import them apart",
            ));
        }
        let base = crate::data::FIXED_EPOCH_MS + self.offset;
        for r in 0..taken.rows.len() {
            let rows = &taken.rows;
            let time = if timed { rows.time[r] } else { base + self.rows.len() as i64 * 1000 };
            let (user, item) = (rows.users.text(rows.user[r]), rows.items.text(rows.item[r]));
            self.rows.push(user, item, rows.actions.text(rows.action[r]), rows.value[r], time);
        }
        self.items = std::mem::take(&mut self.items).joined(taken.items);
        self.users = std::mem::take(&mut self.users).joined(taken.users);
        self.files.push(taken.report);
        self.units.push(taken.unit);
        Ok(())
    }

    fn finish(self) -> Data {
        let mut units = self.units;
        units.dedup();
        let times = units.iter().all(|u| u != "none");
        let mut report =
            Report { files: self.files, times, time_unit: units.join(", "), ..Report::default() };
        if !times {
            report.notes.push(
                "no times: rows follow each other by a second from 2020-01-01T00:00:00Z; recency features are off".into(),
            );
        }
        let undescribed = self.rows.items.iter().collect::<Vec<_>>();
        let known: rustc_hash::FxHashSet<&str> = self.items.ids.iter().map(String::as_str).collect();
        let count = undescribed.iter().filter(|id| !known.contains(*id)).count();
        if count > 0 {
            report.notes.push(format!("{count} items are acted on but described by no file"));
        }
        Data { interactions: self.rows.sorted(), items: self.items, users: self.users, report }
    }
}

#[cfg(test)]
mod tests;
