//! Lays `WEIR__SECTION__KEY` variables over the file. Values are read as TOML, else as strings.

use std::path::Path;

use toml::{Table, Value};

use super::raw::File;
use super::toml_file::describe;
use crate::{Error, Result};

/// Prefix of the variables.
const PREFIX: &str = "WEIR__";

/// The file with the environment over it.
///
/// # Errors
/// [`Error::Invalid`] that names the variable whose key or value does not fit.
pub fn apply(file: File, text: &str, path: &Path, environment: &[(String, String)]) -> Result<File> {
    let mut ours: Vec<&(String, String)> =
        environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    if ours.is_empty() {
        return Ok(file);
    }
    ours.sort();
    let mut table: Table = super::toml_file::parse(text, path)?;
    let mut file = file;
    for (name, value) in ours {
        let keys: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_ascii_lowercase).collect();
        // As TOML first; "8080" may have been meant as text, "a,b" can only be.
        let (as_toml, as_text) = (read(value), Value::String(value.clone()));
        let tried = as_toml.into_iter().chain([as_text]).map(|v| with(&table, &keys, v, name));
        let mut first_error = None;
        let mut taken = None;
        for candidate in tried {
            let candidate = candidate?;
            match candidate.clone().try_into::<File>() {
                Ok(read) => {
                    taken = Some((candidate, read));
                    break;
                }
                Err(error) => {
                    first_error.get_or_insert(Error::invalid(name.as_str(), describe(error.message())));
                }
            }
        }
        (table, file) = match (taken, first_error) {
            (Some(pair), _) => pair,
            (None, Some(error)) => return Err(error),
            (None, None) => return Err(Error::invalid(name.as_str(), "has no value")),
        };
    }
    Ok(file)
}

/// A value written as TOML, if it is one.
fn read(text: &str) -> Option<Value> {
    let table: Table = toml::from_str(&format!("v = {text}")).ok()?;
    if table.len() == 1 { table.into_iter().next().map(|(_, value)| value) } else { None }
}

/// A copy of the table with one value replaced.
fn with(table: &Table, keys: &[String], value: Value, name: &str) -> Result<Table> {
    let mut copy = table.clone();
    let Some((last, sections)) = keys.split_last() else { return Ok(copy) };
    let mut at = &mut copy;
    for section in sections {
        at = at
            .entry(section.clone())
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| Error::invalid(name, format!("`{section}` is not a section")))?;
    }
    at.insert(last.clone(), value);
    Ok(copy)
}
