//! Numeric attributes of the item as they are: `item.NAME`, and `item.NAME.known` to tell 0 from unknown.

use data_layer::types::{Schema, ValueType};
use ndarray::ArrayViewMut1;

use super::{Feature, Kind, Scope};
use crate::params::did_you_mean;
use crate::{Candidates, Error, Query, Result, Stores};
use data_layer::live::Cell;

/// `item.NAME` (bool, int or float) and `item.NAME.known` (any type).
pub const KIND: Kind = Kind { name: "attribute", bind, names };

/// Attributes that act by themselves and say nothing as numbers.
const RESERVED: [&str; 5] = ["available_from", "available_until", "hidden", "created", "group"];

struct Number(String);

struct Known(String);

fn bind(name: &str, scope: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
    let attribute = name.strip_prefix("item.")?;
    if let Some(found) = scope.schema.items.get(attribute) {
        return Some(match found {
            ValueType::Bool | ValueType::Int | ValueType::Float => Ok(Box::new(Number(attribute.to_owned()))),
            other => Err(Error::invalid(
                format!("feature {name}"),
                format!(
                    "expected a bool, int or float attribute, found {other}; match.{attribute} compares such values"
                ),
            )),
        });
    }
    let known = attribute.strip_suffix(".known").filter(|a| scope.schema.items.contains_key(*a));
    Some(match known {
        Some(attribute) => Ok(Box::new(Known(attribute.to_owned()))),
        None => Err(no_attribute(name, attribute, scope.schema)),
    })
}

/// The error for an attribute that the schema does not have.
pub(super) fn no_attribute(name: &str, attribute: &str, schema: &Schema) -> Error {
    let words: Vec<&str> = schema.items.keys().map(String::as_str).collect();
    let near = did_you_mean(attribute, &words);
    Error::invalid(format!("feature {name}"), format!("no item attribute {attribute:?} in the schema{near}"))
}

fn names(scope: &Scope<'_>) -> Vec<String> {
    let numeric = |t: &ValueType| matches!(t, ValueType::Bool | ValueType::Int | ValueType::Float);
    let of = scope.schema.items.iter().filter(|(name, t)| numeric(t) && !RESERVED.contains(&name.as_str()));
    of.flat_map(|(name, _)| [format!("item.{name}"), format!("item.{name}.known")]).collect()
}

impl Feature for Number {
    fn fill(
        &self,
        _: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        column: ArrayViewMut1<'_, f32>,
    ) {
        let Some(field) = stores.items.field(&self.0) else { return };
        for (x, candidate) in column.into_iter().zip(candidates.list()) {
            *x = match stores.items.cell(field, candidate.item) {
                Some(Cell::Bool(flag)) => f32::from(u8::from(flag)),
                Some(Cell::Int(number)) => number as f32,
                Some(Cell::Float(number)) => number as f32,
                _ => 0.0,
            };
        }
    }
}

impl Feature for Known {
    fn fill(
        &self,
        _: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        column: ArrayViewMut1<'_, f32>,
    ) {
        let Some(field) = stores.items.field(&self.0) else { return };
        for (x, candidate) in column.into_iter().zip(candidates.list()) {
            *x = f32::from(u8::from(stores.items.cell(field, candidate.item).is_some()));
        }
    }
}
