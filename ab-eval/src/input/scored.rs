//! Scored rows: `label` (0 or 1) and `score`; `user`, `slate` and `weight` where there are.

use std::path::Path;

use super::{Names, Table};
use crate::error::Result;
use crate::metric::scored::Sample;

/// Reads scored rows.
///
/// # Errors
/// Missing columns; a label other than 0 and 1, a score that is not finite, a weight that is not positive, with the row; a
/// slate of two users; a file without rows.
pub fn read(path: &Path) -> Result<Sample> {
    let table = Table::open(path)?;
    let (labels, scores) = (table.numbers("label")?, table.numbers("score")?);
    if let Some(row) = labels.iter().position(|l| *l != 0.0 && *l != 1.0) {
        return Err(table.wrong(row, &format!("column \"label\": expected 0 or 1, found {}", labels[row])));
    }
    if labels.is_empty() {
        return Err(crate::Error::input(path, "expected scored rows, found none"));
    }
    let weights = if table.has("weight") { Some(table.numbers("weight")?) } else { None };
    if let Some((row, w)) = weights.iter().flatten().enumerate().find(|(_, w)| **w <= 0.0) {
        return Err(table.wrong(row, &format!("column \"weight\": expected a positive number, found {w}")));
    }
    let keys = |name: &str| -> Result<Option<Vec<u32>>> {
        let mut names = Names::default();
        let column = if table.has(name) { Some(table.text(name)?) } else { None };
        Ok(column.map(|c| c.iter().map(|key| names.number(key)).collect()))
    };
    let (users, slates) = (keys("user")?, keys("slate")?);
    if let (Some(users), Some(slates)) = (&users, &slates) {
        let mut owner = vec![None; slates.len()];
        for (row, (user, slate)) in users.iter().zip(slates).enumerate() {
            if *owner[*slate as usize].get_or_insert(*user) != *user {
                return Err(
                    table.wrong(row, "column \"slate\": expected a slate to be of one user, found two")
                );
            }
        }
    }
    let labels = labels.into_iter().map(|l| l == 1.0).collect();
    Ok(Sample::new(labels, scores, weights, users.as_deref(), slates.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_where() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scored.csv");
        for (text, part) in [
            ("label,score\n2,0.5\n", "line 2: column \"label\": expected 0 or 1, found 2"),
            ("label,score\n1,nan\n", "finite"),
            ("label,score,weight\n1,0.5,0\n", "positive"),
            ("label,score,user,slate\n1,0.5,a,s\n0,0.5,b,s\n", "line 3"),
            ("label\n1\n", "\"score\""),
            ("label,score\n", "found none"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
