//! One small table by columns, from Parquet, or from text with a header: `.csv` with commas, everything else (`.tsv`,
//! RecBole's `.inter`, `.item`, `.user`) with tabs. RecBole's `name:type` headers are read as `name`, and `user_id`,
//! `item_id` as `user`, `item`. Not for tables larger than memory.

use std::fs::File;
use std::path::{Path, PathBuf};

use polars::prelude::{Column, DataFrame, DataType, ParquetReader, SerReader};

use crate::error::{Error, Result};

/// A table in memory.
pub struct Table {
    path: PathBuf,
    cells: Cells,
}

enum Cells {
    Frame(DataFrame),
    Text { names: Vec<String>, columns: Vec<Vec<String>>, lines: Vec<u64> },
}

impl Table {
    /// Reads a file; its kind follows from its ending.
    ///
    /// # Errors
    /// A file that cannot be opened or is not what its ending says, with the line where there is one.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let cells = match ending.as_str() {
            "parquet" => Cells::Frame(
                ParquetReader::new(file)
                    .finish()
                    .map_err(|e| Error::input(path, format!("expected a Parquet file: {e}")))?,
            ),
            "csv" => delimited(path, file, b',')?,
            _ => delimited(path, file, b'\t')?,
        };
        Ok(Self { path: path.to_owned(), cells })
    }

    /// Which file it was.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.cells {
            Cells::Frame(frame) => frame.height(),
            Cells::Text { lines, .. } => lines.len(),
        }
    }

    /// Names of the columns, as the file orders them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match &self.cells {
            Cells::Frame(frame) => frame.get_column_names().iter().map(|n| n.to_string()).collect(),
            Cells::Text { names, .. } => names.clone(),
        }
    }

    /// Whether there is such a column.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names().iter().any(|n| n == name)
    }

    /// An error at a row, counted from 0; told as a line for text, as a row from 1 for Parquet.
    #[must_use]
    pub fn wrong(&self, row: usize, detail: &str) -> Error {
        let at = match &self.cells {
            Cells::Frame(_) => format!("row {}", row + 1),
            Cells::Text { lines, .. } => format!("line {}", lines.get(row).copied().unwrap_or_default()),
        };
        Error::input(&self.path, format!("{at}: {detail}"))
    }

    /// A column of names. Integers are read as their digits.
    ///
    /// # Errors
    /// A missing column; an empty cell, with its row.
    pub fn text(&self, name: &str) -> Result<Vec<String>> {
        let empty = |row| self.wrong(row, &format!("column {name:?}: expected a name, found nothing"));
        match &self.cells {
            Cells::Text { columns, .. } => {
                let column = &columns[self.index(name)?];
                match column.iter().position(String::is_empty) {
                    Some(row) => Err(empty(row)),
                    None => Ok(column.clone()),
                }
            }
            Cells::Frame(_) => {
                let text = self.cast(name, &DataType::String)?;
                let cells = text.str().map_err(|e| self.odd(name, &e.to_string()))?;
                cells
                    .iter()
                    .enumerate()
                    .map(|(row, c)| c.map(str::to_owned).ok_or_else(|| empty(row)))
                    .collect()
            }
        }
    }

    /// A column of finite numbers.
    ///
    /// # Errors
    /// A missing column; a cell that is not a finite number, with its row.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let check = |row: usize, value: Option<f64>, found: &str| match value {
            Some(x) if x.is_finite() => Ok(x),
            _ => Err(self.wrong(row, &format!("column {name:?}: expected a finite number, found {found}"))),
        };
        match &self.cells {
            Cells::Text { columns, .. } => columns[self.index(name)?]
                .iter()
                .enumerate()
                .map(|(row, cell)| check(row, cell.trim().parse().ok(), &format!("{cell:?}")))
                .collect(),
            Cells::Frame(_) => {
                let numbers = self.cast(name, &DataType::Float64)?;
                let cells = numbers.f64().map_err(|e| self.odd(name, &e.to_string()))?;
                let found = |c: Option<f64>| c.map_or_else(|| "nothing".to_owned(), |x| x.to_string());
                cells.iter().enumerate().map(|(row, c)| check(row, c, &found(c))).collect()
            }
        }
    }

    /// A column of lists of words; text is split at spaces, an empty cell is an empty list.
    ///
    /// # Errors
    /// A missing column, or one of another type.
    pub fn words(&self, name: &str) -> Result<Vec<Vec<String>>> {
        let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match &self.cells {
            Cells::Text { columns, .. } => {
                Ok(columns[self.index(name)?].iter().map(|cell| split(cell)).collect())
            }
            Cells::Frame(frame) => {
                let column = frame.column(name).map_err(|_| self.missing(name))?;
                if let Ok(lists) = column.list() {
                    let one = |series: Option<polars::prelude::Series>| match series {
                        None => Ok(Vec::new()),
                        Some(series) => {
                            let text = series.cast(&DataType::String)?;
                            Ok(text.str()?.iter().flatten().map(str::to_owned).collect())
                        }
                    };
                    let all: polars::prelude::PolarsResult<Vec<_>> =
                        (0..lists.len()).map(|i| one(lists.get_as_series(i))).collect();
                    return all.map_err(|e| self.odd(name, &e.to_string()));
                }
                let text = self.cast(name, &DataType::String)?;
                let cells = text.str().map_err(|e| self.odd(name, &e.to_string()))?;
                Ok(cells.iter().map(|c| c.map(split).unwrap_or_default()).collect())
            }
        }
    }

    fn cast(&self, name: &str, to: &DataType) -> Result<Column> {
        let Cells::Frame(frame) = &self.cells else { return Err(self.missing(name)) };
        let column = frame.column(name).map_err(|_| self.missing(name))?;
        column.cast(to).map_err(|e| self.odd(name, &e.to_string()))
    }

    fn index(&self, name: &str) -> Result<usize> {
        self.names().iter().position(|n| n == name).ok_or_else(|| self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        let found = self.names().join(", ");
        Error::input(&self.path, format!("expected a column {name:?}, found {found}"))
    }

    fn odd(&self, name: &str, detail: &str) -> Error {
        Error::input(&self.path, format!("column {name:?}: {detail}"))
    }
}

/// Reads delimited text; a row with more or fewer cells than the header is an error with its line.
fn delimited(path: &Path, file: File, delimiter: u8) -> Result<Cells> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).quoting(delimiter == b',').from_reader(file);
    let wrong = |e: csv::Error| Error::input(path, e.to_string());
    let names: Vec<String> = reader.headers().map_err(wrong)?.iter().map(plain_name).collect();
    if names.iter().all(String::is_empty) {
        return Err(Error::input(path, "expected a header line, found an empty file"));
    }
    let mut columns = vec![Vec::new(); names.len()];
    let mut lines = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(wrong)? {
        lines.push(record.position().map_or(0, csv::Position::line));
        columns.iter_mut().zip(&record).for_each(|(column, cell)| column.push(cell.to_owned()));
    }
    Ok(Cells::Text { names, columns, lines })
}

/// `user_id:token` is `user`.
fn plain_name(header: &str) -> String {
    let name = header.trim_start_matches('\u{feff}').split(':').next().unwrap_or_default().trim();
    match name {
        "user_id" => "user".to_owned(),
        "item_id" => "item".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn table(name: &str, text: &str) -> Result<Table> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        Table::open(&path)
    }

    #[test]
    fn reads_recbole_and_csv() {
        let t = table("a.inter", "user_id:token\titem_id:token\trating:float\nu1\t\"i1\t3.5\n").unwrap();
        assert_eq!(t.text("item").unwrap(), ["\"i1"]);
        assert_eq!(t.numbers("rating").unwrap(), [3.5]);
        let t = table("a.csv", "user,tags\nu1,\"a b\"\nu2,\n").unwrap();
        assert_eq!(t.words("tags").unwrap(), [vec!["a", "b"], vec![]]);
        assert_eq!((t.rows(), t.has("item")), (2, false));
    }

    #[test]
    fn says_where_it_is_wrong() {
        let t = table("a.csv", "user,score\nu1,1\n,nan\n").unwrap();
        assert!(t.numbers("score").unwrap_err().to_string().contains("line 3: column \"score\""));
        assert!(t.text("user").unwrap_err().to_string().contains("line 3"));
        assert!(t.text("item").unwrap_err().to_string().contains("found user, score"));
        assert!(table("a.csv", "user,score\nu1\n").err().unwrap().to_string().contains("line: 2"));
        assert!(table("a.parquet", "nonsense").is_err());
        assert!(table("a.csv", "").is_err());
    }
}
