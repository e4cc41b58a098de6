//! Leaves out what a rule over attributes does not let pass. An absent attribute is unknown, and unknown does not pass.

use compute_layer::{Bitmask, Candidate, Params, Query, Result, Stores};
use data_layer::rule::Rule;
use data_layer::types::Schema;

use super::{Filter, Kind};

/// The kind, as a scene names it.
pub const KIND: Kind = Kind { name: "rule", make };

/// A filter by one rule; requests bring theirs, too.
#[derive(Debug)]
pub struct Passes(pub Rule);

fn make(params: &mut Params, schema: &Schema) -> Result<Box<dyn Filter>> {
    Ok(Box::new(Passes(parse(params, schema)?)))
}

/// Takes the key `rule` and checks it against the schema.
///
/// # Errors
/// What is wrong with the rule, where in it, and a suggestion.
pub fn parse(params: &mut Params, schema: &Schema) -> Result<Rule> {
    let text = params.string("rule")?;
    Rule::parse(&text, schema).map_err(|e| params.wrong("rule", e.to_string()))
}

impl Filter for Passes {
    fn keep(&self, query: &Query<'_>, stores: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask) {
        let rule = self.0.bind(stores.items, query.state, query.context, query.now_ms);
        for (row, candidate) in candidates.iter().enumerate() {
            if mask.get(row) && rule.test(candidate.item) != Some(true) {
                mask.clear(row);
            }
        }
    }
}
