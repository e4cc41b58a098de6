//! Splits DATA into what is learnt from and what is held out, without a leak: by time, by a hash of (user, item), or each
//! user's last row.

use std::collections::BTreeMap;
use std::path::Path;

use data_layer::types::time::{format_rfc3339, parse_rfc3339};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::data::{Data, write_json};
use crate::{Error, Result};

/// How to split.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum By {
    /// What happened at or after one moment is held out.
    Time(At),
    /// A share of (user, item) pairs is held out, drawn by hash: all rows of a pair on one side.
    Hash {
        /// Share of the pairs, 0 to 1.
        test: f64,
        /// Seed of the draw.
        seed: u64,
    },
    /// The last row of each user that has more than one. (The pair of that row leaves train altogether.)
    LeaveLast,
}

/// Where in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// After this share of the rows. Rows of the same moment all fall on the later side.
    Share(f64),
    /// At this time, in milliseconds.
    Moment(i64),
}

impl std::str::FromStr for At {
    type Err = String;
    /// A fraction such as `0.8`, milliseconds since 1970, or RFC 3339.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Ok(share) = text.parse::<f64>() {
            return match share {
                s if s > 0.0 && s < 1.0 => Ok(Self::Share(s)),
                s if (1000.0..9e18).contains(&s) => Ok(Self::Moment(s as i64)),
                _ => Err(format!(
                    "expected a fraction between 0 and 1, or milliseconds since 1970, found {text}"
                )),
            };
        }
        parse_rfc3339(text).map(Self::Moment)
    }
}

/// What a split did: `split.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// `time`, `hash` or `leave-last`.
    pub by: String,
    /// First moment of test, for a split by time.
    pub cut_ms: Option<i64>,
    /// The same, to read.
    pub cut: Option<String>,
    /// The latest moment that train knows. The live side is fed up to here in an evaluation.
    pub train_until_ms: i64,
    /// Rows in train.
    pub train: u64,
    /// Rows in test.
    pub test: u64,
    /// Users with rows in test.
    pub test_users: u64,
    /// Of those, users that train does not know.
    pub cold_users: u64,
}

/// Splits and writes `out/train`, `out/test` and `out/split.json`.
///
/// # Errors
/// One side would be empty, or the folder cannot be written.
pub fn run(data: &Data, by: By, out: &Path) -> Result<Report> {
    let (held_out, cut_ms) = decide(data, by)?;
    let side = |test: bool| data.interactions.pick((0..held_out.len()).filter(|r| held_out[*r] == test));
    let (train, test) = (side(false), side(true));
    if train.is_empty() || test.is_empty() {
        return Err(Error::Usage(format!(
            "this split leaves {} rows for train and {} for test; choose another --at or --test",
            train.len(),
            test.len()
        )));
    }
    let report = Report {
        by: match by {
            By::Time(_) => "time",
            By::Hash { .. } => "hash",
            By::LeaveLast => "leave-last",
        }
        .into(),
        cut_ms,
        cut: cut_ms.map(format_rfc3339),
        train_until_ms: train.time.last().copied().unwrap_or(0),
        train: train.len() as u64,
        test: test.len() as u64,
        test_users: test.users.len() as u64,
        cold_users: test.users.iter().filter(|u| train.users.code(u).is_none()).count() as u64,
    };
    for (name, rows) in [("train", train), ("test", test)] {
        let mut part = Data { interactions: rows, ..data.clone() };
        part.report.given_split = vec!["train".into(), "test".into()];
        part.write(&out.join(name))?;
    }
    write_json(&out.join("split.json"), &report)?;
    Ok(report)
}

/// For each row whether it is held out, and the cut where there is one.
fn decide(data: &Data, by: By) -> Result<(Vec<bool>, Option<i64>)> {
    let rows = &data.interactions;
    Ok(match by {
        By::Time(at) => {
            let cut = cut(&rows.time, at)?;
            (rows.time.iter().map(|t| *t >= cut).collect(), Some(cut))
        }
        By::Hash { test, seed } => {
            let out = |r: usize| {
                let pair =
                    format!("{}\u{1f}{}", rows.users.text(rows.user[r]), rows.items.text(rows.item[r]));
                let draw = (xxh3_64_with_seed(pair.as_bytes(), seed) >> 11) as f64 / (1_u64 << 53) as f64;
                draw < test
            };
            ((0..rows.len()).map(out).collect(), None)
        }
        By::LeaveLast => {
            let mut last: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
            for (r, user) in rows.user.iter().enumerate() {
                let seen = last.entry(*user).or_insert((r, 0));
                *seen = (r, seen.1 + 1);
            }
            let leaves = |r: usize| {
                let (at, count) = last[&rows.user[r]];
                count > 1 && rows.item[at] == rows.item[r]
            };
            ((0..rows.len()).map(leaves).collect(), None)
        }
    })
}

/// The first moment of the later side.
///
/// # Errors
/// There are no rows.
pub fn cut(times: &[i64], at: At) -> Result<i64> {
    match at {
        At::Moment(t) => Ok(t),
        At::Share(share) => times
            .get(((times.len() as f64 * share).floor() as usize).min(times.len().saturating_sub(1)))
            .copied()
            .ok_or_else(|| Error::Usage("there are no interactions to split".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Interactions, Report as About, Sheet};

    fn data(rows: &[(&str, &str, i64)]) -> Data {
        let mut interactions = Interactions::default();
        rows.iter().for_each(|(u, i, t)| interactions.push(u, i, "click", 1.0, *t));
        Data { interactions, items: Sheet::default(), users: Sheet::default(), report: About::default() }
    }

    #[test]
    fn equal_times_stay_together_and_test_is_later() {
        let rows: Vec<(String, String, i64)> =
            (0..20).map(|n| (format!("u{}", n % 3), format!("i{n}"), i64::from(n / 4))).collect();
        let rows: Vec<(&str, &str, i64)> =
            rows.iter().map(|(u, i, t)| (u.as_str(), i.as_str(), *t)).collect();
        let dir = tempfile::tempdir().unwrap();
        let report = run(&data(&rows), By::Time(At::Share(0.7)), dir.path()).unwrap();
        let (train, test) =
            (Data::open(&dir.path().join("train")).unwrap(), Data::open(&dir.path().join("test")).unwrap());
        assert_eq!(report.cut_ms, Some(3));
        assert!(train.interactions.time.iter().max() < test.interactions.time.iter().min());
        assert_eq!(report.train + report.test, 20);
    }

    #[test]
    fn a_pair_is_on_one_side_only() {
        let rows = [("u", "a", 0), ("u", "b", 1), ("u", "a", 2), ("v", "a", 3), ("w", "c", 4), ("w", "d", 5)];
        for by in [By::LeaveLast, By::Hash { test: 0.5, seed: 3 }] {
            let (held_out, _) = decide(&data(&rows), by).unwrap();
            assert_eq!(held_out[0], held_out[2]);
            assert!(held_out.contains(&true) && held_out.contains(&false));
        }
        assert_eq!(decide(&data(&rows), By::LeaveLast).unwrap().0, [true, false, true, false, false, true]);
    }
}
