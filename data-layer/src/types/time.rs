//! Times are milliseconds since the Unix epoch; spans are milliseconds. Parsing and printing only, no clock but [`now`].

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch (UTC), or a span in milliseconds.
pub type Millis = i64;

/// One second.
pub const SECOND: Millis = 1_000;
/// One minute.
pub const MINUTE: Millis = 60 * SECOND;
/// One hour.
pub const HOUR: Millis = 60 * MINUTE;
/// One day of 24 hours.
pub const DAY: Millis = 24 * HOUR;

/// The wall clock. Called at the edges only (a request's arrival, an event's receipt), never in anything derived.
#[must_use]
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as Millis)
}

/// Reads an RFC 3339 time with an offset.
///
/// # Errors
/// A sentence with what was found.
pub fn parse_rfc3339(text: &str) -> Result<Millis, String> {
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|_| format!("expected a time in RFC 3339, such as 2026-11-20T03:15:00Z, found {text:?}"))
}

/// Prints a time in RFC 3339, in UTC, with milliseconds only where there are any.
#[must_use]
pub fn format_rfc3339(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |t| t.to_string())
}

/// Reads a span: a whole number and one of `ms`, `s`, `m`, `h`, `d`, `w`, such as `7d`.
///
/// # Errors
/// A sentence with what was found.
pub fn parse_span(text: &str) -> Result<Millis, String> {
    let wrong = || format!("expected a span such as 30s, 15m, 1h, 7d or 2w, found {text:?}");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let count: Millis = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return Err(wrong()),
    };
    count.checked_mul(unit).ok_or_else(wrong)
}

/// Serde for spans in configuration: a field written `#[serde(with = "span")]` reads `"7d"`.
pub mod span {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Reads a span string.
    ///
    /// # Errors
    /// As [`super::parse_span`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<super::Millis, D::Error> {
        super::parse_span(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }

    /// Writes a span in milliseconds.
    ///
    /// # Errors
    /// The serialiser's own.
    pub fn serialize<S: Serializer>(span: &super::Millis, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{span}ms"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_read_back() {
        assert_eq!(parse_span("7d"), Ok(7 * DAY));
        assert_eq!(parse_span("250ms"), Ok(250));
        for bad in ["", "7", "d", "-7d", "7 d", "7y", "99999999999999999d"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_rfc3339("1970-01-02T00:00:00.5Z"), Ok(DAY + 500));
        assert_eq!(parse_rfc3339(&format_rfc3339(1_770_000_000_123)), Ok(1_770_000_000_123));
        assert!(parse_rfc3339("yesterday").is_err());
    }
}
