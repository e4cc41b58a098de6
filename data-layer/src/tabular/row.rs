//! One row, and its cells as what the caller needs them to be.

use std::borrow::Cow;
use std::sync::Arc;

use super::Source;
use crate::types::time::parse_rfc3339;
use crate::types::{Millis, Value, id};
use crate::{Error, Result};

/// The cells of one row, in the order in which columns were asked for. Times of Parquet are whole milliseconds.
#[derive(Debug, Clone)]
pub struct Row {
    source: Arc<Source>,
    number: u64,
    cells: Vec<Option<Value>>,
}

impl Row {
    pub(super) fn new(source: Arc<Source>, number: u64, cells: Vec<Option<Value>>) -> Self {
        Self { source, number, cells }
    }

    /// Number of the row, from 1; of text files, of its line.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// `file:line` or `file row n`.
    #[must_use]
    pub fn place(&self) -> String {
        self.source.place(self.number)
    }

    /// An error about a cell: file, row and column.
    #[must_use]
    pub fn wrong(&self, column: usize, detail: impl Into<String>) -> Error {
        let name = self.source.columns.get(column).map_or("", String::as_str);
        Error::invalid(format!("{}, column {name:?}", self.place()), detail)
    }

    /// A cell as the file has it; `None` is null, an absent key, or an empty field of a text file.
    #[must_use]
    pub fn cell(&self, column: usize) -> Option<&Value> {
        self.cells.get(column).and_then(Option::as_ref)
    }

    /// A cell that must be an id. Whole numbers are taken as their decimal digits.
    ///
    /// # Errors
    /// Nothing there, or what can't be an id.
    pub fn id(&self, column: usize) -> Result<Cow<'_, str>> {
        let text = self.text(column)?.ok_or_else(|| self.wrong(column, "expected an id, found nothing"))?;
        id::check(&text).map_err(|error| self.wrong(column, error.to_string()))?;
        Ok(text)
    }

    /// A cell as text. Whole numbers are taken as their decimal digits.
    ///
    /// # Errors
    /// Another type.
    pub fn text(&self, column: usize) -> Result<Option<Cow<'_, str>>> {
        match self.cell(column) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(Value::Int(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            Some(other) => Err(self.not("text", column, other)),
        }
    }

    /// A cell as a finite float. Text is read as a number.
    ///
    /// # Errors
    /// Another type, text that is no number, a number that is not finite.
    pub fn float(&self, column: usize) -> Result<Option<f64>> {
        let number = match self.cell(column) {
            None => return Ok(None),
            Some(Value::Float(number)) => *number,
            Some(Value::Int(number)) => *number as f64,
            Some(Value::String(text)) => text
                .trim()
                .parse()
                .map_err(|_| self.wrong(column, format!("expected a number, found {text:?}")))?,
            Some(other) => return Err(self.not("a number", column, other)),
        };
        if number.is_finite() {
            Ok(Some(number))
        } else {
            Err(self.wrong(column, format!("expected a finite number, found {number}")))
        }
    }

    /// A cell as a whole number. Text is read as one, and floats without a fraction are taken.
    ///
    /// # Errors
    /// Another type, or not a whole number.
    pub fn int(&self, column: usize) -> Result<Option<i64>> {
        match self.cell(column) {
            None => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Float(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Ok(Some(*number as i64))
            }
            Some(Value::Float(number)) => {
                Err(self.wrong(column, format!("expected a whole number, found {number}")))
            }
            Some(Value::String(text)) => match text.trim().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.wrong(column, format!("expected a whole number, found {text:?}"))),
            },
            Some(other) => Err(self.not("a whole number", column, other)),
        }
    }

    /// A cell as a time: milliseconds since the Unix epoch, or RFC 3339.
    ///
    /// # Errors
    /// Another type, or text that is neither.
    pub fn time(&self, column: usize) -> Result<Option<Millis>> {
        match self.cell(column) {
            Some(Value::String(text)) => match text.trim().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => parse_rfc3339(text.trim()).map(Some).map_err(|detail| self.wrong(column, detail)),
            },
            _ => self.int(column),
        }
    }

    /// A cell as an attribute value: NaN, which some writers mean by null, is nothing.
    ///
    /// # Errors
    /// An infinite number.
    pub fn attribute(&self, column: usize) -> Result<Option<Value>> {
        match self.cell(column) {
            Some(Value::Float(number)) if number.is_nan() => Ok(None),
            Some(Value::Float(number)) if number.is_infinite() => {
                Err(self.wrong(column, format!("expected a finite number, found {number}")))
            }
            Some(Value::Vector(list)) if list.iter().any(|number| !number.is_finite()) => {
                Err(self.wrong(column, "expected finite numbers"))
            }
            cell => Ok(cell.cloned()),
        }
    }

    fn not(&self, wanted: &str, column: usize, found: &Value) -> Error {
        self.wrong(column, format!("expected {wanted}, found {}", found.value_type()))
    }
}
