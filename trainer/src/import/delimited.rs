//! Text with a header and one row a line: RecBole (`name:type`, tabs), CSV, TSV. Errors name file, line and field.

use std::path::Path;

use data_layer::types::id::check as check_id;
use rustc_hash::FxHashMap;

use super::columns::{self, Roles};
use super::times::Times;
use super::{Kind, Options, Taken, Tolerance};
use crate::data::{Cells, FileReport, Sheet};
use crate::{Error, Result};

/// The types that RecBole headers name.
const TYPES: [&str; 4] = ["token", "token_seq", "float", "float_seq"];

/// An open file with its header read.
struct Table {
    path: String,
    form: &'static str,
    names: Vec<String>,
    /// RecBole types, one a column; empty where the header has none.
    types: Vec<String>,
    reader: csv::Reader<std::fs::File>,
    record: csv::ByteRecord,
}

/// One row: its line and cells.
struct Row {
    line: u64,
    cells: Vec<String>,
}

impl Table {
    fn open(path: &Path) -> Result<Self> {
        let text_of = |delimiter: u8| {
            csv::ReaderBuilder::new()
                .delimiter(delimiter)
                .quoting(delimiter != b'\t')
                .flexible(true)
                .from_path(path)
                .map_err(|e| Error::invalid(path.display().to_string(), e.to_string()))
        };
        let mut reader = text_of(b'\t')?;
        let place = format!("{}: line 1", path.display());
        let head = |reader: &mut csv::Reader<std::fs::File>| {
            let fields = reader.headers().map_err(|e| Error::invalid(place.clone(), e.to_string()))?;
            Ok::<_, Error>(
                fields.iter().map(|f| f.trim_start_matches('\u{feff}').trim().to_owned()).collect(),
            )
        };
        let mut fields: Vec<String> = head(&mut reader)?;
        let tabs = fields.len() > 1 || matches!(super::extension(path), "inter" | "item" | "user" | "tsv");
        if !tabs {
            let semicolons = fields[..].first().is_some_and(|f| f.contains(';') && !f.contains(','));
            reader = text_of(if semicolons { b';' } else { b',' })?;
            fields = head(&mut reader)?;
        }
        if fields.iter().all(String::is_empty) {
            return Err(Error::invalid(
                place,
                "expected a header with the names of the columns, found nothing",
            ));
        }
        let typed = fields.iter().all(|f| f.contains(':'));
        let (mut names, mut types) = (Vec::new(), Vec::new());
        for field in fields {
            match field.rsplit_once(':') {
                Some((name, kind)) if typed => {
                    if !TYPES.contains(&kind) {
                        let known = TYPES.join(", ");
                        return Err(Error::invalid(
                            format!("{place}: {name}"),
                            format!("type {kind:?} is none of {known}"),
                        ));
                    }
                    names.push(name.to_owned());
                    types.push(kind.to_owned());
                }
                _ => names.push(field),
            }
        }
        let form = if typed {
            "recbole"
        } else if tabs {
            "tsv"
        } else {
            "csv"
        };
        let record = csv::ByteRecord::new();
        Ok(Self { path: path.display().to_string(), form, names, types, reader, record })
    }

    fn names(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).collect()
    }

    /// The next row; inside, what is wrong with it.
    fn next(&mut self) -> Option<std::result::Result<Row, Error>> {
        loop {
            let line = self.reader.position().line();
            match self.reader.read_byte_record(&mut self.record) {
                Ok(false) => return None,
                Err(e) => {
                    return Some(Err(Error::invalid(format!("{}: line {line}", self.path), e.to_string())));
                }
                Ok(true) => {}
            }
            let line = self.record.position().map_or(line, csv::Position::line);
            if self.record.len() == 1 && self.record[0].is_empty() {
                continue;
            }
            return Some(self.row(line));
        }
    }

    fn row(&self, line: u64) -> std::result::Result<Row, Error> {
        let place = format!("{}: line {line}", self.path);
        if self.record.len() != self.names.len() {
            let (found, wanted) = (self.record.len(), self.names.len());
            return Err(Error::invalid(
                place,
                format!("expected {wanted} fields as in the header, found {found}"),
            ));
        }
        let cells = self.record.iter().zip(&self.names).map(|(bytes, name)| {
            std::str::from_utf8(bytes)
                .map(|t| t.trim().to_owned())
                .map_err(|_| Error::invalid(format!("{place}: {name}"), "expected UTF-8"))
        });
        Ok(Row { line, cells: cells.collect::<Result<_>>()? })
    }

    fn place(&self, line: u64, column: usize) -> String {
        format!("{}: line {line}: {}", self.path, self.names[column])
    }
}

/// Reads interactions.
pub fn rows(path: &Path, options: Options) -> Result<Taken> {
    let mut table = Table::open(path)?;
    let roles =
        Roles::find(&table.names()).map_err(|e| Error::invalid(format!("{}: line 1", path.display()), e))?;
    let report = FileReport {
        file: table.path.clone(),
        form: table.form.into(),
        ignored_columns: roles.others.iter().map(|c| table.names[*c].clone()).collect(),
        ..FileReport::default()
    };
    let mut taken = Taken { report, ..Taken::default() };
    let mut tolerance = Tolerance::new(options);
    let mut times = Times::default();
    while let Some(row) = table.next() {
        let row = match row {
            Ok(row) => row,
            Err(e) => {
                tolerance.skip(&mut taken.report, "malformed line", e)?;
                continue;
            }
        };
        match read_row(&roles, &row, &mut times) {
            Ok((action, value)) => {
                taken.rows.push(&row.cells[roles.user], &row.cells[roles.item], &action, value, 0);
                taken.report.read += 1;
            }
            Err((column, detail)) => {
                let error = Error::invalid(table.place(row.line, column), detail);
                tolerance.skip(&mut taken.report, &format!("malformed {}", table.names[column]), error)?;
            }
        }
    }
    taken.unit = "none".into();
    if roles.time.is_some() {
        let (ms, unit) = times.finish();
        taken.rows.time = ms;
        taken.unit = unit.into();
    }
    Ok(taken)
}

type Wrong = (usize, String);

fn read_row(roles: &Roles, row: &Row, times: &mut Times) -> std::result::Result<(String, f64), Wrong> {
    for column in [roles.user, roles.item] {
        check_id(&row.cells[column]).map_err(|e| (column, e.to_string()))?;
    }
    let value = match roles.value {
        Some(column) => crate::data::number(&row.cells[column]).map_err(|e| (column, e))?,
        None => 1.0,
    };
    let action = match roles.action {
        Some(column) if row.cells[column].is_empty() => {
            return Err((column, "expected the name of an action, found nothing".into()));
        }
        Some(column) => row.cells[column].clone(),
        None => roles.default_action().to_owned(),
    };
    if let Some(column) = roles.time {
        times.push(&row.cells[column]).map_err(|e| (column, e))?;
    }
    Ok((action, value))
}

/// Reads attributes of items or users.
pub(super) fn sheet(path: &Path, kind: Kind, options: Options) -> Result<(Sheet, FileReport)> {
    let mut table = Table::open(path)?;
    let key = columns::key(&table.names(), kind == Kind::Item)
        .map_err(|e| Error::invalid(format!("{}: line 1", path.display()), e))?;
    let mut report =
        FileReport { file: table.path.clone(), form: table.form.into(), ..FileReport::default() };
    let mut tolerance = Tolerance::new(options);
    let mut rows: Vec<Row> = Vec::new();
    let mut at: FxHashMap<String, usize> = FxHashMap::default();
    while let Some(row) = table.next() {
        let checked = row.and_then(|row| match check_id(&row.cells[key]) {
            Ok(()) => Ok(row),
            Err(e) => Err(Error::invalid(table.place(row.line, key), e.to_string())),
        });
        match checked {
            Err(e) => tolerance.skip(&mut report, "malformed line", e)?,
            Ok(row) => match at.get(&row.cells[key]) {
                Some(first) => {
                    *report.skipped.entry("id seen before: the later line counts".into()).or_default() += 1;
                    rows[*first] = row;
                }
                None => {
                    at.insert(row.cells[key].clone(), rows.len());
                    rows.push(row);
                }
            },
        }
    }
    report.read = rows.len() as u64;
    let mut out = Sheet { ids: rows.iter().map(|r| r.cells[key].clone()).collect(), columns: Vec::new() };
    for (c, name) in table.names.iter().enumerate().filter(|(c, _)| *c != key) {
        let texts: Vec<&str> = rows.iter().map(|r| r.cells[c].as_str()).collect();
        let cells = match table.types.get(c) {
            Some(kind) => Cells::typed(name, kind, &texts)
                .map_err(|(r, detail)| Error::invalid(table.place(rows[r].line, c), detail))?,
            None => Cells::inferred(name, &texts),
        };
        out.columns.push((name.clone(), cells.reserved(name)));
    }
    Ok((out, report))
}
