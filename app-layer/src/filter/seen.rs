//! Leaves out what the person acted on with positive weight, and what the client says they saw, within the window. What was only
//! served is not seen.

use compute_layer::{Bitmask, Candidate, Params, Query, Result, Stores};
use data_layer::types::{Millis, Schema};

use super::{Filter, Kind};

/// The kind, as a scene names it.
pub const KIND: Kind = Kind { name: "seen", make };

/// Most impressions that can be asked for.
const MOST_IMPRESSIONS: usize = 1000;

/// Without a window: ever.
#[derive(Debug)]
struct Seen {
    window: Option<Millis>,
    /// So many impressions of an item count as seen; `None`: impressions don't count.
    impressions: Option<u32>,
}

fn make(params: &mut Params, _: &Schema) -> Result<Box<dyn Filter>> {
    let window = params.span_or("window", Millis::MAX)?;
    if window <= 0 {
        return Err(params.wrong(
            "window",
            "expected a span above zero, such as \"7d\"; leave it out for ever".to_owned(),
        ));
    }
    let impressions = params.count_or("impressions", 1, 0..=MOST_IMPRESSIONS)?;
    Ok(Box::new(Seen {
        window: (window != Millis::MAX).then_some(window),
        impressions: u32::try_from(impressions).ok().filter(|n| *n > 0),
    }))
}

impl Filter for Seen {
    fn keep(&self, query: &Query<'_>, stores: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask) {
        let Some(state) = query.state else { return };
        let since = self.window.map_or(Millis::MIN, |w| query.now_ms.saturating_sub(w));
        for (row, candidate) in candidates.iter().enumerate() {
            let tie = stores.items.tie(candidate.item);
            let saw = self.impressions.is_some_and(|n| state.has_seen(candidate.item, tie, since, n));
            if saw || state.has_met(candidate.item, tie, since) {
                mask.clear(row);
            }
        }
    }
}
