//! Figures of scored rows, as text and JSON.

use serde_json::{Map, Value, json};

use super::text::{align, short};
use crate::ctr::ScoredFigure;
use crate::metric::scored::Sample;

/// `{"rows":n,"positives":n,"metrics":{"auc":{"value":…,"low":…,"high":…},…},"undefined":{"gauc":"needs a column …"}}`.
#[must_use]
pub fn as_json(sample: &Sample, figures: &[ScoredFigure]) -> Value {
    let (mut metrics, mut undefined) = (Map::new(), Map::new());
    for figure in figures {
        match &figure.estimate {
            Ok(e) => {
                let entry = json!({ "value": e.value, "low": e.low, "high": e.high });
                metrics.insert(figure.name.clone(), entry);
            }
            Err(why) => drop(undefined.insert(figure.name.clone(), Value::String(why.to_string()))),
        }
    }
    json!({
        "rows": sample.labels.len(), "positives": positives(sample), "metrics": metrics, "undefined": undefined,
    })
}

/// A table, and below it what is not defined and why.
#[must_use]
pub fn as_text(sample: &Sample, figures: &[ScoredFigure]) -> String {
    let mut rows = vec![["metric", "value", "95 % from", "to"].map(str::to_owned).to_vec()];
    let mut notes = Vec::new();
    for figure in figures {
        match &figure.estimate {
            Ok(e) => rows.push(vec![figure.name.clone(), short(e.value), short(e.low), short(e.high)]),
            Err(why) => notes.push(format!("\n{} is not defined here: {why}", figure.name)),
        }
    }
    let head = format!("{} rows, {} of label 1", sample.labels.len(), positives(sample));
    format!("{head}\n{}{}", align(&rows), notes.concat())
}

fn positives(sample: &Sample) -> usize {
    sample.labels.iter().filter(|l| **l).count()
}
