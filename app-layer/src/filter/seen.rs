//! Leaves out what the person acted on: any action of positive weight within the window. Not for impressions, which are only seen.

use compute_layer::{Bitmask, Candidate, Params, Query, Result, Stores};
use data_layer::types::{Millis, Schema};

use super::{Filter, Kind};

/// The kind, as a scene names it.
pub const KIND: Kind = Kind { name: "seen", make };

/// Without a window: ever.
#[derive(Debug)]
struct Seen {
    window: Option<Millis>,
}

fn make(params: &mut Params, _: &Schema) -> Result<Box<dyn Filter>> {
    let window = params.span_or("window", Millis::MAX)?;
    if window <= 0 {
        return Err(params.wrong(
            "window",
            "expected a span above zero, such as \"7d\"; leave it out for ever".to_owned(),
        ));
    }
    Ok(Box::new(Seen { window: (window != Millis::MAX).then_some(window) }))
}

impl Filter for Seen {
    fn keep(&self, query: &Query<'_>, _: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask) {
        let Some(state) = query.state else { return };
        let since = self.window.map_or(Millis::MIN, |w| query.now_ms.saturating_sub(w));
        for (row, candidate) in candidates.iter().enumerate() {
            if state.has_met(candidate.item, since) {
                mask.clear(row);
            }
        }
    }
}
