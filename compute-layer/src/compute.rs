//! The stage drivers: recall from all sources within their shares of the time, rank by a model, order with fixed ties.

use data_layer::types::{Degraded, Ordinal};
use ndarray::Array2;
use rustc_hash::FxHashSet;

use crate::{
    Candidate, Candidates, Deadline, FeatureSet, Outcome, Query, RecallPlan, Result, Scorer, Stores,
};
use data_layer::live::{Items, Scored};

/// Runs every source, in order, on this thread, and merges what they found.
///
/// Source `s` gets the share `share_s / Σ_{t ≥ s} share_t` of the time that is left when its turn comes. Candidates stand in order of the
/// sources, then of their ranks. What was late, missing or broken is named `recall.NAME`; the rest still counts.
///
/// # Errors
/// Only [`crate::Error::TooManySources`].
pub fn recall_all(
    plans: &[RecallPlan],
    query: &Query<'_>,
    stores: &Stores<'_>,
    until: &Deadline<'_>,
) -> Result<(Candidates, Vec<Degraded>)> {
    let mut all = Candidates::new(plans.iter().map(|plan| plan.name.clone()))?;
    let (lists, degraded) = run(plans, query, stores, until);
    for (plan, list) in plans.iter().zip(&lists) {
        all.nominate(list, plan.quota, |item| stores.items.can_serve(item, query.now_ms));
    }
    for (source, list) in lists.iter().enumerate() {
        all.credit(source, list);
    }
    Ok((all, degraded))
}

/// The given items as candidates, in their order, each once. The sources run only to say what they think of them.
///
/// # Errors
/// Only [`crate::Error::TooManySources`].
pub fn recall_given(
    given: &[Ordinal],
    plans: &[RecallPlan],
    query: &Query<'_>,
    stores: &Stores<'_>,
    until: &Deadline<'_>,
) -> Result<(Candidates, Vec<Degraded>)> {
    let servable = given.iter().copied().filter(|&item| stores.items.can_serve(item, query.now_ms));
    let mut all = Candidates::given(plans.iter().map(|plan| plan.name.clone()), servable)?;
    let (lists, degraded) = run(plans, query, stores, until);
    for (source, list) in lists.iter().enumerate() {
        all.credit(source, list);
    }
    Ok((all, degraded))
}

fn run(
    plans: &[RecallPlan],
    query: &Query<'_>,
    stores: &Stores<'_>,
    until: &Deadline<'_>,
) -> (Vec<Vec<Scored>>, Vec<Degraded>) {
    let mut shares: f64 = plans.iter().map(|plan| plan.share).sum();
    let mut degraded = Vec::new();
    let lists = plans
        .iter()
        .map(|plan| {
            let own = until.share(plan.share / shares);
            shares -= plan.share;
            let mut list = Vec::new();
            let outcome = plan.component.recall(query, stores, &own, plan.depth, &mut list);
            degraded.extend(trouble(plan, outcome));
            clean(&mut list, plan.depth, stores.items.len());
            list
        })
        .collect();
    (lists, degraded)
}

fn trouble(plan: &RecallPlan, outcome: Result<Outcome>) -> Option<Degraded> {
    let (cause, detail) = match outcome {
        Ok(Outcome::Whole) => return None,
        Ok(Outcome::Late { read, of }) => ("deadline", format!("stopped after {read} of {of} lists")),
        Err(crate::Error::Data(data_layer::Error::NotFound { what, name, .. })) => {
            ("missing", format!("{what} {name} is not there"))
        }
        Err(crate::Error::LeftOut { cause, detail }) => (cause, detail),
        Err(error) => ("error", error.to_string()),
    };
    Some(Degraded { stage: format!("recall.{}", plan.name), cause: cause.to_owned(), detail })
}

/// No source names an item twice, forges one, or gives a score that is not finite, whoever wrote it.
fn clean(list: &mut Vec<Scored>, depth: usize, items: usize) {
    let mut seen = FxHashSet::with_capacity_and_hasher(list.len(), rustc_hash::FxBuildHasher);
    list.retain(|scored| {
        (scored.item as usize) < items && scored.score.is_finite() && seen.insert(scored.item)
    });
    list.truncate(depth);
}

/// Fills the features of all candidates, scores them, and writes the scores into them. Returns the feature block (n × k, row-major), so
/// that the decision can hold what the model saw.
pub fn rank(
    features: &FeatureSet,
    scorer: &dyn Scorer,
    query: &Query<'_>,
    stores: &Stores<'_>,
    candidates: &mut Candidates,
) -> Array2<f32> {
    let mut block = Array2::zeros((0, 0));
    features.fill(query, stores, candidates, &mut block);
    let mut scores = vec![0.0; candidates.len()];
    scorer.score(block.view(), &mut scores);
    candidates.set_scores(scores);
    block
}

/// Without a model: the sum over the sources that hold the item of `weight · 60 / (59 + rank)` (reciprocal rank fusion, Cormack et al. 2009), so
/// that sources of different scales mix.
pub fn blend(plans: &[RecallPlan], candidates: &mut Candidates) {
    let scores: Vec<f32> = (0..candidates.len())
        .map(|row| {
            let part = |(source, _, rank): (usize, f32, u32)| {
                plans.get(source).map_or(0.0, |plan| plan.weight * 60.0 / (59.0 + rank as f32))
            };
            candidates.sources_of(row).map(part).sum()
        })
        .collect();
    candidates.set_scores(scores);
}

/// Rows of the best `at_most` candidates, best first: by score, then the hash of the id, then the id. Never by ordinal.
#[must_use]
pub fn top(items: &dyn Items, candidates: &[Candidate], at_most: usize) -> Vec<usize> {
    let mut keyed: Vec<(f32, u64, usize)> =
        candidates.iter().enumerate().map(|(row, c)| (c.score, items.tie(c.item), row)).collect();
    let order = |a: &(f32, u64, usize), b: &(f32, u64, usize)| {
        let ids = || items.id(candidates[a.2].item).cmp(items.id(candidates[b.2].item));
        b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then_with(ids)
    };
    if at_most > 0 && at_most < keyed.len() {
        keyed.select_nth_unstable_by(at_most - 1, order);
    }
    keyed.truncate(at_most);
    keyed.sort_unstable_by(order);
    keyed.into_iter().map(|(_, _, row)| row).collect()
}
