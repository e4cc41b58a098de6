//! At most `at_most` items with one value of an attribute in any `within` places. For variety of authors, categories, tags.
//!
//! An item without the attribute is never held back; of a list attribute every value counts. With `strict = false` a place
//! that would stay empty is filled all the same.

use compute_layer::{Candidates, Params, Query, Result, Stores};
use data_layer::live::{Cell, FieldId, Items};
use data_layer::types::{Ordinal, Schema, ValueType};

use super::{Judge, Kind, Strategy, Verdict};
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

/// The values of every candidate, looked up once.
#[derive(Debug)]
struct Values<'a> {
    window: &'a Window,
    values: Vec<u64>,
    /// Where the values of a row end; they begin where those of the row before end.
    ends: Vec<usize>,
}

impl Strategy for Window {
    fn judge<'a>(
        &'a self,
        _: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &'a Candidates,
    ) -> Option<Box<dyn Judge + 'a>> {
        let field = stores.items.field(&self.attribute)?;
        let (mut all, mut ends) = (Vec::new(), Vec::with_capacity(candidates.len()));
        for candidate in candidates.list() {
            all.extend(values(stores.items, field, candidate.item));
            ends.push(all.len());
        }
        Some(Box::new(Values { window: self, values: all, ends }))
    }
}

impl Values<'_> {
    fn of(&self, row: usize) -> &[u64] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.values[start..self.ends[row]]
    }
}

impl Judge for Values<'_> {
    fn verdict(&self, placed: &[usize], next: usize) -> Verdict {
        let Window { at_most, within, strict, .. } = self.window;
        let near = &placed[placed.len().saturating_sub(within - 1)..];
        if near.len() < *at_most {
            return Verdict::Fine;
        }
        let full = |value: &u64| near.iter().filter(|row| self.of(**row).contains(value)).count() >= *at_most;
        match self.of(next).iter().any(full) {
            false => Verdict::Fine,
            true if *strict => Verdict::Never,
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
