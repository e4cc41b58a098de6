//! Between our own columns and polars, and between polars and Parquet. The only file of DATA that knows polars.

use std::fs::File;
use std::path::Path;

use data_layer::live::dictionary::Dictionary;
use polars::prelude::*;

use super::{Cells, Interactions, Sheet};
use crate::{Error, Result};

/// Reads a whole Parquet file.
///
/// # Errors
/// The file cannot be read or is no Parquet.
pub fn read(path: &Path) -> Result<DataFrame> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut frame = ParquetReader::new(file).finish().map_err(Error::columns(path))?;
    frame.rechunk_mut();
    Ok(frame)
}

/// Writes a whole Parquet file by way of a temporary one, so that no half of it is ever seen.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, frame: &mut DataFrame) -> Result<()> {
    let draft = path.with_extension("parquet.tmp");
    let file = File::create(&draft).map_err(Error::io(&draft))?;
    ParquetWriter::new(file)
        .with_compression(ParquetCompression::Snappy)
        .finish(frame)
        .map_err(Error::columns(&draft))?;
    std::fs::rename(&draft, path).map_err(Error::io(path))
}

/// Makes a frame of named columns of one length.
///
/// # Errors
/// The columns differ in length.
pub fn frame(path: &Path, columns: Vec<Column>) -> Result<DataFrame> {
    DataFrame::new_infer_height(columns).map_err(Error::columns(path))
}

/// A column of a frame, cast to the wanted type.
///
/// # Errors
/// The column is missing or does not cast; the message lists the columns that are there.
pub fn column(path: &Path, frame: &DataFrame, name: &str, to: &DataType) -> Result<Column> {
    let found = frame.column(name).map_err(|_| {
        let names: Vec<&str> = frame.get_column_names().iter().map(|n| n.as_str()).collect();
        Error::invalid(
            path.display().to_string(),
            format!("expected a column {name}, found {}", names.join(", ")),
        )
    })?;
    found.strict_cast(to).map_err(Error::columns(path))
}

/// The texts of a column.
///
/// # Errors
/// As `column`; also where a row holds nothing.
pub fn texts<T>(
    path: &Path,
    frame: &DataFrame,
    name: &str,
    mut take: impl FnMut(&str) -> T,
) -> Result<Vec<T>> {
    let column = column(path, frame, name, &DataType::String)?;
    let list = column.str().map_err(Error::columns(path))?;
    list.iter().enumerate().map(|(row, t)| t.map(&mut take).ok_or_else(|| missing(path, name, row))).collect()
}

/// The whole numbers of a column.
///
/// # Errors
/// As [`texts`].
pub fn ints(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<i64>> {
    let column = column(path, frame, name, &DataType::Int64)?;
    let list = column.i64().map_err(Error::columns(path))?;
    list.iter().enumerate().map(|(row, v)| v.ok_or_else(|| missing(path, name, row))).collect()
}

/// The numbers of a column.
///
/// # Errors
/// As [`texts`].
pub fn floats(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<f64>> {
    let column = column(path, frame, name, &DataType::Float64)?;
    let list = column.f64().map_err(Error::columns(path))?;
    list.iter().enumerate().map(|(row, v)| v.ok_or_else(|| missing(path, name, row))).collect()
}

fn missing(path: &Path, name: &str, row: usize) -> Error {
    Error::invalid(format!("{}: row {}: {name}", path.display(), row + 1), "expected a value, found none")
}

/// Reads `interactions.parquet`.
///
/// # Errors
/// A column is missing or of another type.
pub fn read_interactions(path: &Path) -> Result<Interactions> {
    let table = read(path)?;
    let mut out = Interactions::default();
    out.user = texts(path, &table, "user", |t| out.users.intern(t))?;
    out.item = texts(path, &table, "item", |t| out.items.intern(t))?;
    out.action = texts(path, &table, "action", |t| out.actions.intern(t))?;
    out.value = floats(path, &table, "value")?;
    out.time = ints(path, &table, "time")?;
    Ok(out.sorted())
}

/// Writes `interactions.parquet`.
///
/// # Errors
/// The file cannot be written.
pub fn write_interactions(path: &Path, all: &Interactions) -> Result<()> {
    let named = |codes: &[u32], names: &Dictionary, column: &str| {
        let list: StringChunked = codes.iter().map(|c| Some(names.text(*c))).collect();
        list.with_name(column.into()).into_series().into_column()
    };
    let columns = vec![
        named(&all.user, &all.users, "user"),
        named(&all.item, &all.items, "item"),
        named(&all.action, &all.actions, "action"),
        Column::new("value".into(), &all.value),
        Column::new("time".into(), &all.time),
    ];
    write(path, &mut frame(path, columns)?)
}

/// Reads `items.parquet` or `users.parquet`; a missing file is an empty sheet.
///
/// # Errors
/// The file is there but cannot be read.
pub fn read_sheet_or_empty(path: &Path, key: &str) -> Result<Sheet> {
    if path.exists() { Ok(sheet(path, &read(path)?, key)?.0) } else { Ok(Sheet::default()) }
}

/// A frame as a sheet, and the names of columns whose type is none of ours.
///
/// # Errors
/// The key column is missing.
pub fn sheet(path: &Path, table: &DataFrame, key: &str) -> Result<(Sheet, Vec<String>)> {
    let mut out = Sheet { ids: texts(path, table, key, str::to_owned)?, columns: Vec::new() };
    let mut unknown = Vec::new();
    for found in table.columns() {
        let name = found.name().as_str();
        if name == key {
            continue;
        }
        match cells(found).map_err(Error::columns(path))? {
            Some(cells) => out.columns.push((name.to_owned(), cells)),
            None => unknown.push(name.to_owned()),
        }
    }
    Ok((out, unknown))
}

fn cells(column: &Column) -> PolarsResult<Option<Cells>> {
    let kind = column.dtype().clone();
    Ok(Some(match kind {
        DataType::Boolean => Cells::Bool(column.bool()?.iter().collect()),
        DataType::String => Cells::Text(column.str()?.iter().map(|t| t.map(str::to_owned)).collect()),
        DataType::Float32 | DataType::Float64 => {
            let list = column.cast(&DataType::Float64)?;
            Cells::Float(list.f64()?.iter().map(|v| v.filter(|x| x.is_finite())).collect())
        }
        DataType::Datetime(..) => {
            let list =
                column.cast(&DataType::Datetime(TimeUnit::Milliseconds, None))?.cast(&DataType::Int64)?;
            Cells::Int(list.i64()?.iter().collect())
        }
        ref k if k.is_integer() => Cells::Int(column.cast(&DataType::Int64)?.i64()?.iter().collect()),
        DataType::List(inner) if *inner == DataType::String => {
            let list = column.list()?;
            let row = |r: usize| -> PolarsResult<Option<Vec<String>>> {
                let Some(series) = list.get_as_series(r) else { return Ok(None) };
                Ok(Some(series.str()?.iter().flatten().map(str::to_owned).collect()))
            };
            Cells::Texts((0..list.len()).map(row).collect::<PolarsResult<_>>()?)
        }
        DataType::List(inner) if inner.is_numeric() => {
            let list = column.list()?;
            let row = |r: usize| -> PolarsResult<Option<Vec<f32>>> {
                let Some(series) = list.get_as_series(r) else { return Ok(None) };
                Ok(Some(series.cast(&DataType::Float32)?.f32()?.iter().flatten().collect()))
            };
            Cells::Vector((0..list.len()).map(row).collect::<PolarsResult<_>>()?)
        }
        _ => return Ok(None),
    }))
}

/// Writes a sheet with its key column first.
///
/// # Errors
/// The file cannot be written.
pub fn write_sheet(path: &Path, key: &str, sheet: &Sheet) -> Result<()> {
    let mut columns = vec![Column::new(key.into(), &sheet.ids)];
    for (name, cells) in &sheet.columns {
        let name: PlSmallStr = name.as_str().into();
        columns.push(match cells {
            Cells::Bool(c) => Column::new(name, c),
            Cells::Int(c) => Column::new(name, c),
            Cells::Float(c) => Column::new(name, c),
            Cells::Text(c) => Column::new(name, c),
            Cells::Texts(c) => {
                let mut list = ListStringChunkedBuilder::new(name, c.len(), c.len() * 3);
                for row in c {
                    match row {
                        Some(texts) => list.append_values_iter(texts.iter().map(String::as_str)),
                        None => list.append_null(),
                    }
                }
                list.finish().into_series().into_column()
            }
            Cells::Vector(c) => {
                let mut list = ListPrimitiveChunkedBuilder::<Float32Type>::new(
                    name,
                    c.len(),
                    c.len() * 8,
                    DataType::Float32,
                );
                for row in c {
                    list.append_opt_slice(row.as_deref());
                }
                list.finish().into_series().into_column()
            }
        });
    }
    write(path, &mut frame(path, columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut all = Interactions::default();
        all.push("u1", "a", "click", 1.0, 5);
        all.push("u2", "b", "rate", 7.5, 6);
        let path = dir.path().join("interactions.parquet");
        write_interactions(&path, &all).unwrap();
        let back = read_interactions(&path).unwrap();
        assert_eq!((back.time, back.value), (all.time, all.value));
        assert_eq!(back.users.iter().collect::<Vec<_>>(), ["u1", "u2"]);

        let sheet_in = Sheet {
            ids: vec!["a".into(), "b".into()],
            columns: vec![
                ("tags".into(), Cells::Texts(vec![Some(vec!["x".into(), "y".into()]), None])),
                ("price".into(), Cells::Float(vec![None, Some(2.5)])),
                ("v".into(), Cells::Vector(vec![Some(vec![1.0, 2.0]), None])),
                ("n".into(), Cells::Int(vec![Some(1), None])),
                ("ok".into(), Cells::Bool(vec![Some(true), None])),
                ("title".into(), Cells::Text(vec![Some("t".into()), None])),
            ],
        };
        let path = dir.path().join("items.parquet");
        write_sheet(&path, "item", &sheet_in).unwrap();
        assert_eq!(read_sheet_or_empty(&path, "item").unwrap(), sheet_in);
    }
}
