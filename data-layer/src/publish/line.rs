//! A line of `CURRENT`: a base generation and the deltas on top of it, oldest first, as `BASE +DELTA +DELTA`.

use std::fmt;

/// Most deltas on one base: each costs a look-up for every key that any delta touches.
pub const MOST_DELTAS: usize = 8;

/// What is, or was, served of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Line {
    /// The whole generation.
    pub base: String,
    /// Deltas on top of it, oldest first.
    pub deltas: Vec<String>,
}

impl Line {
    /// A line without deltas.
    #[must_use]
    pub fn of(base: impl Into<String>) -> Self {
        Self { base: base.into(), deltas: Vec::new() }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// A sentence with what was expected and found.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let base = words.next().ok_or("expected `BASE +DELTA …`, found nothing")?.to_owned();
        let delta = |word: &str| match word.strip_prefix('+') {
            Some(name) if !name.is_empty() => Ok(name.to_owned()),
            _ => Err(format!("expected `BASE +DELTA …`, found {word:?}; publish a generation to mend it")),
        };
        Ok(Self { base, deltas: words.map(delta).collect::<Result<_, _>>()? })
    }

    /// This line with one more delta on top.
    #[must_use]
    pub fn with(&self, delta: &str) -> Self {
        let mut line = self.clone();
        line.deltas.push(delta.to_owned());
        line
    }

    /// What answers call it: the base's name, and `+` with the eight hex digits of the newest delta where there is one.
    #[must_use]
    pub fn name(&self) -> String {
        match self.deltas.last() {
            Some(newest) => {
                let sum = newest.rsplit('-').next().unwrap_or(newest);
                format!("{}+{sum}", self.base)
            }
            None => self.base.clone(),
        }
    }

    /// Every generation it names, the base first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.base).chain(&self.deltas).map(String::as_str)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)?;
        self.deltas.iter().try_for_each(|delta| write!(f, " +{delta}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let plain = Line::of("20261120T031500Z-1f3a9c04");
        assert_eq!((Line::parse(&plain.to_string()), plain.name()), (Ok(plain.clone()), plain.base.clone()));
        let two = plain.with("20261120T041500Z-aaaaaaaa").with("20261120T051500Z-88e07d12");
        assert_eq!(Line::parse(&two.to_string()), Ok(two.clone()));
        assert_eq!(two.name(), "20261120T031500Z-1f3a9c04+88e07d12");
        assert_eq!(two.names().count(), 3);
        assert_eq!(Line::parse("7"), Ok(Line::of("7")), "versions of models are lines too");
        assert!(
            Line::parse("a b").unwrap_err().contains("\"b\"")
                && Line::parse("a +").is_err()
                && Line::parse("").is_err()
        );
    }
}
