//! Multiplies the score of every item that a rule picks. For soft wishes: what must not be shown at all is a filter's matter.

use compute_layer::{Candidates, Params, Query, Result, Stores};
use data_layer::rule::Rule;
use data_layer::types::Schema;

use super::{Kind, Strategy};

/// The kind, as a scene names it.
pub const KIND: Kind = Kind { name: "boost", make };

/// `score × factor` where the rule holds; unknown is not held.
#[derive(Debug)]
struct Boost {
    rule: Rule,
    factor: f32,
}

fn make(params: &mut Params, schema: &Schema) -> Result<Box<dyn Strategy>> {
    let rule = crate::filter::rule::parse(params, schema)?;
    let factor = params.number_or("factor", 1.0, 0.0..=1e6)? as f32;
    Ok(Box::new(Boost { rule, factor }))
}

impl Strategy for Boost {
    fn score(&self, query: &Query<'_>, stores: &Stores<'_>, candidates: &Candidates, scores: &mut [f32]) {
        let rule = self.rule.bind(stores.items, query.state, query.context, query.now_ms);
        for (candidate, score) in candidates.list().iter().zip(scores) {
            if rule.test(candidate.item) == Some(true) {
                // A boost of more than 1 lifts and one below sinks, whatever the sign of the score.
                *score = if *score < 0.0 && self.factor > 0.0 {
                    *score / self.factor
                } else {
                    *score * self.factor
                };
            }
        }
    }
}
