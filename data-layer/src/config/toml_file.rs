//! Reads a TOML file into a typed value, with errors that name file, line and column and suggest the nearest key.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Parses TOML text that came from `path`.
///
/// # Errors
/// [`Error::Invalid`] at `path:line:column`, with "did you mean …" for an unknown key where one is near.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    toml::from_str(text).map_err(|error| explain(&error, text, path))
}

/// Turns an error of the TOML parser into ours: place with line and column, one lower-case sentence, a suggestion.
#[must_use]
pub fn explain(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let place = match error.span() {
        Some(span) => {
            let (line, column) = line_and_column(text, span.start);
            format!("{}:{line}:{column}", path.display())
        }
        None => path.display().to_string(),
    };
    Error::invalid(place, describe(error.message()))
}

/// The parser's message in our words, with a suggestion for an unknown key or word.
#[must_use]
pub fn describe(message: &str) -> String {
    // serde words it "unknown field `a`, expected one of `b`, `c`", or variant; anything else passes through.
    let of = |what: &str| message.strip_prefix(&format!("unknown {what} `"))?.split_once('`');
    let (what, Some((name, rest))) = (match (of("field"), of("variant")) {
        (Some(field), _) => ("key", Some(field)),
        (None, variant) => ("value", variant),
    }) else {
        return message.trim().replace('\n', "; ");
    };
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    match suggest(name, known.iter().copied()) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`; expected one of {}", known.join(", ")),
    }
}

/// Line and column of a byte, both from 1; columns count characters.
#[must_use]
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}

/// The known name nearest to what was written, if it is near enough to be meant.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let long = name.chars().count();
    let near = (long / 3).clamp(1, 3);
    // The distance is at least the difference of the lengths: a name of megabytes, as a request may hold, costs nothing.
    let similar = known.into_iter().filter(|k| k.chars().count().abs_diff(long) <= near);
    let scored = similar.map(|k| (distance(name, k), k));
    scored.filter(|(d, _)| *d <= near).min().map(|(_, k)| k)
}

/// Edits (insert, delete, change, swap of neighbours) between two strings, ignoring ASCII case: optimal string alignment.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_ascii_lowercase().chars().collect();
    let b: Vec<char> = b.to_ascii_lowercase().chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_far_ones_are_not() {
        assert_eq!(suggest("lisen", ["listen", "workers"]), Some("listen"));
        assert_eq!(suggest("wokrers", ["listen", "workers"]), Some("workers"));
        assert_eq!(suggest("colour", ["listen", "workers"]), None);
        assert_eq!(suggest("Dir", ["dir", "keep"]), Some("dir"));
        assert_eq!(suggest(&"x".repeat(1 << 24), ["listen", "workers"]), None);
    }

    #[test]
    fn an_unknown_key_has_its_place() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Two {
            #[serde(rename = "listen")]
            _listen: i64,
        }
        let error = parse::<Two>("# é\n  lisen = 3\n", Path::new("x.toml")).unwrap_err().to_string();
        assert_eq!(error, "x.toml:2:3: unknown key `lisen`; did you mean `listen`?");
        let error = parse::<Two>("listen = \"a\"", Path::new("x.toml")).unwrap_err().to_string();
        assert!(error.starts_with("x.toml:1:10: "), "{error}");
    }
}
