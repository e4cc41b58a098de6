//! How long ago: since an item was created, since anybody did anything with it. In `ln(1 + days)`, days clamped to ten years.

use data_layer::types::time::DAY;
use ndarray::ArrayViewMut1;

use super::{Feature, Kind, MOST_DAYS, Scope, log_days};
use crate::{Candidates, Query, Result, Stores};
use data_layer::live::Row;

/// `item.age`, `item.idle`. Unknown and never count as ten years.
pub const KIND: Kind = Kind { name: "recency", bind, names };

/// The day something happened, from an item's row.
type When = fn(&Row) -> Option<f32>;

const WHEN: [(&str, When); 2] =
    [("item.age", |row| row.created_days()), ("item.idle", |row| row.last_days())];

struct Since(When);

fn bind(name: &str, _: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
    let when = WHEN.iter().find(|(known, _)| *known == name)?.1;
    Some(Ok(Box::new(Since(when))))
}

fn names(_: &Scope<'_>) -> Vec<String> {
    WHEN.map(|(name, _)| name.to_owned()).to_vec()
}

impl Feature for Since {
    fn fill(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        column: ArrayViewMut1<'_, f32>,
    ) {
        let today = query.now_ms as f64 / DAY as f64;
        for (x, candidate) in column.into_iter().zip(candidates.list()) {
            let day = (self.0)(stores.items.row(candidate.item));
            *x = log_days(day.map_or(MOST_DAYS, |day| today - f64::from(day)));
        }
    }
}
