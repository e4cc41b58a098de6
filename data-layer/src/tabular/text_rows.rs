//! Rows of CSV, TSV and NDJSON. Every cell of CSV and TSV is text; an empty one is nothing.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::{Format, Numbered, Source};
use crate::types::Value;
use crate::{Error, Result};

/// Lines of NDJSON, and records of CSV, up to this many bytes.
const MAX_LINE: u64 = 64 << 20;
/// Lines of NDJSON whose keys are its columns.
const SAMPLE: usize = 1_000;

/// A file that may be read so far and no further, until the limit is set anew.
struct Limited {
    file: File,
    /// Bytes that may still be read.
    left: Rc<Cell<u64>>,
}

impl Read for Limited {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(out)?;
        let left = self.left.get().checked_sub(read as u64);
        let long =
            || std::io::Error::other(format!("a row of {MAX_LINE} bytes or more; is a quote missing?"));
        self.left.set(left.ok_or_else(long)?);
        Ok(read)
    }
}

/// A reader, and what it may still read: to be set to [`MAX_LINE`] before each record.
fn csv_reader(path: &Path, format: Format) -> Result<(csv::Reader<Limited>, Rc<Cell<u64>>)> {
    let tab = format == Format::Tsv;
    let file = File::open(path).map_err(Error::io(path))?;
    let left = Rc::new(Cell::new(MAX_LINE));
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(if tab { b'\t' } else { b',' }).quoting(!tab);
    Ok((builder.from_reader(Limited { file, left: Rc::clone(&left) }), left))
}

/// Names in the header line.
pub(super) fn csv_columns(path: &Path, format: Format) -> Result<Vec<String>> {
    let (mut reader, _) = csv_reader(path, format)?;
    let headers = reader.headers().map_err(|e| explain(&e, path, 1))?;
    if headers.is_empty() {
        return Err(Error::invalid(format!("{}:1", path.display()), "expected a header line, found nothing"));
    }
    // Excel starts files with a byte order mark.
    Ok(headers.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect())
}

/// The rows, with the wanted cells.
pub(super) fn csv_rows(source: &Arc<Source>) -> Result<Box<dyn Iterator<Item = Result<Numbered>>>> {
    let columns = csv_columns(&source.path, source.format)?;
    let at = |name: &String| columns.iter().position(|c| c == name).unwrap_or(usize::MAX);
    let places: Vec<usize> = source.columns.iter().map(at).collect();
    let (mut reader, left) = csv_reader(&source.path, source.format)?;
    let source = Arc::clone(source);
    let mut record = csv::ByteRecord::new();
    Ok(Box::new(std::iter::from_fn(move || {
        left.set(MAX_LINE);
        let line = reader.position().line();
        match reader.read_byte_record(&mut record) {
            Ok(false) => return None,
            Ok(true) => {}
            Err(error) => return Some(Err(explain(&error, &source.path, line))),
        }
        let line = record.position().map_or(line, csv::Position::line);
        let cells = source.columns.iter().zip(&places).map(|(name, place)| {
            let Some(bytes) = record.get(*place).filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
            let text = std::str::from_utf8(bytes).map_err(|_| {
                Error::invalid(format!("{}, column {name:?}", source.place(line)), "is not UTF-8")
            })?;
            Ok(Some(Value::String(text.into())))
        });
        Some(cells.collect::<Result<Vec<_>>>().map(|cells| (line, cells)))
    })))
}

/// An error with its line; `line` where it has none.
fn explain(error: &csv::Error, path: &Path, line: u64) -> Error {
    let line = error.position().map_or(line, csv::Position::line);
    let detail = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("expected {expected_len} fields as in the header, found {len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("field {} is not UTF-8", err.field() + 1),
        _ => error.to_string(),
    };
    Error::invalid(format!("{}:{line}", path.display()), detail)
}

/// Keys of the first [`SAMPLE`] objects, in the order of their first line: not every object has every key.
pub(super) fn ndjson_columns(path: &Path) -> Result<Vec<String>> {
    let mut columns = Vec::new();
    for line in lines(path)?.take(SAMPLE) {
        let (number, line) = line?;
        for (name, _) in object(path, number, &line)? {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
    }
    if columns.is_empty() {
        return Err(Error::invalid(
            format!("{}:1", path.display()),
            "expected a JSON object with keys, found none",
        ));
    }
    Ok(columns)
}

/// The rows, with the wanted cells.
pub(super) fn ndjson_rows(source: &Arc<Source>) -> Result<Box<dyn Iterator<Item = Result<Numbered>>>> {
    let source = Arc::clone(source);
    let lines = lines(&source.path)?;
    Ok(Box::new(lines.map(move |line| {
        let (number, line) = line?;
        let mut object = object(&source.path, number, &line)?;
        let cells = source.columns.iter().zip(&source.ids).map(|(name, ids)| match object.remove(name) {
            None | Some(serde_json::Value::Null) => Ok(None),
            Some(json) => {
                serde_json::from_value(if *ids { id_texts(json) } else { json }).map(Some).map_err(|_| {
                    let place = format!("{}, column {name:?}", source.place(number));
                    Error::invalid(
                        place,
                        "expected a bool, number, text, list of texts, list of numbers or {lat, lon}",
                    )
                })
            }
        });
        Ok((number, cells.collect::<Result<Vec<Option<Value>>>>()?))
    })))
}

/// Whole numbers within a list as texts; everything else as it is.
fn id_texts(json: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    let text = |element: Value| match element {
        Value::Number(number) if number.is_u64() || number.is_i64() => Value::String(number.to_string()),
        other => other,
    };
    match json {
        Value::Array(list) => Value::Array(list.into_iter().map(text).collect()),
        other => other,
    }
}

fn object(path: &Path, number: u64, line: &str) -> Result<serde_json::Map<String, serde_json::Value>> {
    // Some programs start files with a byte order mark.
    let line = if number == 1 { line.trim_start_matches('\u{feff}') } else { line };
    serde_json::from_str(line).map_err(|e| {
        let place = format!("{}:{number}:{}", path.display(), e.column());
        Error::invalid(place, format!("expected one JSON object per line: {e}"))
    })
}

/// Lines that are not blank, with their numbers from 1.
fn lines(path: &Path) -> Result<impl Iterator<Item = Result<(u64, String)>> + use<>> {
    let file = File::open(path).map_err(Error::io(path))?;
    let (mut reader, path, mut number) = (BufReader::new(file), path.to_owned(), 0);
    Ok(std::iter::from_fn(move || {
        loop {
            let mut line = Vec::new();
            number += 1;
            // A limit, so that a file without line ends is an error and not all of memory.
            match Read::take(&mut reader, MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(read) if read as u64 == MAX_LINE => {
                    let place = format!("{}:{number}", path.display());
                    return Some(Err(Error::invalid(place, format!("a line of {MAX_LINE} bytes or more"))));
                }
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => {
                    let place = format!("{}:{number}", path.display());
                    let text = String::from_utf8(line).map_err(|_| Error::invalid(place, "is not UTF-8"));
                    return Some(text.map(|text| (number, text)));
                }
                Err(error) => return Some(Err(Error::io(&path)(error))),
            }
        }
    }))
}
