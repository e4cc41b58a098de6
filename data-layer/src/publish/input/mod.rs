//! Tables from files: a row per key and item (long form, in any order), or a row per key with lists in its columns. Rows are
//! streamed; what does not fit the memory that is allowed goes through sorted runs on the disk.
//!
//! Not for: finding out what a list should hold, which is the trainer's.

mod columns;
mod sorter;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::keylist::{DEFAULT_MEMORY, Op, TWICE, TableSpec, Writer};
use crate::tabular::{Reader, Row, Rows};
use crate::types::Value;
use crate::{Error, Result};

use columns::Columns;
use sorter::{Entry, Sorter};

/// Where rows come from, and what their columns are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Parquet, CSV, TSV or NDJSON, by its ending.
    pub path: PathBuf,
    /// Column of keys.
    pub key: String,
    /// Column of items, or of lists of items.
    pub item: String,
    /// Column of scores, or of lists of scores. `None`: `score` where there is one, else 1 / place.
    pub score: Option<String>,
    /// Column of ranks, in long form. `None`: `rank` where there is one, else by falling score.
    pub rank: Option<String>,
    /// Column of vectors; then a row is a key, and may do without items.
    pub vector: Option<String>,
    /// What stands between the elements of a list in CSV and TSV; `None`: such files are in long form.
    pub separator: Option<char>,
    /// For a delta: what is done with the rows' lists. `None`: a whole table.
    pub ops: Option<Ops>,
    /// Longest list; what comes after is left out.
    pub top: Option<usize>,
    /// Bytes of rows and lists that are held in memory, beside the ids of items; more go to `scratch`. Takes the place of the spec's
    /// own [`TableSpec::memory`].
    pub memory: usize,
    /// Folder for rows that do not fit the memory. Nothing stays there, whatever happens to the process.
    pub scratch: PathBuf,
}

/// What a delta does with the lists of a file's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ops {
    /// What a column `op` says of each key, `replace`, `merge` or `delete`; where there is no such column or nothing in it, `replace`.
    #[default]
    Column,
    /// The same with all.
    All(Op),
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many rows were read.
    Read(u64),
    /// Of so many rows (the second), so many were put into lists.
    Group(u64, u64),
}

/// Told each step; called every few thousand rows.
pub type OnStep<'a> = dyn FnMut(Step) + 'a;

/// Rows between two calls of [`OnStep`].
const ROWS: u64 = 8192;

impl Input {
    /// A file with columns for keys and items, and `score` or `rank` or both; 256 MiB of memory.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, key: impl Into<String>, item: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            key: key.into(),
            item: item.into(),
            score: None,
            rank: None,
            vector: None,
            separator: None,
            ops: None,
            top: None,
            memory: DEFAULT_MEMORY,
            scratch: std::env::temp_dir(),
        }
    }

    /// Whether rows of this file are keys. The first row with a list tells; those that delete have none, and a list may be empty.
    fn form(&self, columns: &Columns, rows: Rows) -> Result<bool> {
        for row in rows {
            let row = row?;
            let told = if columns.op(self, &row)? == Op::Delete { None } else { self.is_wide(&row) };
            if let Some(wide) = told {
                return Ok(wide);
            }
        }
        Ok(self.ops.is_some())
    }

    /// Whether a row of this file is a key; `None` where the row doesn't tell.
    fn is_wide(&self, row: &Row) -> Option<bool> {
        if self.vector.is_some() {
            return Some(true);
        }
        row.cell(1).map(|cell| match cell {
            Value::Strings(_) => true,
            Value::String(_) => self.separator.is_some(),
            _ => false,
        })
    }
}

/// Reads a file into a writer. In long form lists are ordered by rank where there is one, else by falling score; equals by the
/// hash of the item's id, then by the id. Lists in columns keep their order.
///
/// # Errors
/// No such column, an id that can't be one, a number that is not finite, an item twice under one key: with file, line and column.
pub fn read(input: &Input, spec: TableSpec) -> Result<Writer> {
    read_watched(input, spec, &mut |_| {})
}

/// [`read`], telling how far it is.
///
/// # Errors
/// As [`read`].
pub fn read_watched(input: &Input, spec: TableSpec, on_step: &mut OnStep<'_>) -> Result<Writer> {
    let reader = Reader::open(&input.path)?;
    let columns = Columns::find(input, &reader)?;
    let open = || reader.rows_with_ids(&columns.names(), &columns.ids());
    let wide = input.form(&columns, open()?)?;
    if !wide {
        columns.check_long(input, &reader)?;
    }
    let mut rows = (0u64..).zip(open()?).peekable();
    if rows.peek().is_none() {
        let detail = "has no rows; a table has at least one list";
        return Err(Error::invalid(input.path.display().to_string(), detail));
    }
    if wide {
        read_wide(input, &columns, spec, rows, on_step)
    } else {
        read_long(input, &columns, spec, rows, on_step)
    }
}

fn read_wide(
    input: &Input,
    columns: &Columns,
    spec: TableSpec,
    rows: impl Iterator<Item = (u64, Result<Row>)>,
    on_step: &mut OnStep<'_>,
) -> Result<Writer> {
    let mut rows = rows.peekable();
    let first = rows.peek().and_then(|(_, row)| row.as_ref().ok());
    // A delta's vectors are as wide as those below.
    let width = match (first, spec.delta) {
        (Some(row), None) => columns.vector(input, row)?.len(),
        _ => spec.vector as usize,
    };
    if let Some(rank) = &input.rank {
        let detail = format!("rows are keys with lists in order; leave out column {rank:?} of ranks");
        return Err(Error::invalid(input.path.display().to_string(), detail));
    }
    let keys = spec.keys;
    let mut writer = Writer::new(TableSpec { vector: width as u32, memory: input.memory, ..spec.clone() })?;
    for (at, row) in rows {
        if at.is_multiple_of(ROWS) {
            on_step(Step::Read(at));
        }
        let row = row?;
        let key = columns.key(&row, keys)?;
        let op = columns.op(input, &row)?;
        if op == Op::Delete {
            writer.push_entry(&*key, op, &[], None).map_err(|error| placed(&row, error))?;
            continue;
        }
        let vector = columns.vector(input, &row)?;
        if input.vector.is_some() && (vector.len() != width || width == 0) {
            let wanted = match (width, &spec.delta) {
                (0, None) => "a vector".to_owned(),
                (_, None) => format!("{width} numbers as in the first row"),
                (0, Some(_)) => "no vector, as below the delta".to_owned(),
                (_, Some(_)) => format!("{width} numbers as below the delta"),
            };
            return Err(columns.wrong_vector(&row, format!("expected {wanted}, found {}", vector.len())));
        }
        let vector = input.vector.is_some().then_some(vector.as_slice());
        let (items, scores) = (columns.items(input, &row)?, columns.scores(input, &row)?);
        if let Some(scores) = scores.as_ref().filter(|scores| scores.len() != items.len()) {
            let detail = format!("expected as many scores as items, {}, found {}", items.len(), scores.len());
            return Err(columns.wrong_score(&row, detail));
        }
        let mut list: Vec<(&str, f32)> = items
            .iter()
            .enumerate()
            .map(|(at, item)| {
                let score = scores.as_ref().and_then(|scores| scores.get(at)).copied();
                (&**item, score.unwrap_or(1.0 / (at + 1) as f32))
            })
            .collect();
        list.truncate(input.top.unwrap_or(usize::MAX));
        writer.push_entry(&*key, op, &list, vector).map_err(|error| placed(&row, error))?;
    }
    Ok(writer)
}

/// What the writer said, with the row that it said it of.
fn placed(row: &Row, error: Error) -> Error {
    match error {
        Error::Invalid { place, detail } => Error::invalid(format!("{}, {place}", row.place()), detail),
        other => other,
    }
}

fn read_long(
    input: &Input,
    columns: &Columns,
    spec: TableSpec,
    rows: impl Iterator<Item = (u64, Result<Row>)>,
    on_step: &mut OnStep<'_>,
) -> Result<Writer> {
    // While rows are merged, both hold what they can.
    let (memory, keys) = (input.memory / 2, spec.keys);
    let mut writer = Writer::new(TableSpec { memory, ..spec })?;
    let mut sorter = Sorter::new(&input.scratch, memory);
    let mut ops = KeyOps::default();
    // By the number of the item.
    let mut ties: Vec<u64> = Vec::new();
    let mut count = 0;
    for (at, row) in rows {
        if at.is_multiple_of(ROWS) {
            on_step(Step::Read(at));
        }
        let row = row?;
        let key = columns.key(&row, keys)?;
        let op = columns.op(input, &row)?;
        if input.ops.is_some() {
            ops.note(&key, op).map_err(|before| {
                let detail =
                    format!("is {op} of key {key:?}, but a row before says {before}; keep one of them");
                columns.wrong_op(&row, detail)
            })?;
        }
        if op == Op::Delete {
            continue;
        }
        let entry = columns.entry(&row, &mut writer)?;
        if entry.item as usize == ties.len() {
            ties.push(xxhash_rust::xxh3::xxh3_64(writer.item_text(entry.item).as_bytes()));
        }
        sorter.push(&key, entry)?;
        count += 1;
    }
    let (mut list, mut done) = (Vec::new(), 0);
    sorter.finish(&mut |key, entries| {
        check_twice(entries, &input.path, key, &writer)?;
        order(entries, &writer, &ties);
        list.clear();
        for (at, entry) in entries.iter().take(input.top.unwrap_or(usize::MAX)).enumerate() {
            let score = entry.score().map_or(1.0 / (at + 1) as f32, |score| score as f32);
            list.push((entry.item, score));
        }
        let before = done / ROWS;
        done += entries.len() as u64;
        if done / ROWS > before {
            on_step(Step::Group(done, count));
        }
        writer.push_entry_numbered(key, ops.of(key), &list).map_err(|error| explain(input, error))
    })?;
    for key in ops.deleted() {
        writer.push_entry(key, Op::Delete, &[], None)?;
    }
    Ok(writer)
}

/// What a delta in long form does with each key. Deltas are small: all of its keys are held.
#[derive(Debug, Default)]
struct KeyOps(BTreeMap<Box<str>, Op>);

impl KeyOps {
    /// Notes what one row says of its key; gives back what another said, where they differ.
    fn note(&mut self, key: &str, op: Op) -> std::result::Result<(), Op> {
        match self.0.get(key) {
            Some(before) if *before != op => Err(*before),
            Some(_) => Ok(()),
            None => {
                self.0.insert(key.into(), op);
                Ok(())
            }
        }
    }

    fn of(&self, key: &str) -> Op {
        self.0.get(key).copied().unwrap_or_default()
    }

    fn deleted(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, op)| **op == Op::Delete).map(|(key, _)| &**key)
    }
}

/// What the writer said of a key when the file was written, with the rows of that key.
#[must_use]
pub fn explain(input: &Input, error: Error) -> Error {
    let Error::Invalid { place, detail } = &error else { return error };
    let Some(key) = place.strip_prefix("key ") else { return error };
    let rows = Reader::open(&input.path).and_then(|reader| reader.rows(&[&input.key]));
    let found = rows.into_iter().flatten().map_while(Result::ok);
    let mut found = found.filter(|row| row.id(0).is_ok_and(|id| id == key));
    let Some(first) = found.next() else { return error };
    let second = if detail == TWICE { found.next() } else { None };
    match second {
        Some(second) => second.wrong(
            0,
            format!("key {key:?} stands twice, first in row or line {}; a key has one row", first.number()),
        ),
        None => first.wrong(0, format!("key {key:?}: {detail}")),
    }
}

/// Orders the rows of a key as its list.
fn order(entries: &mut [Entry], writer: &Writer, ties: &[u64]) {
    let tie = |entry: &Entry| ties.get(entry.item as usize).copied().unwrap_or(0);
    let score = |entry: &Entry| entry.score().unwrap_or(0.0);
    entries.sort_unstable_by(|a, b| {
        a.rank
            .cmp(&b.rank)
            .then_with(|| score(b).total_cmp(&score(a)))
            .then_with(|| tie(a).cmp(&tie(b)))
            .then_with(|| writer.item_text(a.item).cmp(writer.item_text(b.item)))
    });
}

/// An item that stands twice under one key, named with the later of its rows.
fn check_twice(entries: &mut [Entry], path: &Path, key: &str, writer: &Writer) -> Result<()> {
    entries.sort_unstable_by_key(|entry| (entry.item, entry.number));
    let Some(pair) = entries.windows(2).find(|pair| pair[0].item == pair[1].item) else { return Ok(()) };
    let (first, second) = (pair[0], pair[1]);
    Err(Error::invalid(
        format!("{} row or line {}", path.display(), second.number),
        format!(
            "item {:?} stands twice under key {key:?}; first in {}",
            writer.item_text(second.item),
            first.number
        ),
    ))
}
