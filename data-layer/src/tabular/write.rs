//! Parquet written by column, such as recommendations: user, item, score, rank. No nulls.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use crate::publish::Temporary;
use crate::{Error, Result};

/// Type of a column that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// `f64`.
    Float,
    /// `f32`.
    Float32,
    /// `i64`.
    Int,
}

/// Cells of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cells<'a> {
    /// Of a [`ColumnType::Text`].
    Text(&'a [&'a str]),
    /// Of a [`ColumnType::Float`].
    Float(&'a [f64]),
    /// Of a [`ColumnType::Float32`].
    Float32(&'a [f32]),
    /// Of a [`ColumnType::Int`].
    Int(&'a [i64]),
}

/// Writes a Parquet file that is there whole after [`Writer::finish`], or not at all.
pub struct Writer {
    path: PathBuf,
    temporary: Temporary,
    columns: Vec<(String, ColumnType)>,
    writer: SerializedFileWriter<File>,
}

impl Cells<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(cells) => cells.len(),
            Self::Float(cells) => cells.len(),
            Self::Float32(cells) => cells.len(),
            Self::Int(cells) => cells.len(),
        }
    }

    fn column_type(&self) -> ColumnType {
        match self {
            Self::Text(_) => ColumnType::Text,
            Self::Float(_) => ColumnType::Float,
            Self::Float32(_) => ColumnType::Float32,
            Self::Int(_) => ColumnType::Int,
        }
    }
}

impl Writer {
    /// A file with these columns, beside its final place until it is finished.
    ///
    /// # Errors
    /// What the system said.
    pub fn create(path: impl AsRef<Path>, columns: &[(&str, ColumnType)]) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let (temporary, file) = Temporary::file(&path)?;
        let wrong = |e: ParquetError| Error::invalid(path.display().to_string(), e.to_string());
        let fields: std::result::Result<Vec<_>, _> =
            columns.iter().map(|(n, kind)| field(n, *kind)).collect();
        let schema =
            Type::group_type_builder("schema").with_fields(fields.map_err(wrong)?).build().map_err(wrong)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("weir".to_owned())
            .build();
        let writer =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(wrong)?;
        let columns = columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        Ok(Self { path, temporary, columns, writer })
    }

    /// Writes some rows as a row group: one slice per column, of the column's type, all of one length. Groups of some 100,000
    /// rows read best.
    ///
    /// # Errors
    /// Other columns than announced, columns of different lengths, or what the system said.
    pub fn write(&mut self, columns: &[Cells<'_>]) -> Result<()> {
        let place = self.path.display().to_string();
        if columns.len() != self.columns.len() {
            let detail = format!("expected {} columns, found {}", self.columns.len(), columns.len());
            return Err(Error::invalid(place, detail));
        }
        let rows = columns.first().map_or(0, Cells::len);
        for ((name, kind), cells) in self.columns.iter().zip(columns) {
            if cells.column_type() != *kind || cells.len() != rows {
                let (found, length) = (cells.column_type(), cells.len());
                let detail =
                    format!("column {name:?}: expected {rows} of {kind:?}, found {length} of {found:?}");
                return Err(Error::invalid(place, detail));
            }
        }
        let mut put = || {
            let mut group = self.writer.next_row_group()?;
            columns.iter().try_for_each(|cells| put_column(&mut group, cells))?;
            group.close().map(drop)
        };
        if rows == 0 { Ok(()) } else { put().map_err(|e| Error::invalid(place, e.to_string())) }
    }

    /// Ends the file, syncs it and moves it to its place.
    ///
    /// # Errors
    /// What the system said.
    pub fn finish(self) -> Result<()> {
        let wrong = |e: ParquetError| Error::invalid(self.path.display().to_string(), e.to_string());
        let file = self.writer.into_inner().map_err(wrong)?;
        file.sync_all().map_err(Error::io(&self.path))?;
        self.temporary.finish(&self.path)
    }
}

fn field(name: &str, kind: ColumnType) -> std::result::Result<Arc<Type>, ParquetError> {
    let physical = match kind {
        ColumnType::Text => PhysicalType::BYTE_ARRAY,
        ColumnType::Float => PhysicalType::DOUBLE,
        ColumnType::Float32 => PhysicalType::FLOAT,
        ColumnType::Int => PhysicalType::INT64,
    };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
    let builder = match kind {
        ColumnType::Text => {
            builder.with_logical_type(Some(LogicalType::String)).with_converted_type(ConvertedType::UTF8)
        }
        _ => builder,
    };
    builder.build().map(Arc::new)
}

fn put_column(
    group: &mut SerializedRowGroupWriter<'_, File>,
    cells: &Cells<'_>,
) -> std::result::Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("fewer columns than announced".to_owned()));
    };
    match cells {
        Cells::Text(cells) => {
            let texts: Vec<ByteArray> = cells.iter().map(|text| ByteArray::from(*text)).collect();
            column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
        }
        Cells::Float(cells) => drop(column.typed::<DoubleType>().write_batch(cells, None, None)?),
        Cells::Float32(cells) => drop(column.typed::<FloatType>().write_batch(cells, None, None)?),
        Cells::Int(cells) => drop(column.typed::<Int64Type>().write_batch(cells, None, None)?),
    }
    column.close()
}
