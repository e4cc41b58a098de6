//! Which columns of a file hold what, and the cells of a row as what a table needs.

use std::borrow::Cow;
use std::sync::Arc;

use crate::keylist::{Key, KeyKind, Op, Writer};
use crate::tabular::{Reader, Row};
use crate::types::{Value, id};
use crate::{Error, Result};

use super::sorter::Entry;
use super::{Input, Ops};

/// Names of the columns, and where each stands in a row. The key is the first.
#[derive(Debug)]
pub(super) struct Columns {
    names: Vec<String>,
    item: Option<usize>,
    score: Option<usize>,
    rank: Option<usize>,
    vector: Option<usize>,
    op: Option<usize>,
}

/// Column that says what a delta does with a key.
const OP: &str = "op";

impl Columns {
    /// The columns that an input names, and those of the usual names.
    pub fn find(input: &Input, reader: &Reader) -> Result<Self> {
        let usual = |given: &Option<String>, usual: &str| {
            given.clone().or_else(|| reader.has(usual).then(|| usual.to_owned()))
        };
        let mut columns = Self {
            names: vec![input.key.clone()],
            item: None,
            score: None,
            rank: None,
            vector: None,
            op: None,
        };
        // With vectors, and where keys are only deleted, items may be left out.
        let without = input.vector.is_some() || input.ops == Some(Ops::All(Op::Delete));
        if !without || reader.has(&input.item) {
            columns.item = Some(columns.add(input.item.clone()));
            columns.score = usual(&input.score, "score").map(|name| columns.add(name));
            columns.rank = usual(&input.rank, "rank").map(|name| columns.add(name));
        }
        columns.vector = input.vector.clone().map(|name| columns.add(name));
        if input.ops == Some(Ops::Column) && reader.has(OP) {
            columns.op = Some(columns.add(OP.to_owned()));
        }
        let twice = |(at, name): &(usize, &String)| columns.names[..*at].contains(name);
        match columns.names.iter().enumerate().find(twice) {
            None => Ok(columns),
            Some((_, name)) => {
                let detail = format!(
                    "column {name:?} is named for two things; keys, items, scores, ranks and vectors are columns of their own"
                );
                Err(Error::invalid(input.path.display().to_string(), detail))
            }
        }
    }

    /// That long form has what orders its lists.
    pub fn check_long(&self, input: &Input, reader: &Reader) -> Result<()> {
        if self.score.is_some() || self.rank.is_some() || self.vector.is_some() {
            return Ok(());
        }
        let detail = format!("has no column of scores or ranks; it has {}", reader.columns().join(", "));
        Err(Error::invalid(input.path.display().to_string(), detail))
    }

    fn add(&mut self, name: String) -> usize {
        self.names.push(name);
        self.names.len() - 1
    }

    /// All names, in the order of cells.
    pub fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// Names of the columns whose lists are of ids.
    pub fn ids(&self) -> Vec<&str> {
        self.item.and_then(|at| self.names.get(at)).map(String::as_str).into_iter().collect()
    }

    /// The key of a row.
    pub fn key<'r>(&self, row: &'r Row, kind: KeyKind) -> Result<Cow<'r, str>> {
        let key = row.id(0)?;
        if Key::of_kind(&key, kind).is_none() {
            return Err(row.wrong(0, format!("expected a whole number from 0 to 2^64-1, found {key:?}")));
        }
        Ok(key)
    }

    /// One place of a list, from a row of long form.
    pub fn entry(&self, row: &Row, writer: &mut Writer) -> Result<Entry> {
        let at = self.item.unwrap_or(1);
        let item = row.id(at)?;
        let score = match self.score {
            None => None,
            Some(at) => match row.float(at)? {
                None => return Err(row.wrong(at, "expected a score, found nothing")),
                Some(score) => Some(finite(score).map_err(|detail| row.wrong(at, detail))?),
            },
        };
        let rank = match self.rank {
            None => 0,
            Some(at) => row.int(at)?.ok_or_else(|| row.wrong(at, "expected a rank, found nothing"))?,
        };
        let item = writer.item(&item).map_err(|error| row.wrong(at, error.to_string()))?;
        Ok(Entry::new(item, score, rank, row.number()))
    }

    /// The items of a row that is a key; none where there is no such column or nothing in it.
    pub fn items(&self, input: &Input, row: &Row) -> Result<Vec<Arc<str>>> {
        let Some(at) = self.item else { return Ok(Vec::new()) };
        let items: Vec<Arc<str>> = match (row.cell(at), input.separator) {
            (None, _) => Vec::new(),
            (Some(Value::Strings(list)), _) => list.clone(),
            (Some(Value::String(text)), Some(separator)) => text.split(separator).map(Arc::from).collect(),
            (Some(other), _) => {
                return Err(row.wrong(at, format!("expected a list of ids, found {}", other.value_type())));
            }
        };
        for item in &items {
            id::check(item).map_err(|error| row.wrong(at, format!("item {item:?}: {error}")))?;
        }
        Ok(items)
    }

    /// What a delta does with the key of a row.
    pub fn op(&self, input: &Input, row: &Row) -> Result<Op> {
        let (Some(Ops::Column), Some(at)) = (input.ops, self.op) else {
            return Ok(match input.ops {
                Some(Ops::All(op)) => op,
                _ => Op::Replace,
            });
        };
        let Some(word) = row.text(at)? else { return Ok(Op::Replace) };
        let detail = || format!("expected replace, merge or delete, found {word:?}");
        Op::of_word(word.trim()).ok_or_else(|| row.wrong(at, detail()))
    }

    /// An error about what a row does with its key.
    pub fn wrong_op(&self, row: &Row, detail: String) -> Error {
        row.wrong(self.op.unwrap_or(0), detail)
    }

    /// The scores of a row that is a key; `None` where there is no such column.
    pub fn scores(&self, input: &Input, row: &Row) -> Result<Option<Vec<f32>>> {
        self.score.map(|at| numbers(input, row, at)).transpose()
    }

    /// The vector of a row; empty where there is no such column.
    pub fn vector(&self, input: &Input, row: &Row) -> Result<Vec<f32>> {
        self.vector.map_or_else(|| Ok(Vec::new()), |at| numbers(input, row, at))
    }

    /// An error about the scores of a row.
    pub fn wrong_score(&self, row: &Row, detail: String) -> Error {
        row.wrong(self.score.unwrap_or(0), detail)
    }

    /// An error about the vector of a row.
    pub fn wrong_vector(&self, row: &Row, detail: String) -> Error {
        row.wrong(self.vector.unwrap_or(0), detail)
    }
}

/// A cell with a list of finite numbers; nothing is the empty list.
fn numbers(input: &Input, row: &Row, at: usize) -> Result<Vec<f32>> {
    let wrong = |detail: String| row.wrong(at, detail);
    let list = match (row.cell(at), input.separator) {
        (None, _) => Vec::new(),
        (Some(Value::Strings(list)), _) if list.is_empty() => Vec::new(),
        (Some(Value::Vector(list)), _) => list.clone(),
        (Some(Value::String(text)), Some(separator)) => {
            let number = |part: &str| {
                let part = part.trim();
                part.parse::<f32>().map_err(|_| wrong(format!("expected a number, found {part:?}")))
            };
            text.split(separator).map(number).collect::<Result<_>>()?
        }
        (Some(other), _) => {
            return Err(wrong(format!("expected a list of numbers, found {}", other.value_type())));
        }
    };
    match list.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(wrong(format!("expected finite numbers within ±3.4e38, found {number}"))),
        None => Ok(list),
    }
}

fn finite(score: f64) -> std::result::Result<f64, String> {
    if (score as f32).is_finite() {
        Ok(score)
    } else {
        Err(format!("expected a score within ±3.4e38, found {score}"))
    }
}
