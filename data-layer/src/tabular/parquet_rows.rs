//! Rows of Parquet files by whichever writer: polars, pandas, DuckDB, Spark; snappy, zstd, lz4, gzip or no compression.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use super::{Numbered, Source};
use crate::types::Value;
use crate::types::time::DAY;
use crate::{Error, Result};

/// What a whole number of a column means in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// As it is.
    Plain,
    /// Thousandths of a millisecond.
    Micros,
    /// Millionths of a millisecond.
    Nanos,
    /// Days since the epoch.
    Days,
}

fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file = File::open(path).map_err(Error::io(path))?;
    guarded(|| SerializedFileReader::new(file))
        .map_err(|detail| Error::invalid(path.display().to_string(), format!("not a Parquet file: {detail}")))
}

/// Names of the columns.
pub(super) fn columns(path: &Path) -> Result<Vec<String>> {
    let reader = open(path)?;
    let schema = reader.metadata().file_metadata().schema_descr().root_schema();
    Ok(schema.get_fields().iter().map(|field| field.name().to_owned()).collect())
}

/// The rows, with the wanted cells; only those columns are read.
pub(super) fn rows(source: &Arc<Source>) -> Result<Box<dyn Iterator<Item = Result<Numbered>>>> {
    let source = Arc::clone(source);
    let wrong = |detail: String| Error::invalid(source.path.display().to_string(), detail);
    let reader = open(&source.path)?;
    let root = reader.metadata().file_metadata().schema_descr().root_schema();
    let wanted = root.get_fields().iter().filter(|field| source.columns.iter().any(|c| c == field.name()));
    let wanted: Vec<Arc<Type>> = wanted.cloned().collect();
    let wholes: Vec<Whole> = source
        .columns
        .iter()
        .map(|name| wanted.iter().find(|f| f.name() == name).map_or(Whole::Plain, |f| whole(f)))
        .collect();
    let projection = Type::group_type_builder(root.name())
        .with_fields(wanted)
        .build()
        .map_err(|e| wrong(e.to_string()))?;
    let mut rows = RowIter::from_file_into(Box::new(reader))
        .project(Some(projection))
        .map_err(|e| wrong(e.to_string()))?;
    let mut number = 0u64;
    Ok(Box::new(std::iter::from_fn(move || {
        number += 1;
        let row = match guarded(|| rows.next().transpose()) {
            Ok(row) => row?,
            Err(detail) => return Some(Err(Error::invalid(source.place(number), detail))),
        };
        let mut fields = row.into_columns();
        let cells = source.columns.iter().zip(&source.ids).zip(&wholes).map(|((name, ids), whole)| {
            // A column that is asked for twice is found the first time only.
            let at = fields.iter().position(|(n, _)| n == name);
            let field = at.map_or(Field::Null, |at| fields.swap_remove(at).1);
            let cell = match field {
                Field::ListInternal(list) if *ids => id_list(list.elements()).map(Some),
                field => value(field, *whole),
            };
            cell.map_err(|detail| {
                Error::invalid(format!("{}, column {name:?}", source.place(number)), detail)
            })
        });
        Some(cells.collect::<Result<Vec<_>>>().map(|cells| (number, cells)))
    })))
}

/// Runs a step of the Parquet reader. It answers damaged files with errors, and in places with a panic, which must not take a
/// program down that only wanted to read a file.
fn guarded<T>(step: impl FnOnce() -> parquet::errors::Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("damaged, or of a kind that can't be read: {error}")),
        Err(_) => Err("damaged, or of a kind that can't be read".to_owned()),
    }
}

fn whole(column: &Type) -> Whole {
    match column.get_basic_info().logical_type_ref() {
        Some(LogicalType::Timestamp(kind)) => match kind.unit {
            TimeUnit::MILLIS => Whole::Plain,
            TimeUnit::MICROS => Whole::Micros,
            TimeUnit::NANOS => Whole::Nanos,
        },
        Some(LogicalType::Date) => Whole::Days,
        _ => Whole::Plain,
    }
}

fn value(field: Field, whole: Whole) -> std::result::Result<Option<Value>, String> {
    let int = |number: i64| {
        Value::Int(match whole {
            Whole::Plain => number,
            Whole::Micros => number.div_euclid(1_000),
            Whole::Nanos => number.div_euclid(1_000_000),
            Whole::Days => number.saturating_mul(DAY),
        })
    };
    Ok(Some(match field {
        Field::Null => return Ok(None),
        Field::Bool(yes) => Value::Bool(yes),
        Field::Byte(number) => int(number.into()),
        Field::Short(number) => int(number.into()),
        Field::Int(number) => int(number.into()),
        Field::Long(number) => int(number),
        Field::UByte(number) => int(number.into()),
        Field::UShort(number) => int(number.into()),
        Field::UInt(number) => int(number.into()),
        Field::ULong(number) => match i64::try_from(number) {
            Ok(number) => int(number),
            // Hashed ids fill 64 bits; as text nothing of them is lost.
            Err(_) => Value::String(number.to_string().into()),
        },
        Field::Float16(number) => Value::Float(number.into()),
        Field::Float(number) => Value::Float(number.into()),
        Field::Double(number) => Value::Float(number),
        Field::Decimal(_) => Value::Float(decimal(&field)?),
        Field::Str(text) => Value::String(text.into()),
        Field::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes.data());
            Value::String(text.map_err(|_| "bytes that are not UTF-8".to_owned())?.into())
        }
        Field::Date(days) => Value::Int(i64::from(days) * DAY),
        Field::TimestampMillis(millis) => Value::Int(millis),
        Field::TimestampMicros(micros) => Value::Int(micros.div_euclid(1_000)),
        Field::ListInternal(list) => list_value(list.elements())?,
        Field::Group(row) => place(row.into_columns())?,
        Field::TimeMillis(_) | Field::TimeMicros(_) | Field::MapInternal(_) => {
            return Err("times of day and maps can't be read".to_owned());
        }
    }))
}

fn decimal(field: &Field) -> std::result::Result<f64, String> {
    // The crate prints decimals exactly; through text is the short way to the nearest float.
    let text = field.to_string();
    text.parse().map_err(|_| format!("expected a decimal number, found {text}"))
}

/// A list of texts or of numbers; nulls within are left out.
fn list_value(elements: &[Field]) -> std::result::Result<Value, String> {
    let mut texts = Vec::new();
    let mut numbers = Vec::new();
    for element in elements {
        match value(element.clone(), Whole::Plain)? {
            None => {}
            Some(Value::String(text)) => texts.push(text),
            Some(Value::Float(number)) => numbers.push(number as f32),
            Some(Value::Int(number)) => numbers.push(number as f32),
            Some(other) => {
                let found = other.value_type();
                return Err(format!("expected a list of texts or of numbers, found a list with {found}"));
            }
        }
    }
    match (texts.is_empty(), numbers.is_empty()) {
        (_, true) => Ok(Value::Strings(texts)),
        (true, false) => Ok(Value::Vector(numbers)),
        (false, false) => Err("expected a list of texts or of numbers, found both".to_owned()),
    }
}

/// A list of texts or whole numbers, as texts.
fn id_list(elements: &[Field]) -> std::result::Result<Value, String> {
    let mut texts = Vec::with_capacity(elements.len());
    for element in elements {
        texts.push(match value(element.clone(), Whole::Plain)? {
            Some(Value::String(text)) => text,
            Some(Value::Int(number)) => number.to_string().into(),
            Some(other) => {
                return Err(format!("expected a list of ids, found a list with {}", other.value_type()));
            }
            None => return Err("expected a list of ids, found one with nothing in a place".to_owned()),
        });
    }
    Ok(Value::Strings(texts))
}

/// A struct with `lat` and `lon`.
fn place(fields: Vec<(String, Field)>) -> std::result::Result<Value, String> {
    let (mut lat, mut lon) = (None, None);
    for (name, field) in fields {
        match (name.as_str(), value(field, Whole::Plain)?) {
            ("lat", Some(Value::Float(degrees))) => lat = Some(degrees),
            ("lon", Some(Value::Float(degrees))) => lon = Some(degrees),
            _ => {}
        }
    }
    match (lat, lon) {
        (Some(lat), Some(lon)) => Ok(Value::Geo { lat, lon }),
        _ => Err("expected a struct of two floats, lat and lon".to_owned()),
    }
}
