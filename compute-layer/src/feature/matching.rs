//! How well an item's attribute fits what the person did lately, has in the session, or looks at.
//!
//! From the items looked back at, each value gets its share: the part of them that have it. A candidate's feature is the mean share of
//! its own values, 0..=1; 0 where it has none.

use data_layer::types::{Ordinal, ValueType};
use ndarray::ArrayViewMut1;
use rustc_hash::{FxHashMap, FxHashSet};

use super::attribute::no_attribute;
use super::{Feature, Kind, Scope};
use crate::{Candidates, Error, Query, Result, Stores};
use data_layer::live::{Cell, FieldId, Items};

/// `match.NAME` (recent items with positive weight), `session.match.NAME`, `anchor.match.NAME`; bool, int, string or strings.
pub const KIND: Kind = Kind { name: "match", bind, names };

/// Names that hold free text; a match on them says nothing, so they are not proposed.
const TEXT: [&str; 4] = ["title", "name", "description", "group"];

#[derive(Debug, Clone, Copy)]
enum Back {
    Recent,
    Session,
    Anchors,
}

/// The longest prefix comes first.
const BACK: [(&str, Back); 3] =
    [("anchor.match.", Back::Anchors), ("session.match.", Back::Session), ("match.", Back::Recent)];

struct Match {
    back: Back,
    attribute: String,
}

fn bind(name: &str, scope: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
    let (attribute, back) =
        BACK.iter().find_map(|(prefix, back)| Some((name.strip_prefix(prefix)?, *back)))?;
    Some(match scope.schema.items.get(attribute) {
        None => Err(no_attribute(name, attribute, scope.schema)),
        Some(ValueType::Float | ValueType::Vector | ValueType::Geo) => Err(Error::invalid(
            format!("feature {name}"),
            "expected a bool, int, string or strings attribute: other types hardly ever match exactly",
        )),
        Some(_) => Ok(Box::new(Match { back, attribute: attribute.to_owned() })),
    })
}

fn names(scope: &Scope<'_>) -> Vec<String> {
    let text = |t: &ValueType| matches!(t, ValueType::String | ValueType::Strings);
    let of = scope.schema.items.iter().filter(|(name, t)| text(t) && !TEXT.contains(&name.as_str()));
    of.flat_map(|(name, _)| [format!("match.{name}"), format!("anchor.match.{name}")]).collect()
}

impl Back {
    /// The items looked back at, each once.
    fn items(self, query: &Query<'_>) -> Vec<Ordinal> {
        let mut seen = FxHashSet::default();
        let all: Vec<Ordinal> = match self {
            Self::Session => query.session.to_vec(),
            Self::Anchors => query.anchors.to_vec(),
            Self::Recent => {
                let liked = query.recent().iter().filter(|acted| query.weight(acted) > 0.0);
                query.session.iter().copied().chain(liked.map(|acted| acted.item)).collect()
            }
        };
        all.into_iter().filter(|item| seen.insert(*item)).collect()
    }
}

/// Calls `each` with every value of a cell, as a number that is the same for the same value of the field.
fn values(items: &dyn Items, field: FieldId, item: Ordinal, mut each: impl FnMut(i64)) {
    match items.cell(field, item) {
        Some(Cell::Bool(flag)) => each(i64::from(flag)),
        Some(Cell::Int(number)) => each(number),
        Some(Cell::String(code)) => each(i64::from(code)),
        Some(Cell::Strings(codes)) => codes.iter().for_each(|code| each(i64::from(*code))),
        _ => {}
    }
}

impl Feature for Match {
    fn fill(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        column: ArrayViewMut1<'_, f32>,
    ) {
        let back = self.back.items(query);
        let Some(field) = stores.items.field(&self.attribute).filter(|_| !back.is_empty()) else { return };
        let mut shares: FxHashMap<i64, f32> = FxHashMap::default();
        let one = 1.0 / back.len() as f32;
        for &item in &back {
            values(stores.items, field, item, |value| *shares.entry(value).or_insert(0.0) += one);
        }
        for (x, candidate) in column.into_iter().zip(candidates.list()) {
            let (mut sum, mut count) = (0.0, 0.0_f32);
            values(stores.items, field, candidate.item, |value| {
                sum += shares.get(&value).copied().unwrap_or(0.0);
                count += 1.0;
            });
            *x = (sum / count.max(1.0)).min(1.0);
        }
    }
}
