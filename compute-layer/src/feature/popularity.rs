//! How much is done with an item, by everybody: counts of the item's packed row.

use ndarray::ArrayViewMut1;

use super::{Feature, Kind, Scope};
use crate::{Candidates, Query, Result, Stores};
use data_layer::live::Row;

/// `item.popularity`, `item.liked`, `item.rate`, `item.recent_1d`, `item.recent_7d`, `item.trend`.
pub const KIND: Kind = Kind { name: "popularity", bind, names };

/// A rate starts as if there had been this many impressions …
const PRIOR_IMPRESSIONS: f32 = 50.0;
/// … with this share of interactions.
const PRIOR_RATE: f32 = 0.05;

/// A number from an item's row.
type Formula = fn(&Row, i64) -> f32;

const FORMULAS: [(&str, Formula); 6] = [
    ("item.popularity", |row, _| row.interactions().max(0.0).ln_1p()),
    ("item.liked", |row, _| row.positive().max(0.0).ln_1p()),
    ("item.rate", |row, _| rate(row.interactions(), row.impressions())),
    ("item.recent_1d", |row, now| row.count_within(1, now).max(0.0).ln_1p()),
    ("item.recent_7d", |row, now| row.count_within(7, now).max(0.0).ln_1p()),
    ("item.trend", |row, now| {
        (7.0 * row.count_within(1, now)).max(0.0).ln_1p() - row.count_within(7, now).max(0.0).ln_1p()
    }),
];

fn rate(interactions: f32, impressions: f32) -> f32 {
    let seen = impressions.max(0.0) + PRIOR_IMPRESSIONS;
    ((interactions.max(0.0) + PRIOR_RATE * PRIOR_IMPRESSIONS) / seen).min(1.0)
}

struct OfRow(Formula);

fn bind(name: &str, _: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
    let formula = FORMULAS.iter().find(|(known, _)| *known == name)?.1;
    Some(Ok(Box::new(OfRow(formula))))
}

fn names(_: &Scope<'_>) -> Vec<String> {
    FORMULAS.map(|(name, _)| name.to_owned()).to_vec()
}

impl Feature for OfRow {
    fn fill(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        column: ArrayViewMut1<'_, f32>,
    ) {
        for (x, candidate) in column.into_iter().zip(candidates.list()) {
            *x = (self.0)(stores.items.row(candidate.item), query.now_ms);
        }
    }
}
