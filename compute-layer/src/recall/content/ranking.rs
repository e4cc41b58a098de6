//! One ranked list for everybody: popular, popular lately, trending, an editor's list. Not for lists made per person.

use crate::recall::{Kind, Outcome, Recall, list_spec};
use crate::{Deadline, Params, Query, Result, Stores};
use data_layer::access::ListSpec;
use data_layer::live::Scored;

/// `kind = "ranking"`: `table` (with `live`, `merge`, `live_weight`, `live_half_life`), `key` (default `all`).
pub const KIND: Kind = Kind { name: "ranking", make };

#[derive(Debug)]
struct Ranking {
    list: ListSpec,
    key: String,
}

fn make(params: &mut Params) -> Result<Box<dyn Recall>> {
    let key = params.string_or_none("key")?.unwrap_or_else(|| "all".to_owned());
    Ok(Box::new(Ranking { list: list_spec(params)?, key }))
}

impl Recall for Ranking {
    fn recall(
        &self,
        _: &Query<'_>,
        stores: &Stores<'_>,
        until: &Deadline<'_>,
        depth: usize,
        out: &mut Vec<Scored>,
    ) -> Result<Outcome> {
        if until.passed() {
            return Ok(Outcome::Late { read: 0, of: 1 });
        }
        stores.access.list(&self.list, &self.key, depth, out)?;
        Ok(Outcome::Whole)
    }

    fn lists(&self) -> Vec<&ListSpec> {
        vec![&self.list]
    }
}
