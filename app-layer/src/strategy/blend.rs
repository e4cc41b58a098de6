//! Mixes what the sources said, by weight. Without a model it is the score; with one it can be added to the model's.

use compute_layer::{Candidates, Params, Query, Result, Stores};
use data_layer::types::Schema;
use rustc_hash::FxHashMap;

use super::{Kind, Strategy};

/// The kind, as a scene names it.
pub const KIND: Kind = Kind { name: "blend", make };

/// How scores of different sources are made comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Normalise {
    /// `60 / (59 + rank)`: reciprocal rank fusion (Cormack et al. 2009), 1 for the first.
    Rank,
    /// Score by the best score of the source's list, 1 for the best.
    Best,
    /// Scores as they are.
    None,
}

/// The words for [`Normalise`], in its order.
const NORMALISE: [&str; 3] = ["rank", "best", "none"];

/// `keep × score so far + Σ weight × normalised source score`.
#[derive(Debug)]
struct Blend {
    weights: FxHashMap<String, f32>,
    others: f32,
    keep: f32,
    normalise: Normalise,
}

fn make(params: &mut Params, _: &Schema) -> Result<Box<dyn Strategy>> {
    let mut weights = FxHashMap::default();
    match params.take("weights") {
        None => {}
        Some(toml::Value::Table(table)) => {
            for (name, value) in table {
                let number = value.as_float().or_else(|| value.as_integer().map(|i| i as f64));
                let Some(weight) = number.filter(|w| w.abs() <= 1e6) else {
                    return Err(
                        params.wrong("weights", format!("expected a number for {name:?}, found {value}"))
                    );
                };
                weights.insert(name, weight as f32);
            }
        }
        Some(other) => {
            let detail = format!("expected a table such as {{ item_cf = 1.0, hot = 0.3 }}, found {other}");
            return Err(params.wrong("weights", detail));
        }
    }
    let normalise = match params.choice_or("normalise", 0, &NORMALISE)? {
        0 => Normalise::Rank,
        1 => Normalise::Best,
        _ => Normalise::None,
    };
    let others = params.number_or("others", if weights.is_empty() { 1.0 } else { 0.0 }, -1e6..=1e6)? as f32;
    let keep = params.number_or("keep", 0.0, -1e6..=1e6)? as f32;
    Ok(Box::new(Blend { weights, others, keep, normalise }))
}

impl Strategy for Blend {
    fn score(&self, _: &Query<'_>, _: &Stores<'_>, candidates: &Candidates, scores: &mut [f32]) {
        let weight = |name: &String| self.weights.get(name).copied().unwrap_or(self.others);
        let weights: Vec<f32> = candidates.names().iter().map(weight).collect();
        for (row, score) in scores.iter_mut().enumerate() {
            let said = candidates.sources_of(row).map(|(source, score, rank)| {
                weights[source]
                    * match self.normalise {
                        Normalise::Rank => 60.0 / (59.0 + rank as f32),
                        Normalise::Best if candidates.best_of(source) > 0.0 => {
                            score / candidates.best_of(source)
                        }
                        Normalise::Best => 0.0,
                        Normalise::None => score,
                    }
            });
            *score = self.keep * *score + said.sum::<f32>();
        }
    }
}
