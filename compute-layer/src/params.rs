//! Typed reading of one component's TOML table. What nobody asked for is refused, with a suggestion. Not for whole files.

use data_layer::config::toml_file::suggest;
use data_layer::types::Millis;
use data_layer::types::time::parse_span;
use toml::{Table, Value};

use crate::{Error, Result};

/// The keys of one component, taken one by one; [`Params::finish`] refuses what is left.
#[derive(Debug, Clone)]
pub struct Params {
    place: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Params {
    /// Reads from `table`; `place` (`recall.item_cf`) stands in front of every message.
    #[must_use]
    pub fn new(place: impl Into<String>, table: Table) -> Self {
        Self { place: place.into(), table, known: Vec::new() }
    }

    /// The component, as messages name it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Takes a key, untyped.
    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// When it is absent or of another type.
    pub fn string(&mut self, key: &'static str) -> Result<String> {
        self.string_or_none(key)?
            .ok_or_else(|| self.wrong(key, "this key is required and must be a string".to_owned()))
    }

    /// A string, if it is there.
    ///
    /// # Errors
    /// When it is of another type or empty.
    pub fn string_or_none(&mut self, key: &'static str) -> Result<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(other) => Err(self.expected(key, "a string that is not empty", &other)),
        }
    }

    /// A whole number within a range, or the default.
    ///
    /// # Errors
    /// When it is of another type or out of range.
    pub fn count_or(
        &mut self,
        key: &'static str,
        default: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> Result<usize> {
        match self.take(key) {
            None => Ok(default),
            Some(Value::Integer(i)) if usize::try_from(i).is_ok_and(|i| range.contains(&i)) => Ok(i as usize),
            Some(other) => {
                let wanted = format!("a whole number from {} to {}", range.start(), range.end());
                Err(self.expected(key, &wanted, &other))
            }
        }
    }

    /// A number within a range, or the default. Integers are numbers.
    ///
    /// # Errors
    /// When it is of another type or out of range.
    pub fn number_or(
        &mut self,
        key: &'static str,
        default: f64,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64> {
        let found = self.take(key);
        let number = match found {
            None => return Ok(default),
            Some(Value::Integer(i)) => i as f64,
            Some(Value::Float(f)) => f,
            Some(_) => f64::NAN,
        };
        if range.contains(&number) {
            return Ok(number);
        }
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        Err(self.expected(key, &wanted, &found.unwrap_or(Value::Boolean(false))))
    }

    /// `true` or `false`, or the default.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn flag_or(&mut self, key: &'static str, default: bool) -> Result<bool> {
        match self.take(key) {
            None => Ok(default),
            Some(Value::Boolean(flag)) => Ok(flag),
            Some(other) => Err(self.expected(key, "true or false", &other)),
        }
    }

    /// A span such as `7d`, or the default.
    ///
    /// # Errors
    /// When it is no span.
    pub fn span_or(&mut self, key: &'static str, default: Millis) -> Result<Millis> {
        match self.take(key) {
            None => Ok(default),
            Some(Value::String(text)) => parse_span(&text).map_err(|detail| self.wrong(key, detail)),
            Some(other) => Err(self.expected(key, "a span such as \"7d\"", &other)),
        }
    }

    /// One of a few words, or the default; the answer is the word's place in the list.
    ///
    /// # Errors
    /// When it is another word.
    pub fn choice_or(&mut self, key: &'static str, default: usize, words: &[&str]) -> Result<usize> {
        match self.take(key) {
            None => Ok(default),
            Some(Value::String(text)) => words.iter().position(|w| *w == text).ok_or_else(|| {
                self.wrong(
                    key,
                    format!("expected {}, found {text:?}{}", words.join(" | "), did_you_mean(&text, words)),
                )
            }),
            Some(other) => Err(self.expected(key, &words.join(" | "), &other)),
        }
    }

    /// Refuses what is left.
    ///
    /// # Errors
    /// Names the first key that nobody asked for, and the nearest that exists.
    pub fn finish(self) -> Result<()> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => Err(self.wrong(
                key,
                format!("unknown key{}; known: {}", did_you_mean(key, &self.known), self.known.join(", ")),
            )),
        }
    }

    /// An error at one key of this component.
    #[must_use]
    pub fn wrong(&self, key: &str, detail: String) -> Error {
        Error::invalid(format!("{}.{key}", self.place), detail)
    }

    fn expected(&self, key: &str, wanted: &str, found: &Value) -> Error {
        self.wrong(key, format!("expected {wanted}, found {found}"))
    }
}

/// `; did you mean "x"?`, or nothing where no word is near.
#[must_use]
pub fn did_you_mean(found: &str, words: &[&str]) -> String {
    suggest(found, words.iter().copied()).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        Params::new("recall.x", text.parse().unwrap())
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        let mut p = params("qouta = 3");
        assert_eq!(p.count_or("quota", 7, 1..=10).unwrap(), 7);
        let error = p.finish().unwrap_err().to_string();
        assert_eq!(error, "recall.x.qouta: unknown key; did you mean \"quota\"?; known: quota");
    }

    #[test]
    fn values_are_checked_where_they_are_read() {
        assert!(params("quota = 0").count_or("quota", 7, 1..=10).is_err());
        assert!(params("w = nan").number_or("w", 1.0, 0.0..=10.0).is_err());
        assert_eq!(params("w = 2").number_or("w", 1.0, 0.0..=10.0).unwrap(), 2.0);
        assert!(params("t = ''").string("t").is_err());
        assert!(params("").string("t").is_err());
        assert_eq!(params("s = '2h'").span_or("s", 0).unwrap(), 7_200_000);
        let error = params("from = 'resent'").choice_or("from", 0, &["recent", "items"]).unwrap_err();
        assert!(error.to_string().contains("did you mean \"recent\"?"), "{error}");
    }
}
