//! Typed access to the top-level fields of one event, each taken once; what is left over is counted. Messages name the field.

use serde_json::{Map, Value as Json};

use super::decode::noun;
use crate::types::{Id, Millis, time};

/// Longest label (kind, source, scene, session, request_id), in bytes.
pub const MOST_LABEL: usize = 256;
/// First moment that is taken as a time: year 1.
const FIRST: Millis = -62_135_596_800_000;
/// Last one: year 9999.
const LAST: Millis = 253_402_300_799_999;

type Read<T> = Result<Option<T>, String>;

/// Fields that have not been taken yet.
#[derive(Debug)]
pub struct Fields(Map<String, Json>);

impl Fields {
    /// All fields of an event.
    #[must_use]
    pub fn new(fields: Map<String, Json>) -> Self {
        Self(fields)
    }

    /// How many were not taken.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.len() as u64
    }

    /// Takes a field; null is as good as absent.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Takes fields that need no look.
    pub fn skip(&mut self, names: &[&str]) {
        for name in names {
            self.0.remove(*name);
        }
    }

    /// A string.
    pub fn text(&mut self, name: &str) -> Read<String> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name}: expected a string, found {}", noun(&other))),
        }
    }

    /// A short string without control characters.
    pub fn label(&mut self, name: &str) -> Read<String> {
        let text = self.text(name)?;
        if let Some(text) = &text {
            text_ok(text, MOST_LABEL)
                .map_err(|detail| format!("{name}: expected 1 to {MOST_LABEL} bytes, and {detail}"))?;
        }
        Ok(text)
    }

    /// An id.
    pub fn id(&mut self, name: &str) -> Read<Id> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::String(text)) => Id::new(&text).map(Some).map_err(|e| format!("{name}: {e}")),
            Some(Json::Number(n)) => Err(format!(
                "{name}: expected a string, found the number {n}; write \"{n}\" (numbers above 2^53 change silently \
                 in many JSON programs)"
            )),
            Some(other) => Err(format!("{name}: expected a string, found {}", noun(&other))),
        }
    }

    /// An id that must be there.
    pub fn required_id(&mut self, name: &str) -> Result<Id, String> {
        self.id(name)?.ok_or_else(|| format!("{name}: required; expected an id of 1 to 256 bytes"))
    }

    /// A bool.
    pub fn bool(&mut self, name: &str) -> Read<bool> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Bool(b)) => Ok(Some(b)),
            Some(other) => Err(format!("{name}: expected true or false, found {}", noun(&other))),
        }
    }

    /// A number.
    pub fn number(&mut self, name: &str) -> Read<f64> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Number(n)) => Ok(n.as_f64()),
            Some(other) => Err(format!("{name}: expected a number, found {}", noun(&other))),
        }
    }

    /// A whole number of at least 0.
    pub fn whole(&mut self, name: &str, most: u64) -> Read<u64> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = value.as_u64().filter(|n| *n <= most);
        found
            .map(Some)
            .ok_or_else(|| format!("{name}: expected a whole number from 0 on, found {}", noun(&value)))
    }

    /// A time: milliseconds or RFC 3339.
    pub fn time(&mut self, name: &str) -> Read<Millis> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = match &value {
            Json::String(text) => time::parse_rfc3339(text).map_err(|detail| format!("{name}: {detail}"))?,
            Json::Number(n) => {
                // Some clients write every number as a float.
                let whole = n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as Millis);
                n.as_i64().or(whole).ok_or_else(|| {
                    format!(
                        "{name}: expected whole milliseconds since 1970 or RFC 3339, found {}",
                        noun(&value)
                    )
                })?
            }
            other => {
                let found = noun(other);
                return Err(format!("{name}: expected milliseconds since 1970 or RFC 3339, found {found}"));
            }
        };
        in_time(name, found).map(Some)
    }

    /// An object; empty where absent.
    pub fn object(&mut self, name: &str) -> Result<Map<String, Json>, String> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Json::Object(map)) => Ok(map),
            Some(other) => Err(format!("{name}: expected an object, found {}", noun(&other))),
        }
    }
}

/// A time that is one: in the years 1 to 9999.
///
/// # Errors
/// A sentence that names the field.
pub fn in_time(name: &str, found: Millis) -> Result<Millis, String> {
    if (FIRST..=LAST).contains(&found) {
        return Ok(found);
    }
    Err(format!("{name}: expected a time in the years 1 to 9999, found {found}"))
}

/// Whether a text has 1 to `most` bytes and no control characters.
///
/// # Errors
/// The end of a sentence that says what it has.
pub fn text_ok(text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > most {
        return Err(format!("this one has {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("this one holds a control character".to_owned());
    }
    Ok(())
}
