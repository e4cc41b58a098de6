//! At most `at_most` items with one value of an attribute in any `within` places. For variety of authors, categories, tags.
//!
//! An item without the attribute is never held back; of a list attribute every value counts. With `strict = false` a place
//! that would stay empty is filled all the same.

use compute_layer::{Candidates, Params, Query, Result, Stores};
use data_layer::live::{Cell, FieldId, Items};
use data_layer::types::{Ordinal, Schema, ValueType};

use super::{Kind, Strategy, Verdict};
use crate::hint::did_you_mean;

/// The kind, as a scene names it.
pub const KIND: Kind = Kind { name: "window", make };

#[derive(Debug)]
struct Window {
    attribute: String,
    at_most: usize,
    within: usize,
    strict: bool,
}

fn make(params: &mut Params, schema: &Schema) -> Result<Box<dyn Strategy>> {
    let attribute = params.string("attribute")?;
    match schema.items.get(&attribute) {
        None => {
            let hint = did_you_mean(&attribute, schema.items.keys().map(String::as_str));
            return Err(params.wrong("attribute", format!("unknown item attribute {attribute:?}{hint}")));
        }
        Some(ValueType::Vector | ValueType::Geo | ValueType::Float) => {
            let detail = format!(
                "expected an attribute with values to count (string, strings, int, bool), found {attribute:?}"
            );
            return Err(params.wrong("attribute", detail));
        }
        Some(_) => {}
    }
    let at_most = params.count_or("at_most", 1, 1..=500)?;
    let within = params.count_or("within", 5, 2..=500)?;
    if at_most >= within {
        return Err(params.wrong("at_most", format!("expected less than within = {within}, found {at_most}")));
    }
    Ok(Box::new(Window { attribute, at_most, within, strict: params.flag_or("strict", true)? }))
}

impl Strategy for Window {
    fn judge(
        &self,
        _: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        placed: &[usize],
        next: usize,
    ) -> Verdict {
        let Some(field) = stores.items.field(&self.attribute) else { return Verdict::Fine };
        let list = candidates.list();
        let window = &placed[placed.len().saturating_sub(self.within - 1)..];
        if window.len() < self.at_most {
            return Verdict::Fine;
        }
        let full = |value: u64| {
            let same = |row: &&usize| values(stores.items, field, list[**row].item).any(|v| v == value);
            window.iter().filter(same).count() >= self.at_most
        };
        match values(stores.items, field, list[next].item).any(full) {
            false => Verdict::Fine,
            true if self.strict => Verdict::Never,
            true => Verdict::Last,
        }
    }
}

/// The values of one item as numbers that are equal where the values are.
fn values(items: &dyn Items, field: FieldId, item: Ordinal) -> impl Iterator<Item = u64> + '_ {
    let cell = items.cell(field, item);
    let (one, many): (Option<u64>, &[u32]) = match cell {
        Some(Cell::Bool(b)) => (Some(u64::from(b)), &[]),
        Some(Cell::Int(i)) => (Some(i.cast_unsigned()), &[]),
        Some(Cell::String(code)) => (Some(u64::from(code)), &[]),
        Some(Cell::Strings(codes)) => (None, codes),
        _ => (None, &[]),
    };
    one.into_iter().chain(many.iter().map(|code| u64::from(*code)))
}
