//! Candidate tables as Parquet, one row for each key and item, ranks from 1.

use std::path::Path;

use polars::prelude::*;

use super::{Lists, Target};
use crate::Result;
use crate::data::{Data, frame};

/// Names of the columns (key, item) of a table.
#[must_use]
pub fn columns(target: Target, ranking: bool) -> (&'static str, &'static str) {
    match (target, ranking) {
        (Target::Users, _) => ("user", "item"),
        (Target::Items, false) => ("item", "similar"),
        (Target::Items, true) => ("key", "item"),
    }
}

/// Writes `key, item, score, rank` with the key and item columns named as the target wants.
///
/// # Errors
/// The file cannot be written.
pub fn write_parquet(path: &Path, data: &Data, lists: &Lists, names: (&str, &str)) -> Result<()> {
    let rows = || {
        lists
            .keys
            .iter()
            .zip(&lists.lists)
            .flat_map(|(key, list)| list.iter().enumerate().map(move |e| (key, e)))
    };
    let keys: StringChunked = rows().map(|(key, _)| Some(key.as_str())).collect();
    let items: StringChunked =
        rows().map(|(_, (_, (item, _)))| Some(data.interactions.items.text(*item))).collect();
    let scores: Vec<f32> = rows().map(|(_, (_, (_, score)))| *score).collect();
    let ranks: Vec<u32> = rows().map(|(_, (at, _))| at as u32 + 1).collect();
    let columns = vec![
        keys.with_name(names.0.into()).into_series().into_column(),
        items.with_name(names.1.into()).into_series().into_column(),
        Column::new("score".into(), &scores),
        Column::new("rank".into(), &ranks),
    ];
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(crate::Error::io(folder))?;
    }
    frame::write(path, &mut frame::frame(path, columns)?)
}
