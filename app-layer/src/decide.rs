//! The decision record: what was shown, from what, and how; into the log, without waiting. Served, which is not seen.

use std::sync::Arc;

use compute_layer::Candidates;
use data_layer::live::Items;
use data_layer::types::{Decision, DecisionItem, DecisionSource, time};
use ndarray::Array2;
use xxhash_rust::xxh3::xxh3_64;

use crate::ask::Turn;
use crate::engine::{Engine, World};
use crate::present::{Answer, explain};
use crate::read::Reader;
use crate::request::Request;
use crate::scene::{Scene, Scenes, Work};
use crate::strategy::Arranged;
use crate::trip::Trip;

/// Everything that was decided for one request.
pub struct Decided<'a> {
    /// What was asked.
    pub request: &'a Request,
    /// All scenes, for the epochs of experiments.
    pub scenes: &'a Scenes,
    /// Which scene.
    pub scene: &'a Scene,
    /// What was pinned.
    pub turn: Turn,
    /// What ran.
    pub work: Arc<Work>,
    /// What was read.
    pub reader: Reader,
    /// Candidates after the filters, with their final scores.
    pub candidates: Candidates,
    /// What the model saw, a row per candidate.
    pub features: Array2<f32>,
    /// The page.
    pub arranged: Arranged,
}

/// Whether everything is noted: for an explanation; and for the log, where there is one, of debug calls and of a share of the others by the
/// hash of the request's id.
#[must_use]
pub fn is_whole(engine: &Engine, request: &Request, turn: &Turn, share: f64) -> bool {
    let drawn = || (xxh3_64(turn.request_id.as_bytes()) >> 11) as f64 / (1_u64 << 53) as f64;
    request.explain || engine.ingest().is_some() && (request.needs_debug() || drawn() < share)
}

/// Hands the record to the log.
pub fn record(engine: &Engine, world: &World<'_>, decided: &Decided<'_>, answer: &Answer, trip: &Trip) {
    let wanted = decided.request.size.unwrap_or(decided.work.size);
    engine.metrics().answered(&decided.scene.name, answer, wanted, trip);
    if engine.ingest().is_none() {
        return;
    }
    let Decided { request, turn, work, reader, .. } = decided;
    engine.answers().remember(&turn.request_id, &decided.scene.name, &turn.buckets);
    // Who asked not to be personalised is not named: nothing may be learnt from them.
    let named = |id: &Option<data_layer::types::Id>| id.clone().filter(|_| reader.personal);
    engine.decide(Decision {
        request_id: turn.request_id.clone(),
        time: time::now(),
        now_ms: turn.now_ms,
        seed: turn.seed,
        namespace: engine.config().namespace.clone(),
        scene: decided.scene.name.clone(),
        user: named(&request.user),
        anonymous: named(&request.anonymous),
        session_id: named(&request.session_id),
        query: request.as_json(reader.personal),
        buckets: turn.buckets.clone(),
        epochs: decided.scenes.epochs(&turn.buckets),
        versions: serde_json::to_value(&answer.versions).unwrap_or_default(),
        degraded: answer.degraded.clone(),
        log_position: engine.live().applied().to_string(),
        items: items(world, decided),
        feature_names: work.rank.as_ref().map_or_else(Vec::new, |rank| rank.features.names().to_vec()),
        funnel: trip.whole.then(|| explain::funnel(world, decided, trip)),
    });
}

fn items(world: &World<'_>, decided: &Decided<'_>) -> Vec<DecisionItem> {
    let Decided { candidates, features, arranged, turn, .. } = decided;
    let source = |(source, score, rank): (usize, f32, u32)| DecisionSource {
        name: candidates.names()[source].clone(),
        score,
        rank,
    };
    let one = |(row, position): (&usize, u32)| DecisionItem {
        id: world.items.id(candidates.list()[*row].item).clone(),
        position,
        score: candidates.list()[*row].score,
        sources: candidates.sources_of(*row).map(source).collect(),
        propensity: None,
        features: features.row(*row).to_vec(),
    };
    arranged.rows.iter().zip(turn.earlier.len() as u32..).map(one).collect()
}
