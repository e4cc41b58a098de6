//! Finds what a folder holds: RecBole files, Parquet, MovieLens or plain CSV, or events.

use std::path::{Path, PathBuf};

use super::{Inputs, extension};
use crate::{Error, Result};

/// Looks through a folder (and, where it holds nothing but one folder, through that one).
///
/// # Errors
/// The folder cannot be read, or holds nothing that can be imported; the message says what would be.
pub fn find(dir: &Path) -> Result<Inputs> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let path = entry.map_err(Error::io(dir))?.path();
        let hidden = path.file_name().and_then(|n| n.to_str()).is_none_or(|n| n.starts_with(['.', '_']));
        match (hidden, path.is_dir()) {
            (true, _) => {}
            (false, true) => folders.push(path),
            (false, false) => files.push(path),
        }
    }
    files.sort();
    if let Some(found) = sort_out(&files)? {
        return Ok(found);
    }
    match &folders[..] {
        [one] => find(one),
        _ => Err(Error::invalid(
            dir.display().to_string(),
            "nothing to import: expected *.inter (with *.item, *.user), interactions.parquet (items, users), \
             ratings.csv and movies.csv, interactions.csv, or *.ndjson",
        )),
    }
}

fn sort_out(files: &[PathBuf]) -> Result<Option<Inputs>> {
    let with = |ext: &str| files.iter().filter(|f| extension(f) == ext).cloned().collect::<Vec<_>>();
    let inter = with("inter");
    if !inter.is_empty() {
        return Ok(Some(Inputs { parts: given_parts(inter)?, items: with("item"), users: with("user") }));
    }
    let named = |stems: &[&str]| {
        files
            .iter()
            .filter(|f| matches!(extension(f), "parquet" | "csv" | "tsv"))
            .filter(|f| f.file_stem().and_then(|s| s.to_str()).is_some_and(|s| stems.contains(&s)))
            .cloned()
            .collect::<Vec<_>>()
    };
    let rows = named(&["interactions", "ratings", "interaction", "events"]);
    if rows.len() > 1 {
        let names: Vec<String> = rows.iter().map(|f| f.display().to_string()).collect();
        return Err(Error::invalid(
            names.join(", "),
            "more than one file of interactions; name one with --inter",
        ));
    }
    let parts = if rows.is_empty() { with("ndjson") } else { rows };
    let parts = if parts.is_empty() { with("jsonl") } else { parts };
    if parts.is_empty() {
        return Ok(None);
    }
    Ok(Some(Inputs {
        parts: vec![(String::new(), parts)],
        items: named(&["items", "movies", "item", "products", "books"]),
        users: named(&["users", "user"]),
    }))
}

/// `*train.inter` beside `*test.inter` (and maybe `*valid.inter`) is a split that somebody made.
fn given_parts(inter: Vec<PathBuf>) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let ends = |path: &PathBuf, word: &str| {
        path.file_stem().and_then(|s| s.to_str()).is_some_and(|s| s.to_ascii_lowercase().ends_with(word))
    };
    let of = |word: &str| inter.iter().filter(|f| ends(f, word)).cloned().collect::<Vec<_>>();
    let (train, valid, test) = (of("train"), of("valid"), of("test"));
    if train.is_empty() || test.is_empty() {
        return Ok(vec![(String::new(), inter)]);
    }
    if train.len() + valid.len() + test.len() < inter.len() {
        let names: Vec<String> = inter.iter().map(|f| f.display().to_string()).collect();
        return Err(Error::invalid(
            names.join(", "),
            "a given split (*train.inter, *test.inter) beside other .inter files; name what to read with --inter",
        ));
    }
    let mut parts = vec![("train".to_owned(), train)];
    if !valid.is_empty() {
        parts.push(("valid".to_owned(), valid));
    }
    parts.push(("test".to_owned(), test));
    Ok(parts)
}
