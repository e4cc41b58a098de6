//! A SAMPLES folder: `samples.parquet` (request, user, item, time, label, then one f32 column a feature) and `samples.json`.

use std::path::Path;

use polars::prelude::*;

use super::{About, Samples};
use crate::data::{frame, read_json, write_json};
use crate::{Error, Result};

/// Writes a SAMPLES folder.
///
/// # Errors
/// It cannot be written.
pub fn write(dir: &Path, samples: &Samples, about: &About) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
    let path = dir.join("samples.parquet");
    let by_request = |texts: &[String], name: &str| {
        let list: StringChunked = samples.request.iter().map(|r| Some(texts[*r as usize].as_str())).collect();
        list.with_name(name.into()).into_series().into_column()
    };
    let times: Vec<i64> = samples.request.iter().map(|r| samples.times[*r as usize]).collect();
    let labels: Vec<i32> = samples.labels.iter().map(|l| i32::from(*l)).collect();
    let mut columns = vec![
        by_request(&samples.requests, "request"),
        by_request(&samples.users, "user"),
        Column::new("item".into(), &samples.items),
        Column::new("time".into(), &times),
        Column::new("label".into(), &labels),
    ];
    for (name, values) in about.features.iter().zip(&samples.features) {
        columns.push(Column::new(name.as_str().into(), values));
    }
    frame::write(&path, &mut frame::frame(&path, columns)?)?;
    write_json(&dir.join("samples.json"), about)
}

/// Reads a SAMPLES folder.
///
/// # Errors
/// A file is missing or has other columns.
pub fn read(dir: &Path) -> Result<(Samples, About)> {
    let about: About = read_json(&dir.join("samples.json"))?;
    let path = dir.join("samples.parquet");
    let table = frame::read(&path)?;
    let mut samples = Samples::default();
    let requests = frame::texts(&path, &table, "request", str::to_owned)?;
    let users = frame::texts(&path, &table, "user", str::to_owned)?;
    let times = frame::ints(&path, &table, "time")?;
    for (row, request) in requests.into_iter().enumerate() {
        if samples.requests.last() != Some(&request) {
            samples.users.push(users[row].clone());
            samples.times.push(times[row]);
            samples.requests.push(request);
        }
        samples.request.push(samples.requests.len() as u32 - 1);
    }
    samples.items = frame::texts(&path, &table, "item", str::to_owned)?;
    for (row, label) in frame::ints(&path, &table, "label")?.into_iter().enumerate() {
        let label = u8::try_from(label).ok().filter(|l| *l <= 1).ok_or_else(|| {
            Error::invalid(
                format!("{}: row {}: label", path.display(), row + 1),
                format!("expected 0 or 1, found {label}"),
            )
        })?;
        samples.labels.push(label);
    }
    for name in &about.features {
        let column = frame::column(&path, &table, name, &DataType::Float32)?;
        let values = column.f32().map_err(Error::columns(&path))?;
        samples.features.push(values.iter().map(|v| v.unwrap_or(0.0)).collect());
    }
    Ok((samples, about))
}
