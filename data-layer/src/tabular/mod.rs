//! Files of rows: Parquet, CSV, TSV and NDJSON read a row at a time with errors that name file, row and column; Parquet written
//! by column. Useful for: building tables, loading events, writing results. Not useful for: analysis, which the trainer does.

mod parquet_rows;
mod row;
mod text_rows;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::toml_file::suggest;
use crate::{Error, Result};

pub use row::Row;
pub use write::{Cells, ColumnType, Writer};

/// What a file is, by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.parquet`, `.pq`.
    Parquet,
    /// `.csv`: commas, double quotes, a header line.
    Csv,
    /// `.tsv`: tabs, no quotes, a header line.
    Tsv,
    /// `.ndjson`, `.jsonl`: a JSON object per line.
    Ndjson,
}

/// Endings of files that hold others.
const PACKED: [&str; 7] = ["gz", "zst", "bz2", "xz", "lz4", "zip", "7z"];

/// A file whose columns are known and whose rows can be read, more than once.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    format: Format,
    columns: Vec<String>,
}

/// Rows in the order of the file. Ends after the first error.
pub struct Rows {
    source: Arc<Source>,
    cells: Box<dyn Iterator<Item = Result<Numbered>>>,
    done: bool,
}

/// The number of a row and its cells.
type Numbered = (u64, Vec<Option<crate::types::Value>>);

/// What errors about a row name, and what its cells are to be.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    format: Format,
    columns: Vec<String>,
    /// Lists of numbers in these columns are ids: they become texts, digit by digit.
    ids: Vec<bool>,
}

impl Format {
    /// The format that a file's name says.
    ///
    /// # Errors
    /// Another ending.
    pub fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
        match ending.as_str() {
            "parquet" | "pq" => Ok(Self::Parquet),
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            packed if PACKED.contains(&packed) => Err(Error::invalid(
                path.display().to_string(),
                format!("is packed (.{packed}); unpack it first, or write Parquet, which packs by itself"),
            )),
            _ => Err(Error::invalid(
                path.display().to_string(),
                "expected a file named .parquet, .csv, .tsv or .ndjson",
            )),
        }
    }
}

impl Reader {
    /// Opens a file and finds its columns. Of NDJSON, those of the first line; later lines may have others.
    ///
    /// # Errors
    /// A name with another ending, a file that is not what its name says, or what the system said.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            let detail = "is a folder; expected one file named .parquet, .csv, .tsv or .ndjson";
            return Err(Error::invalid(path.display().to_string(), detail));
        }
        let format = Format::of(path)?;
        let columns = match format {
            Format::Parquet => parquet_rows::columns(path)?,
            Format::Csv | Format::Tsv => text_rows::csv_columns(path, format)?,
            Format::Ndjson => text_rows::ndjson_columns(path)?,
        };
        Ok(Self { path: path.to_owned(), format, columns })
    }

    /// Names of the columns, in the order of the file.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether there is a column of this name.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| c == column)
    }

    /// The rows, with the cells of these columns, in the order asked for.
    ///
    /// # Errors
    /// A column that the file does not have, with a suggestion; or what the system said.
    pub fn rows(&self, wanted: &[&str]) -> Result<Rows> {
        self.rows_with_ids(wanted, &[])
    }

    /// [`Reader::rows`], where lists of whole numbers in the columns `ids` come as texts: 64-bit ids fit no list of floats.
    ///
    /// # Errors
    /// As [`Reader::rows`].
    pub fn rows_with_ids(&self, wanted: &[&str], ids: &[&str]) -> Result<Rows> {
        for name in wanted {
            if !self.has(name) {
                let known = self.columns.iter().map(String::as_str);
                let hint = match suggest(name, known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("it has {}", self.columns.join(", ")),
                };
                return Err(Error::invalid(
                    self.path.display().to_string(),
                    format!("has no column {name:?}; {hint}"),
                ));
            }
        }
        if let Some(name) = wanted.iter().find(|name| self.columns.iter().filter(|c| c == *name).count() > 1)
        {
            let detail = format!("has two columns {name:?}; rename one of them");
            return Err(Error::invalid(self.path.display().to_string(), detail));
        }
        let columns: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        let ids = wanted.iter().map(|name| ids.contains(name)).collect();
        let source = Arc::new(Source { path: self.path.clone(), format: self.format, columns, ids });
        let cells = match self.format {
            Format::Parquet => parquet_rows::rows(&source)?,
            Format::Csv | Format::Tsv => text_rows::csv_rows(&source)?,
            Format::Ndjson => text_rows::ndjson_rows(&source)?,
        };
        Ok(Rows { source, cells, done: false })
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        if self.done {
            return None;
        }
        let next = self.cells.next();
        self.done = !matches!(next, Some(Ok(_)));
        Some(next?.map(|(number, cells)| Row::new(Arc::clone(&self.source), number, cells)))
    }
}

impl Source {
    /// `file:line`, or `file row n` where there are no lines.
    fn place(&self, number: u64) -> String {
        match self.format {
            Format::Parquet => format!("{} row {number}", self.path.display()),
            _ => format!("{}:{number}", self.path.display()),
        }
    }
}
