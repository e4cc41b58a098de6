//! Numbers of the moment that the caller sends in `context`: `context.NAME`. Not for text: give it a rule or a key.

use data_layer::types::Value;
use ndarray::ArrayViewMut1;

use super::{Feature, Kind, Scope};
use crate::{Candidates, Query, Result, Stores};

/// `context.NAME`: the number, 1 or 0 for a bool, 0 where it is absent or no number.
pub const KIND: Kind = Kind { name: "context", bind, names: |_| Vec::new() };

struct Moment(String);

fn bind(name: &str, _: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
    let name = name.strip_prefix("context.").filter(|name| !name.is_empty())?;
    Some(Ok(Box::new(Moment(name.to_owned()))))
}

impl Feature for Moment {
    fn fill(&self, query: &Query<'_>, _: &Stores<'_>, _: &Candidates, mut column: ArrayViewMut1<'_, f32>) {
        column.fill(match query.context.get(&self.0) {
            Some(Value::Bool(flag)) => f32::from(u8::from(*flag)),
            Some(Value::Int(number)) => *number as f32,
            Some(Value::Float(number)) => *number as f32,
            _ => 0.0,
        });
    }
}
