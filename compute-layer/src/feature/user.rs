//! What kind of user asks. The same for all candidates of a request: it sets the level of a model, and its meaning beside others, not
//! an order of its own.

use data_layer::types::time::DAY;
use ndarray::ArrayViewMut1;

use super::{Feature, Kind, MOST_DAYS, Scope, log_days};
use crate::{Candidates, Query, Result, Stores};

/// `user.activity`, `user.recent_7d`, `user.idle`, `user.session`.
pub const KIND: Kind = Kind { name: "user", bind, names };

/// A number from the query alone.
type Formula = fn(&Query<'_>) -> f32;

const FORMULAS: [(&str, Formula); 4] = [
    ("user.activity", |query| (query.recent().len() as f32).ln_1p()),
    ("user.recent_7d", |query| {
        let since = query.now_ms.saturating_sub(7 * DAY);
        (query.recent().iter().filter(|acted| acted.time > since).count() as f32).ln_1p()
    }),
    ("user.idle", |query| {
        let newest = query.recent().iter().map(|acted| acted.time).max();
        log_days(newest.map_or(MOST_DAYS, |at| query.now_ms.saturating_sub(at) as f64 / DAY as f64))
    }),
    ("user.session", |query| (query.session.len() as f32).ln_1p()),
];

struct OfQuery(Formula);

fn bind(name: &str, _: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
    let formula = FORMULAS.iter().find(|(known, _)| *known == name)?.1;
    Some(Ok(Box::new(OfQuery(formula))))
}

fn names(_: &Scope<'_>) -> Vec<String> {
    FORMULAS.map(|(name, _)| name.to_owned()).to_vec()
}

impl Feature for OfQuery {
    fn fill(&self, query: &Query<'_>, _: &Stores<'_>, _: &Candidates, mut column: ArrayViewMut1<'_, f32>) {
        column.fill((self.0)(query));
    }
}
