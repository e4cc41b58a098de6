//! Sizes as people write them: `64MiB`. Not for counts.

use serde::{Deserialize, Deserializer};

/// Reads a size: a whole number and one of `B`, `KiB`, `MiB`, `GiB`, such as `64MiB`.
///
/// # Errors
/// A sentence with what was found.
pub fn parse(text: &str) -> Result<usize, String> {
    let wrong = || format!("expected a size such as \"64MiB\" (B, KiB, MiB, GiB), found {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(wrong()),
    };
    let number: usize = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << unit).ok_or_else(wrong)
}

/// For a field of a section.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_others_refused() {
        assert_eq!(parse("64MiB"), Ok(64 << 20));
        assert_eq!((parse("0B"), parse("7KiB"), parse("2GiB")), (Ok(0), Ok(7 << 10), Ok(2 << 30)));
        for bad in
            ["", "64", "MiB", "64MB", "-1KiB", "1.5GiB", "99999999999999999999B", "18446744073709551615GiB"]
        {
            assert!(parse(bad).unwrap_err().contains("64MiB"), "{bad}");
        }
    }
}
