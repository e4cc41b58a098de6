//! `weir table stat` and `verify`: what a generation is, by its header and its statistics, and how it came to be served. Not for the lists in
//! it.

use data_layer::keylist::{IndexKind, KeyKind, QUANTILES, ScoreCodec, Table, Verify};
use data_layer::publish::{Folder, Journal, Stat, What};
use data_layer::types::time;
use serde_json::{Value as Json, json};

use super::super::Format;
use super::shown;
use crate::error::Result;

/// Shows what a generation, or what is served, is. With [`Verify::Full`] every byte of it is checked first.
///
/// # Errors
/// As [`Folder::open`].
pub(super) fn run(folder: &Folder, generation: Option<&str>, verify: Verify, format: Format) -> Result<()> {
    let stat = match verify {
        Verify::Full => folder.verify(generation)?,
        Verify::Open => folder.stat(generation)?,
    };
    let table = folder.open(Some(&stat.generation), Verify::Open)?;
    let told = Journal::story(folder.path()).unwrap_or_default();
    let last = told.last_of(&stat.generation);
    let line = folder.current_line().ok().flatten();
    let served = line.as_ref().is_some_and(|line| line.names().any(|name| name == stat.generation));
    if format == Format::Json {
        let mut all = serde_json::to_value(&stat).unwrap_or_default();
        all["served"] = Json::Bool(served);
        all["verified"] = Json::Bool(verify == Verify::Full);
        all["last"] = json!(last);
        println!("{all}");
        return Ok(());
    }
    let mut rows = whole(&table, &stat, line.is_none(), served);
    rows.extend(stat.delta_of.iter().map(|sum| ("delta of", format!("the generation with sum {sum}"))));
    rows.extend(stat.deltas.iter().map(|delta| ("with delta", delta.clone())));
    rows.extend(content(&table, &stat));
    if let Some(entry) = last {
        let ago = shown::age(entry.time, time::now());
        rows.push(("last", format!("{} {ago} by {}", shown::what(entry), entry.by)));
        if let (Some(found), true) = (&entry.gate, entry.what != What::Build) {
            rows.push(("gate", format!("{}, against {}", shown::figures(found), found.before)));
        }
    }
    if verify == Verify::Full {
        rows.push(("verified", "every byte".to_owned()));
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(name, said)| vec![name.to_owned(), said]).collect();
    print!("{}", shown::columns(&rows, &[]));
    Ok(())
}

/// One line: what it is of, and what it is.
type Row = (&'static str, String);

/// What the file is as a whole.
fn whole(table: &Table, stat: &Stat, unpublished: bool, served: bool) -> Vec<Row> {
    let header = table.header();
    let state = match (served, unpublished) {
        (true, _) => ", served",
        (false, true) => ", nothing was ever published",
        (false, false) => ", not served",
    };
    let (path, size) = (table.path().display(), shown::size(stat.bytes));
    let index = match header.index {
        IndexKind::Perfect => "a perfect hash",
        IndexKind::Open => "open addressing",
    };
    let keys = match header.keys {
        KeyKind::U64 => "numbers",
        KeyKind::String => "text",
    };
    let source = shown::age(stat.watermark, time::now());
    vec![
        ("generation", format!("{}{state}", stat.generation)),
        ("table", format!("{} of namespace {}", stat.table, stat.namespace)),
        ("file", format!("{path}, {size}, format {}, sum {}", stat.format, stat.sum)),
        ("source", format!("{}, {source}", shown::moment(stat.watermark))),
        ("keys", format!("{}, {keys}, found by {index}", shown::count(stat.statistics.lists))),
    ]
}

/// What is in it.
fn content(table: &Table, stat: &Stat) -> Vec<Row> {
    let (s, header) = (&stat.statistics, table.header());
    let mut rows: Vec<Row> = Vec::new();
    let mean = s.entries as f64 / s.lists.max(1) as f64;
    let (longest, empty) = (shown::count(s.longest), shown::count(s.empty_lists));
    rows.push(("lists", format!("{mean:.1} places on average, longest {longest}, {empty} empty")));
    if !s.lengths.is_empty() {
        rows.push(("lengths", lengths(&s.lengths)));
    }
    rows.push(("items", format!("{} in {} places", shown::count(s.items), shown::count(s.entries))));
    if s.entries > 0 {
        let stored = match header.scores {
            ScoreCodec::Exact => "stored exactly".to_owned(),
            ScoreCodec::Affine => format!("stored within {}", s.score_error),
        };
        rows.push(("scores", format!("{} to {}, {stored}", s.least_score, s.greatest_score)));
    }
    if s.score_quantiles.len() == QUANTILES.len() {
        let each = QUANTILES.iter().zip(&s.score_quantiles);
        let each: Vec<String> = each.map(|(share, score)| format!("{} % {score}", share * 100.0)).collect();
        rows.push(("quantiles", each.join(", ")));
    }
    if header.vector > 0 {
        rows.push(("vectors", format!("{} numbers per key", header.vector)));
    }
    rows
}

/// How many lists are how long: `1: 5, 2–3: 40`.
fn lengths(counts: &[u64]) -> String {
    let each = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(place, lists)| {
        let range = match place {
            0 => "0".to_owned(),
            1 => "1".to_owned(),
            place => format!("{}–{}", 1u64 << (place - 1), (1u64 << place) - 1),
        };
        format!("{range}: {}", shown::count(*lists))
    });
    each.collect::<Vec<_>>().join(", ")
}
