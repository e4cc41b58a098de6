//! Times as files write them: seconds, milliseconds, micro- or nanoseconds since the epoch, or text. The unit is told by size.

use data_layer::types::time::parse_rfc3339;

/// Times of one file, before their unit is known.
#[derive(Debug, Default)]
pub struct Times {
    raw: Vec<f64>,
    /// Whole numbers keep all their digits.
    whole: Vec<i64>,
    text: Option<bool>,
}

impl Times {
    /// Reads one cell: a number or RFC 3339, also with a space for the `T`, without offset (UTC), or a date alone.
    ///
    /// # Errors
    /// A sentence with what was found.
    pub fn push(&mut self, cell: &str) -> Result<(), String> {
        let cell = cell.trim();
        let text = *self.text.get_or_insert_with(|| cell.parse::<f64>().is_err());
        if text {
            let ms = read_text(cell)?;
            self.raw.push(ms as f64);
            self.whole.push(ms);
            return Ok(());
        }
        let wrong =
            || format!("expected a time (seconds or milliseconds since 1970, or RFC 3339), found {cell:?}");
        let number: f64 = cell.parse().map_err(|_| wrong())?;
        if !(0.0..=9e18).contains(&number) {
            return Err(wrong());
        }
        self.raw.push(number);
        self.whole.push(cell.parse().unwrap_or(number as i64));
        Ok(())
    }

    /// All times in milliseconds, and the name of the unit they were in.
    #[must_use]
    pub fn finish(self) -> (Vec<i64>, &'static str) {
        if self.raw.is_empty() || self.text == Some(true) {
            return (self.whole, "rfc3339");
        }
        let largest = self.raw.iter().fold(0.0_f64, |a, b| a.max(*b));
        match largest {
            x if x < 1e11 => (self.raw.iter().map(|s| (s * 1000.0).round() as i64).collect(), "s"),
            x if x < 1e14 => (self.whole, "ms"),
            x if x < 1e17 => (self.whole.iter().map(|t| t / 1_000).collect(), "us"),
            _ => (self.whole.iter().map(|t| t / 1_000_000).collect(), "ns"),
        }
    }
}

fn read_text(cell: &str) -> Result<i64, String> {
    if let Ok(ms) = parse_rfc3339(cell) {
        return Ok(ms);
    }
    let joined = cell.replacen(' ', "T", 1);
    let full = if joined.len() == 10 { format!("{joined}T00:00:00Z") } else { format!("{joined}Z") };
    parse_rfc3339(&full).map_err(|_| {
        format!("expected a time (seconds or milliseconds since 1970, or RFC 3339), found {cell:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: &[&str]) -> (Vec<i64>, &'static str) {
        let mut times = Times::default();
        cells.iter().for_each(|c| times.push(c).unwrap());
        times.finish()
    }

    #[test]
    fn the_unit_is_told_by_size() {
        assert_eq!(read(&["1362062307", "0"]), (vec![1_362_062_307_000, 0], "s"));
        assert_eq!(read(&["1362062307.5"]), (vec![1_362_062_307_500], "s"));
        assert_eq!(read(&["1362062307123"]), (vec![1_362_062_307_123], "ms"));
        assert_eq!(read(&["1362062307123456"]), (vec![1_362_062_307_123], "us"));
        assert_eq!(read(&["2013-02-28T14:38:27Z"]), (vec![1_362_062_307_000], "rfc3339"));
        assert_eq!(
            read(&["2013-02-28 14:38:27", "1970-01-02"]),
            (vec![1_362_062_307_000, 86_400_000], "rfc3339")
        );
        assert!(Times::default().push("yesterday").is_err());
        assert!(Times::default().push("-5").is_err());
    }
}
