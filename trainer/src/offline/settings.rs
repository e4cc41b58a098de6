//! The `--set key=value` pairs of a method, checked against what the method knows.

use std::collections::BTreeMap;

use data_layer::types::time::parse_span;

use crate::{Error, Result};

/// Settings of one run of a method. Unknown keys are refused when it is made.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, String>,
}

impl Settings {
    /// Checks `key=value` pairs against a method's settings and fills in the defaults.
    ///
    /// # Errors
    /// A pair without `=`, or a key that the method does not know; the message lists those it does.
    pub fn read(pairs: &[String], known: &[(&str, &str, &str)]) -> Result<Self> {
        let mut values: BTreeMap<String, String> =
            known.iter().map(|(k, v, _)| ((*k).to_owned(), (*v).to_owned())).collect();
        for pair in pairs {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Error::Usage(format!("--set {pair}: expected key=value, such as half_life=7d"))
            })?;
            if !values.contains_key(key) {
                let names: Vec<&str> = known.iter().map(|(k, _, _)| *k).collect();
                return Err(Error::Usage(format!(
                    "--set {pair}: no such key; there are {}",
                    names.join(", ")
                )));
            }
            values.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self { values })
    }

    /// The text of a setting.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    /// A finite number.
    ///
    /// # Errors
    /// The text is none.
    pub fn number(&self, key: &str) -> Result<f64> {
        let text = self.text(key);
        crate::data::number(text).map_err(|e| Error::Usage(format!("--set {key}={text}: {e}")))
    }

    /// A span in milliseconds, above zero.
    ///
    /// # Errors
    /// The text is none.
    pub fn span(&self, key: &str) -> Result<i64> {
        let text = self.text(key);
        match parse_span(text) {
            Ok(span) if span > 0 => Ok(span),
            Ok(_) => Err(Error::Usage(format!("--set {key}={text}: expected a span above zero"))),
            Err(e) => Err(Error::Usage(format!("--set {key}={text}: {e}"))),
        }
    }

    /// All settings, defaults included.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<String, String> {
        &self.values
    }
}
