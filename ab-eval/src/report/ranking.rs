//! Figures of ranked lists, as text and as the JSON of the contract.

use serde_json::{Map, Value, json};

use super::text::{align, short};
use crate::inference::Estimate;
use crate::ranking::Figure;

/// Who was judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Users {
    /// Users with something relevant.
    pub judged: usize,
    /// Those of them without a list; they count as zero.
    pub unlisted: usize,
}

fn interval(e: &Estimate) -> Value {
    json!({ "value": e.value, "low": e.low, "high": e.high })
}

/// `{"users":n,"metrics":{"recall@20":{"value":…,"low":…,"high":…},…}}`; with a baseline each metric also holds
/// `"difference":{"value":…,"low":…,"high":…}`.
#[must_use]
pub fn as_json(users: Users, figures: &[Figure]) -> Value {
    let mut metrics = Map::new();
    for figure in figures {
        let mut entry = interval(&figure.estimate);
        if let (Some(difference), Value::Object(entry)) = (&figure.difference, &mut entry) {
            entry.insert("difference".to_owned(), interval(difference));
        }
        metrics.insert(figure.name.clone(), entry);
    }
    json!({ "users": users.judged, "metrics": metrics })
}

/// A table; a difference whose interval leaves out zero is marked.
#[must_use]
pub fn as_text(users: Users, figures: &[Figure]) -> String {
    let compared = figures.iter().any(|f| f.difference.is_some());
    let mut head = vec!["metric", "value", "95 % from", "to"];
    if compared {
        head.extend(["difference", "95 % from", "to", ""]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for figure in figures {
        let mut row = vec![figure.name.clone()];
        row.extend([figure.estimate.value, figure.estimate.low, figure.estimate.high].map(short));
        if let Some(d) = &figure.difference {
            row.extend([d.value, d.low, d.high].map(|x| format!("{x:+.4}")));
            row.push(if d.low > 0.0 || d.high < 0.0 { "*" } else { "" }.to_owned());
        }
        rows.push(row);
    }
    let mut text = format!("{} users with something relevant", users.judged);
    if users.unlisted > 0 {
        text.push_str(&format!(", {} of them without a list (counted as zero)", users.unlisted));
    }
    text.push('\n');
    text.push_str(&align(&rows));
    if compared {
        text.push_str("\n* the interval of the difference leaves out zero");
    }
    text
}
