//! The gate: how far a generation may be from the one before it. Not for what is never published (a corrupt file, an empty table,
//! another table's): no gate and no force lets that through.
//!
//! Both tables are sampled in the same way, evenly over their lists, so that the same two files always give the same figures
//! whatever format they are in.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::keylist::{List, Table};

/// Most lists of a table that are looked at.
const LISTS: u64 = 10_000;
/// About how many scores of a table are looked at.
const SCORES: u64 = 1_000_000;
/// Fewer scores than this have no quartiles worth comparing.
const FEW: usize = 100;

/// What a generation must pass to be published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    /// It is sound; it is not compared with anything.
    Sound,
    /// It is sound, and within these limits of the generation before.
    Within(Limits),
    /// It is sound. It is compared all the same, so that the journal tells what was overridden.
    Forced(Limits),
}

impl Default for Gate {
    fn default() -> Self {
        Self::Within(Limits::default())
    }
}

/// How far a generation may be from the one before. The defaults let growth and renewal through, and stop half a table, another
/// unit of scores and lists that are cut short.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Least share of the keys of the one before that the new one has: 0 to 1, 0.5 by default.
    pub least_coverage: f64,
    /// Least mean length of its lists, as a multiple of that before: 0 to 1, 0.5 by default.
    pub least_length: f64,
    /// Greatest mean length of its lists, as a multiple of that before: 1 or more, 2 by default; `inf` for no limit.
    pub most_length: f64,
    /// How far a quartile of its scores may move, in interquartile ranges of the one before: 0 or more, 3 by default; `inf` for no
    /// limit.
    pub most_drift: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { least_coverage: 0.5, least_length: 0.5, most_length: 2.0, most_drift: 3.0 }
    }
}

impl Limits {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The field, and a sentence with what was expected and found.
    pub fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        let fields = [
            ("least_coverage", self.least_coverage, 0.0, 1.0),
            ("least_length", self.least_length, 0.0, 1.0),
            ("most_length", self.most_length, 1.0, f64::INFINITY),
            ("most_drift", self.most_drift, 0.0, f64::INFINITY),
        ];
        match fields.into_iter().find(|(_, found, least, most)| !(least..=most).contains(&found)) {
            Some((name, found, least, most)) => {
                Err((name, format!("expected a number from {least} to {most}, found {found}")))
            }
            None => Ok(()),
        }
    }

    /// What these limits say against the figures; empty where they are kept.
    #[must_use]
    pub fn refusals(&self, figures: &Figures) -> Vec<String> {
        let Figures { coverage, length, drift, keys, .. } = *figures;
        let mut said = Vec::new();
        if coverage < self.least_coverage {
            let least = self.least_coverage;
            said.push(format!(
                "it has {coverage} of {keys} sampled keys of the one before, expected at least {least} (least_coverage)"
            ));
        }
        let (least, most) = (self.least_length, self.most_length);
        if length < least {
            said.push(format!(
                "its lists are {length} times as long, expected at least {least} (least_length)"
            ));
        } else if length > most {
            said.push(format!("its lists are {length} times as long, expected at most {most} (most_length)"));
        }
        if drift > self.most_drift {
            let most = self.most_drift;
            said.push(format!(
                "a quartile of its scores moved by {drift} interquartile ranges, expected at most {most} (most_drift)"
            ));
        }
        said
    }
}

/// How a generation compares with the one before; rounded to four digits behind the point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The generation before.
    pub before: String,
    /// Share of its sampled keys that the new one has.
    pub coverage: f64,
    /// Mean length of the new lists ÷ mean length of the old ones.
    pub length: f64,
    /// The greatest distance between the quartiles of the old and the new scores ÷ the old interquartile range; 0 where either table
    /// has fewer than 100 scores.
    pub drift: f64,
    /// How many keys were sampled.
    pub keys: u64,
}

/// Compares a table with the one before it.
///
/// # Errors
/// A corrupt record of either.
pub fn compare(old: &Table, new: &Table) -> Result<Figures> {
    let (mut keys, mut known) = (0u64, 0u64);
    let mut old_scores = Vec::new();
    for found in sample(old) {
        let (key, list) = found?;
        keys += 1;
        known += u64::from(new.get(&key.to_string())?.is_some());
        scores(&list, old, &mut old_scores);
    }
    let mut new_scores = Vec::new();
    for found in sample(new) {
        scores(&found?.1, new, &mut new_scores);
    }
    let coverage = if keys == 0 { 1.0 } else { known as f64 / keys as f64 };
    let drift = match (quartiles(old_scores), quartiles(new_scores)) {
        (Some(old), Some(new)) => drift(old, new),
        _ => 0.0,
    };
    let length = match mean_length(old) {
        0.0 => 1.0,
        before => mean_length(new) / before,
    };
    let before = old.header().generation();
    Ok(Figures { before, coverage: round(coverage), length: round(length), drift: round(drift), keys })
}

/// Every n-th list, so that there are at most [`LISTS`].
fn sample(table: &Table) -> impl Iterator<Item = Result<(crate::keylist::Key<'_>, List<'_>)>> {
    let step = table.header().lists.div_ceil(LISTS).max(1);
    table.iter().step_by(usize::try_from(step).unwrap_or(usize::MAX))
}

/// Scores of a list, evenly over its places: as many as leaves [`SCORES`] for the whole sample.
fn scores(list: &List<'_>, table: &Table, out: &mut Vec<f32>) {
    let share = SCORES / table.header().lists.clamp(1, LISTS);
    let step = (list.len() as u64).div_ceil(share).max(1);
    out.extend(list.iter().step_by(usize::try_from(step).unwrap_or(usize::MAX)).map(|(_, score)| score));
}

fn mean_length(table: &Table) -> f64 {
    table.header().entries as f64 / table.header().lists.max(1) as f64
}

fn quartiles(mut scores: Vec<f32>) -> Option<[f64; 3]> {
    scores.sort_unstable_by(f32::total_cmp);
    let last = scores.len().checked_sub(1).filter(|last| *last + 1 >= FEW)?;
    Some([1, 2, 3].map(|quarter| f64::from(scores[last * quarter / 4])))
}

/// Where the old scores are all alike there is no range: then the unit is their size, and where that is 0, one.
fn drift(old: [f64; 3], new: [f64; 3]) -> f64 {
    let moved = old.iter().zip(new).map(|(old, new)| (new - old).abs()).fold(0.0, f64::max);
    let units = [old[2] - old[0], old[1].abs()];
    moved / units.into_iter().find(|unit| *unit > 0.0).unwrap_or(1.0)
}

fn round(figure: f64) -> f64 {
    let rounded = (figure * 1e4).round() / 1e4;
    if rounded.is_finite() { rounded } else { figure.clamp(f64::MIN, f64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keylist::{TableSpec, Verify, Writer};

    /// A table of `keys` lists of `places` items, with scores from 1 down to near 0, times `factor`.
    fn table(root: &std::path::Path, keys: std::ops::Range<u32>, places: u32, factor: f32) -> Table {
        let mut writer = Writer::new(TableSpec::new("t", i64::from(keys.start))).unwrap();
        for key in keys {
            let list: Vec<(String, f32)> =
                (0..places).map(|p| (format!("i{p}"), factor * (1.0 - p as f32 / places as f32))).collect();
            let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
            writer.push(format!("k{key:06}").as_str(), &list).unwrap();
        }
        Table::open(writer.finish(root).unwrap().path, Verify::Open).unwrap()
    }

    #[test]
    fn figures_are_what_was_changed() {
        let root = tempfile::tempdir().unwrap();
        let old = table(root.path(), 0..400, 20, 1.0);
        let same = compare(&old, &table(root.path(), 0..400, 20, 1.0)).unwrap();
        assert_eq!((same.coverage, same.length, same.drift, same.keys), (1.0, 1.0, 0.0, 400));
        assert!(Limits::default().refusals(&same).is_empty());
        let other = compare(&old, &table(root.path(), 300..500, 5, 1.0)).unwrap();
        assert_eq!((other.coverage, other.length), (0.25, 0.25));
        let said = Limits::default().refusals(&other).join("; ");
        assert!(said.contains("0.25 of 400") && said.contains("least_length"), "{said}");
        let long = compare(&old, &table(root.path(), 0..400, 50, 1.0)).unwrap();
        assert_eq!(long.length, 2.5);
        assert!(Limits::default().refusals(&long)[0].contains("most_length"));
        let louder = compare(&old, &table(root.path(), 0..400, 20, 100.0)).unwrap();
        assert!(louder.drift > 100.0, "{louder:?}");
        assert!(Limits::default().refusals(&louder)[0].contains("most_drift"));
        // Twice as much is growth.
        let grown = compare(&old, &table(root.path(), 0..800, 20, 2.0)).unwrap();
        assert!(Limits::default().refusals(&grown).is_empty(), "{grown:?}");
    }

    #[test]
    fn large_tables_are_sampled_and_equal_scores_have_a_unit() {
        let root = tempfile::tempdir().unwrap();
        let old = table(root.path(), 0..25_000, 1, 1.0);
        let half = compare(&old, &table(root.path(), 12_500..25_000, 1, 1.0)).unwrap();
        assert!(half.keys <= LISTS && half.keys > LISTS / 2, "{half:?}");
        assert!((half.coverage - 0.5).abs() < 0.02, "{half:?}");
        // All scores are 1, then 3: two of the old size.
        assert_eq!(compare(&old, &table(root.path(), 0..100, 1, 3.0)).unwrap().drift, 2.0);
        assert_eq!(drift([0.0; 3], [0.5; 3]), 0.5);
    }

    #[test]
    fn limits_have_ranges() {
        assert_eq!(Limits::default().check(), Ok(()));
        assert_eq!(Limits { most_drift: f64::INFINITY, ..Limits::default() }.check(), Ok(()));
        let said = Limits { least_coverage: 1.5, ..Limits::default() }.check().unwrap_err();
        assert_eq!(said, ("least_coverage", "expected a number from 0 to 1, found 1.5".to_owned()));
        assert!(Limits { most_length: f64::NAN, ..Limits::default() }.check().is_err());
    }
}
