//! The recall stage as a request drives it: which sources run, with how much of the time. The sources are the compute layer's.

use compute_layer::{Candidates, Deadline, Query, RecallPlan, Stores, compute};
use data_layer::types::Degraded;

use crate::Result;
use crate::ask::Named;
use crate::filter;
use crate::scene::Work;
use crate::trip::{Recalled, Trip};

/// Share of the time left that recall may take.
const SHARE: f64 = 0.6;

/// Runs the sources of the path that this person gets, or takes the candidates that the request gave.
///
/// # Errors
/// Never for what is late or missing; see `degraded`.
pub fn run(
    work: &Work,
    named: &Named,
    query: &Query<'_>,
    stores: &Stores<'_>,
    until: &Deadline<'_>,
    trip: &mut Trip,
) -> Result<Candidates> {
    let plans = if named.personal { &work.recalls } else { &work.impersonal };
    let (candidates, late) = found(plans, named, query, stores, &until.share(SHARE))?;
    trip.degraded.extend(late);
    if trip.whole {
        note(&candidates, trip);
    }
    trip.done("recall", candidates.len());
    Ok(candidates)
}

/// Where the page would not be full: all sources again, those of the fallback chain as deep as can be.
///
/// # Errors
/// As [`run`].
#[allow(clippy::too_many_arguments, reason = "one stage of the flow, called from one place")]
pub fn fall_back(
    work: &Work,
    named: &Named,
    filters: &filter::Ordered<'_>,
    query: &Query<'_>,
    stores: &Stores<'_>,
    until: &Deadline<'_>,
    candidates: &mut Candidates,
    trip: &mut Trip,
) -> Result<()> {
    let enough = candidates.len() >= query.size;
    if enough || work.fallback_names.is_empty() || named.candidates.is_some() {
        return Ok(());
    }
    let before = candidates.len();
    let plans = if named.personal { &work.fallback } else { &work.impersonal_fallback };
    let (mut more, late) = found(plans, named, query, stores, until)?;
    trip.degraded.extend(late.into_iter().filter(|d| d.cause != "deadline"));
    if trip.whole {
        note(&more, trip);
    }
    trip.removed.clear();
    filter::sift(filters, query, stores, &mut more, trip.whole.then_some(&mut trip.removed));
    if more.len() > before {
        *candidates = more;
        let names = work.fallback_names.join(", ");
        trip.left_out(
            "recall",
            "few",
            format!("{before} candidates for {} places; filled from {names}", query.size),
        );
    }
    trip.done("fallback", candidates.len());
    Ok(())
}

fn found(
    plans: &[RecallPlan],
    named: &Named,
    query: &Query<'_>,
    stores: &Stores<'_>,
    until: &Deadline<'_>,
) -> Result<(Candidates, Vec<Degraded>)> {
    Ok(match &named.candidates {
        Some(given) => compute::recall_given(given, plans, query, stores, until)?,
        None => compute::recall_all(plans, query, stores, until)?,
    })
}

fn note(candidates: &Candidates, trip: &mut Trip) {
    let rows = candidates.list().iter().enumerate();
    trip.recalled = rows
        .map(|(row, c)| Recalled { item: c.item, sources: candidates.sources_of(row).collect() })
        .collect();
}
