//! Features and scores as a request drives them. Features and models are the compute layer's.

use compute_layer::{Candidates, Query, Stores, compute};
use ndarray::Array2;

use crate::scene::Work;
use crate::trip::Trip;

/// The feature block of a request: one row per candidate; no columns without a model.
#[must_use]
pub fn features(
    work: &Work,
    query: &Query<'_>,
    stores: &Stores<'_>,
    candidates: &Candidates,
    trip: &mut Trip,
) -> Array2<f32> {
    let mut block = Array2::zeros((candidates.len(), 0));
    if let Some(rank) = &work.rank {
        rank.features.fill(query, stores, candidates, &mut block);
    }
    trip.done("features", candidates.len());
    block
}

/// Scores every candidate by the model, or by a blend of the sources where there is none.
pub fn score(work: &Work, block: &Array2<f32>, candidates: &mut Candidates, trip: &mut Trip) {
    match &work.rank {
        Some(rank) => {
            let mut scores = vec![0.0; candidates.len()];
            rank.model.scorer.score(block.view(), &mut scores);
            candidates.set_scores(scores);
        }
        None => compute::blend(&work.recalls, candidates),
    }
    if let Some(name) = &work.rank_missing {
        trip.left_out(
            "rank",
            "missing",
            format!("nothing is published of model {name}; ranked by the blend of the sources"),
        );
    }
    trip.done("score", candidates.len());
}
