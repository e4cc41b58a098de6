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

use rustc_hash::FxHashMap;

use crate::keylist::{Op, TableSpec, Writer};
use crate::tabular::{Reader, Row};
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
    /// Bytes of rows that are held in memory while long form is grouped; more go to `scratch`.
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

/// Takes how many rows were read so far; called every few thousand rows.
pub type OnRows<'a> = dyn FnMut(u64) + 'a;

/// Rows between two calls of [`OnRows`].
const ROWS: u64 = 8192;

impl Input {
    /// A file with columns for keys and items, and `score` or `rank` or both; half a GiB of memory.
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
            memory: 512 << 20,
            scratch: std::env::temp_dir(),
        }
    }

    /// Whether files of this form hold a row per key: asked of the first row.
    fn is_wide(&self, row: &Row) -> bool {
        self.vector.is_some()
            || match row.cell(1) {
                Some(Value::Strings(_)) => true,
                Some(Value::String(_)) => self.separator.is_some(),
                _ => false,
            }
    }
}

/// Items by the order in which they first came; and by the writer's number.
#[derive(Debug, Default)]
struct Names {
    numbers: FxHashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Names {
    fn number(&mut self, text: &str) -> std::result::Result<u32, String> {
        if let Some(number) = self.numbers.get(text) {
            return Ok(*number);
        }
        let number =
            u32::try_from(self.texts.len()).map_err(|_| "more than 2^32 different ids".to_owned())?;
        self.numbers.insert(text.into(), number);
        self.texts.push(text.into());
        Ok(number)
    }

    fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
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
pub fn read_watched(input: &Input, spec: TableSpec, on_rows: &mut OnRows<'_>) -> Result<Writer> {
    let reader = Reader::open(&input.path)?;
    let columns = Columns::find(input, &reader)?;
    let mut rows = reader.rows_with_ids(&columns.names(), &columns.ids())?;
    // The first row that has a list tells the form; those that delete have none.
    let (mut first, mut wide) = (Vec::new(), None);
    while wide.is_none()
        && let Some(row) = rows.next().transpose()?
    {
        wide = (columns.op(input, &row)? != Op::Delete).then(|| input.is_wide(&row));
        first.push(Ok(row));
    }
    let wide = wide.unwrap_or(!first.is_empty());
    if !wide {
        columns.check_long(input, &reader)?;
    }
    let rows = first.into_iter().chain(rows).enumerate().map(|(at, row)| {
        if (at as u64).is_multiple_of(ROWS) {
            on_rows(at as u64);
        }
        row
    });
    if wide { read_wide(input, &columns, spec, rows) } else { read_long(input, &columns, spec, rows) }
}

fn read_wide(
    input: &Input,
    columns: &Columns,
    spec: TableSpec,
    rows: impl Iterator<Item = Result<Row>>,
) -> Result<Writer> {
    let mut rows = rows.peekable();
    let first = rows.peek().and_then(|row| row.as_ref().ok());
    // A delta's vectors are as wide as those below.
    let width = match (first, spec.delta) {
        (Some(row), None) => columns.vector(input, row)?.len(),
        _ => spec.vector as usize,
    };
    let keys = spec.keys;
    let mut writer = Writer::new(TableSpec { vector: width as u32, ..spec.clone() })?;
    for row in rows {
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
    rows: impl Iterator<Item = Result<Row>>,
) -> Result<Writer> {
    let mut writer = Writer::new(spec.clone())?;
    let mut items = Names::default();
    let mut sorter = Sorter::new(&input.scratch, input.memory);
    let mut ops = KeyOps::default();
    for row in rows {
        let row = row?;
        let key = columns.key(&row, spec.keys)?;
        let op = columns.op(input, &row)?;
        if input.ops.is_some() {
            ops.note(&key, op).map_err(|before| {
                columns.wrong_op(
                    &row,
                    format!("is {op} of key {key:?}, but a row before says {before}; keep one of them"),
                )
            })?;
        }
        if op == Op::Delete {
            continue;
        }
        let entry = columns.entry(&row, &mut items)?;
        sorter.push(&key, entry)?;
    }
    let mut list = Vec::new();
    let ties: Vec<u64> = items.texts.iter().map(|text| xxhash_rust::xxh3::xxh3_64(text.as_bytes())).collect();
    sorter.finish(&mut |key, entries| {
        check_twice(entries, &input.path, key, &items)?;
        order(entries, &items, &ties);
        list.clear();
        for (at, entry) in entries.iter().take(input.top.unwrap_or(usize::MAX)).enumerate() {
            let score = entry.score().map_or(1.0 / (at + 1) as f32, |score| score as f32);
            list.push((items.text(entry.item), score));
        }
        writer.push_entry(key, ops.of(key), &list, None)
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

/// Orders the rows of a key as its list.
fn order(entries: &mut [Entry], items: &Names, ties: &[u64]) {
    let tie = |entry: &Entry| ties.get(entry.item as usize).copied().unwrap_or(0);
    let score = |entry: &Entry| entry.score().unwrap_or(0.0);
    entries.sort_unstable_by(|a, b| {
        a.rank
            .cmp(&b.rank)
            .then_with(|| score(b).total_cmp(&score(a)))
            .then_with(|| tie(a).cmp(&tie(b)))
            .then_with(|| items.text(a.item).cmp(items.text(b.item)))
    });
}

/// An item that stands twice under one key, named with the later of its rows.
fn check_twice(entries: &mut [Entry], path: &Path, key: &str, items: &Names) -> Result<()> {
    entries.sort_unstable_by_key(|entry| (entry.item, entry.number));
    let Some(pair) = entries.windows(2).find(|pair| pair[0].item == pair[1].item) else { return Ok(()) };
    let (first, second) = (pair[0], pair[1]);
    Err(Error::invalid(
        format!("{} row or line {}", path.display(), second.number),
        format!(
            "item {:?} stands twice under key {key:?}; first in {}",
            items.text(second.item),
            first.number
        ),
    ))
}
