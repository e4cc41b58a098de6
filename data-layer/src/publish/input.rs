//! Tables from files in long form: a row per key and item, with a score, a rank, or both. The order of rows does not matter.

use std::path::PathBuf;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::keylist::{KeyKind, TableSpec, Writer};
use crate::tabular::{Reader, Row};
use crate::{Error, Result};

/// Where rows come from, and what their columns are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Parquet, CSV, TSV or NDJSON, by its ending.
    pub path: PathBuf,
    /// Column of keys.
    pub key: String,
    /// Column of items.
    pub item: String,
    /// Column of scores. `None`: `score` where there is one, else 1 / place.
    pub score: Option<String>,
    /// Column of ranks. `None`: `rank` where there is one, else by falling score.
    pub rank: Option<String>,
    /// Longest list; what comes after is left out.
    pub top: Option<usize>,
}

impl Input {
    /// A file with columns for keys and items, and `score` or `rank` or both.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, key: impl Into<String>, item: impl Into<String>) -> Self {
        Self { path: path.into(), key: key.into(), item: item.into(), score: None, rank: None, top: None }
    }
}

/// One row, with key and item as numbers of the order in which they first came.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u32,
    item: u32,
    score: Option<f64>,
    rank: i64,
    number: u64,
}

/// Texts by the order in which they first came.
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

/// Reads a file into a writer. Lists are ordered by rank where there is one, else by falling score; equals by the hash of the
/// item's id, then by the id.
///
/// # Errors
/// No such column, an id that can't be one, a number that is not finite, an item twice under one key: with file, line and column.
pub fn read(input: &Input, spec: TableSpec) -> Result<Writer> {
    let reader = Reader::open(&input.path)?;
    let named = |given: &Option<String>, usual: &str| {
        given.clone().or_else(|| reader.has(usual).then(|| usual.to_owned()))
    };
    let (score, rank) = (named(&input.score, "score"), named(&input.rank, "rank"));
    if score.is_none() && rank.is_none() {
        let detail = format!("has no column of scores or ranks; it has {}", reader.columns().join(", "));
        return Err(Error::invalid(input.path.display().to_string(), detail));
    }
    let mut columns = vec![input.key.as_str(), input.item.as_str()];
    columns.extend(score.as_deref());
    columns.extend(rank.as_deref());
    let score_at = score.as_ref().map(|_| 2);
    let rank_at = rank.as_ref().map(|_| columns.len() - 1);
    let (mut keys, mut items, mut entries) = (Names::default(), Names::default(), Vec::new());
    for row in reader.rows(&columns)? {
        let row = row?;
        entries.push(entry(&row, spec.keys, score_at, rank_at, &mut keys, &mut items)?);
    }
    sort(&mut entries, &items);
    let mut writer = Writer::new(spec)?;
    let mut list = Vec::new();
    for rows in entries.chunk_by(|a, b| a.key == b.key) {
        check_twice(rows, input, &keys, &items)?;
        list.clear();
        for (at, row) in rows.iter().take(input.top.unwrap_or(usize::MAX)).enumerate() {
            let score = row.score.map_or(1.0 / (at + 1) as f32, |score| score as f32);
            list.push((items.text(row.item), score));
        }
        writer.push(rows.first().map_or("", |row| keys.text(row.key)), &list)?;
    }
    Ok(writer)
}

/// Orders rows by key, and those of a key as its list.
fn sort(entries: &mut [Entry], items: &Names) {
    let ties: Vec<u64> = items.texts.iter().map(|text| xxh3_64(text.as_bytes())).collect();
    let tie = |entry: &Entry| ties.get(entry.item as usize).copied().unwrap_or(0);
    entries.sort_unstable_by(|a, b| {
        let score = |entry: &Entry| entry.score.unwrap_or(0.0);
        a.key
            .cmp(&b.key)
            .then(a.rank.cmp(&b.rank))
            .then_with(|| score(b).total_cmp(&score(a)))
            .then_with(|| tie(a).cmp(&tie(b)))
            .then_with(|| items.text(a.item).cmp(items.text(b.item)))
            .then(a.number.cmp(&b.number))
    });
}

fn entry(
    row: &Row,
    kind: KeyKind,
    score: Option<usize>,
    rank: Option<usize>,
    keys: &mut Names,
    items: &mut Names,
) -> Result<Entry> {
    let key = row.id(0)?;
    if crate::keylist::Key::of_kind(&key, kind).is_none() {
        return Err(row.wrong(0, format!("expected a whole number from 0 to 2^64-1, found {key:?}")));
    }
    let item = row.id(1)?;
    let score = match score {
        None => None,
        Some(at) => match row.float(at)? {
            None => return Err(row.wrong(at, "expected a score, found nothing")),
            Some(score) if !(score as f32).is_finite() => {
                return Err(row.wrong(at, format!("expected a score within ±3.4e38, found {score}")));
            }
            Some(score) => Some(score),
        },
    };
    let rank = match rank {
        None => 0,
        Some(at) => row.int(at)?.ok_or_else(|| row.wrong(at, "expected a rank, found nothing"))?,
    };
    Ok(Entry {
        key: keys.number(&key).map_err(|detail| row.wrong(0, detail))?,
        item: items.number(&item).map_err(|detail| row.wrong(1, detail))?,
        score,
        rank,
        number: row.number(),
    })
}

/// An item that stands twice under one key, named with the later of its rows.
fn check_twice(rows: &[Entry], input: &Input, keys: &Names, items: &Names) -> Result<()> {
    let mut by_item: Vec<&Entry> = rows.iter().collect();
    by_item.sort_unstable_by_key(|row| (row.item, row.number));
    let Some(pair) = by_item.windows(2).find(|pair| pair[0].item == pair[1].item) else { return Ok(()) };
    let (first, second) = (pair[0], pair[1]);
    Err(Error::invalid(
        format!("{} row or line {}", input.path.display(), second.number),
        format!(
            "item {:?} stands twice under key {:?}; first in {}",
            items.text(second.item),
            keys.text(second.key),
            first.number
        ),
    ))
}
