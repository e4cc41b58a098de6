//! Parquet with columns under their usual names: interactions, items or users.

use std::path::Path;

use data_layer::types::id::check as check_id;
use polars::prelude::*;

use super::columns::{self, Roles};
use super::times::Times;
use super::{Kind, Taken};
use crate::data::{FileReport, Sheet, frame};
use crate::{Error, Result};

/// Reads interactions.
pub fn rows(path: &Path) -> Result<Taken> {
    let table = frame::read(path)?;
    let names: Vec<&str> = table.get_column_names().iter().map(|n| n.as_str()).collect();
    let roles = Roles::find(&names).map_err(|e| Error::invalid(path.display().to_string(), e))?;
    let users = frame::texts(path, &table, names[roles.user], str::to_owned)?;
    let items = frame::texts(path, &table, names[roles.item], str::to_owned)?;
    let values = roles.value.map(|c| frame::floats(path, &table, names[c])).transpose()?;
    let actions = roles.action.map(|c| frame::texts(path, &table, names[c], str::to_owned)).transpose()?;
    let (times, unit) = match roles.time {
        Some(c) if has_times(path) => read_times(path, &table, names[c])?,
        _ => (vec![0; users.len()], "none"),
    };
    let mut taken = Taken { unit: unit.into(), ..Taken::default() };
    for r in 0..users.len() {
        for (column, id) in [(roles.user, &users[r]), (roles.item, &items[r])] {
            check_id(id).map_err(|e| Error::invalid(place(path, r, names[column]), e.to_string()))?;
        }
        let value = values.as_ref().map_or(1.0, |v| v[r]);
        if !value.is_finite() {
            return Err(Error::invalid(
                place(path, r, "value"),
                format!("expected a finite number, found {value}"),
            ));
        }
        let action = actions.as_ref().map_or(roles.default_action(), |a| a[r].as_str());
        taken.rows.push(&users[r], &items[r], action, value, times[r]);
    }
    taken.report = FileReport {
        file: path.display().to_string(),
        form: "parquet".into(),
        read: users.len() as u64,
        ignored_columns: roles.others.iter().map(|c| names[*c].to_owned()).collect(),
        ..FileReport::default()
    };
    Ok(taken)
}

/// The file of a DATA folder whose times were made up has none.
fn has_times(path: &Path) -> bool {
    let about = path.with_file_name("import.json");
    !about.exists() || crate::data::read_json::<crate::data::Report>(&about).is_ok_and(|report| report.times)
}

fn place(path: &Path, row: usize, column: &str) -> String {
    format!("{}: row {}: {column}", path.display(), row + 1)
}

fn read_times(path: &Path, table: &DataFrame, name: &str) -> Result<(Vec<i64>, &'static str)> {
    let kind = table.column(name).map_err(Error::columns(path))?.dtype().clone();
    match kind {
        DataType::Datetime(..) => {
            let column = frame::column(path, table, name, &DataType::Datetime(TimeUnit::Milliseconds, None))?;
            let alone = frame::frame(path, vec![column])?;
            Ok((frame::ints(path, &alone, name)?, "ms"))
        }
        DataType::String => read_cells(path, name, frame::texts(path, table, name, str::to_owned)?),
        ref k if k.is_float() => {
            read_cells(path, name, frame::floats(path, table, name)?.iter().map(f64::to_string).collect())
        }
        _ => read_cells(path, name, frame::ints(path, table, name)?.iter().map(i64::to_string).collect()),
    }
}

fn read_cells(path: &Path, name: &str, cells: Vec<String>) -> Result<(Vec<i64>, &'static str)> {
    let mut times = Times::default();
    for (r, cell) in cells.iter().enumerate() {
        times.push(cell).map_err(|e| Error::invalid(place(path, r, name), e))?;
    }
    Ok(times.finish())
}

/// Reads attributes of items or users.
pub(super) fn sheet(path: &Path, kind: Kind) -> Result<(Sheet, FileReport)> {
    let table = frame::read(path)?;
    let names: Vec<&str> = table.get_column_names().iter().map(|n| n.as_str()).collect();
    let key = columns::key(&names, kind == Kind::Item)
        .map_err(|e| Error::invalid(path.display().to_string(), e))?;
    let (mut sheet, ignored_columns) = frame::sheet(path, &table, names[key])?;
    for (r, id) in sheet.ids.iter().enumerate() {
        check_id(id).map_err(|e| Error::invalid(place(path, r, names[key]), e.to_string()))?;
    }
    sheet.columns = sheet
        .columns
        .into_iter()
        .map(|(name, cells)| {
            let c = cells.reserved(&name);
            (name, c)
        })
        .collect();
    let report = FileReport {
        file: path.display().to_string(),
        form: "parquet".into(),
        read: sheet.ids.len() as u64,
        ignored_columns,
        ..FileReport::default()
    };
    // Later rows count, as in the other forms.
    Ok((Sheet::default().joined(sheet), report))
}
