//! How the table commands show things to people: sizes, ages, counts, figures of the gate, and columns. Not for what programs read.

use std::fmt::Write as _;

use data_layer::publish::{Entry, Figures, What};
use data_layer::types::{Millis, time};

/// `1.20 GB`: powers of a thousand, as disks are sold and `ls --si` shows.
pub(super) fn size(bytes: u64) -> String {
    let mut rest = bytes as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if rest < 999.5 || unit == "TB" {
            return if unit == "B" { format!("{bytes} B") } else { format!("{} {unit}", three(rest)) };
        }
        rest /= 1_000.0;
    }
    format!("{bytes} B")
}

/// Three digits that count.
fn three(number: f64) -> String {
    let behind = if number < 9.995 {
        2
    } else if number < 99.95 {
        1
    } else {
        0
    };
    format!("{number:.behind$}")
}

/// `12 min ago`, `in 3 h`: the largest unit of which there are two, rounded down.
pub(super) fn age(at: Millis, now: Millis) -> String {
    let seconds = (now - at).unsigned_abs() / 1_000;
    let (count, unit) = match seconds {
        0..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    if at > now { format!("in {count} {unit}") } else { format!("{count} {unit} ago") }
}

/// `1,000,000`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time as people read it, in UTC, to the second.
pub(super) fn moment(at: Millis) -> String {
    time::format_rfc3339(at - at.rem_euclid(1_000))
}

/// What the gate found: `98.2 % of the keys, lists 1.02 times as long, scores moved by 0.07`.
pub(super) fn figures(found: &Figures) -> String {
    format!(
        "{} % of the keys, lists {} times as long, scores moved by {}",
        (found.coverage * 1e4).round() / 1e2,
        found.length,
        found.drift
    )
}

/// What happened, in one word or three.
pub(super) fn what(entry: &Entry) -> &'static str {
    match (entry.what, entry.forced) {
        (What::Build, _) => "built",
        (What::Pull, _) => "pulled",
        (What::Publish, false) => "published",
        (What::Publish, true) => "published with force",
        (What::Rollback, _) => "rolled back to",
        (What::Refuse, _) => "refused",
        (What::CutShort, _) => "cut short",
        (What::Found, _) => "found",
    }
}

/// Rows in columns; those of numbers to the right.
pub(super) fn columns(rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = width(column);
            let _ = match right.contains(&column) {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_ages_and_counts_read_well() {
        for (bytes, wanted) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (4_096, "4.10 kB"),
            (99_940, "99.9 kB"),
            (999_400, "999 kB"),
            (999_600, "1.00 MB"),
            (1_204_000_000, "1.20 GB"),
            (5_000_000_000_000_000, "5000 TB"),
        ] {
            assert_eq!(size(bytes), wanted);
        }
        let hour = 3_600_000;
        for (at, wanted) in [
            (0, "48 h ago"),
            (47 * hour, "60 min ago"),
            (48 * hour - 5_000, "5 s ago"),
            (51 * hour, "in 3 h"),
        ] {
            assert_eq!(age(at, 48 * hour - if at == 0 { 1 } else { 0 }), wanted.replace("48 h", "47 h"));
        }
        assert_eq!(age(0, 72 * hour), "3 days ago");
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(moment(1_770_000_000_999), "2026-02-02T02:40:00Z");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["a", "1", "x"], ["bbb", "20", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows, &[1]), "a     1  x\nbbb  20\n");
    }
}
