//! The whole story of one answer: stages, every candidate with what its sources said and what the model saw, who was taken out, who was moved.

use std::collections::BTreeMap;

use data_layer::live::Items;
use data_layer::types::Ordinal;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use crate::decide::Decided;
use crate::engine::World;
use crate::strategy::Change;
use crate::trip::{Stage, Trip};

/// Why an answer is as it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Explain {
    /// Seed of all chance; send it back to get the same answer.
    pub seed: u64,
    /// The time it was computed for.
    pub now_ms: i64,
    /// The stages in order.
    pub stages: Vec<Stage>,
    /// Candidates that passed the filters, best first.
    pub candidates: Vec<Explained>,
    /// Candidates that were taken out.
    pub removed: Vec<Removed>,
    /// What the strategies did.
    pub moves: Vec<Moved>,
    /// Item to feature to value, for the candidates; empty without a model.
    pub features: BTreeMap<String, BTreeMap<String, f32>>,
}

/// One candidate.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Explained {
    /// Which item.
    pub id: String,
    /// Its score after all strategies.
    pub score: f32,
    /// What each source said.
    pub sources: Vec<Said>,
}

/// What one source said of one item.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Said {
    /// Name of the source.
    pub name: String,
    /// Its score.
    pub score: f32,
    /// Its rank, from 1.
    pub rank: u32,
}

/// One item that was taken out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Removed {
    /// Which item.
    pub id: String,
    /// By which filter.
    pub by: String,
}

/// What one strategy did to one item.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Moved {
    /// Which item.
    pub id: String,
    /// Which strategy.
    pub by: String,
    /// `score`: from one score to another. `held`: it did not get the place in `from`.
    pub what: &'static str,
    /// Score or place before.
    pub from: f64,
    /// Score after, or the place it got; null where it got none.
    pub to: Option<f64>,
}

/// Tells the story.
#[must_use]
pub fn explain(world: &World<'_>, decided: &Decided<'_>, trip: &Trip) -> Explain {
    let candidates = decided.candidates.list();
    let mut rows: Vec<usize> = compute_layer::compute::top(&*world.items, candidates, candidates.len());
    rows.truncate(MOST);
    let id = |item: Ordinal| world.items.id(item).to_string();
    Explain {
        seed: decided.turn.seed,
        now_ms: decided.turn.now_ms,
        stages: trip.stages.clone(),
        candidates: rows.iter().map(|row| explained(world, decided, *row)).collect(),
        removed: trip.removed.iter().map(|r| Removed { id: id(r.item), by: r.by.clone() }).collect(),
        moves: moves(world, decided),
        features: rows.iter().map(|row| (id(candidates[*row].item), features(decided, *row))).collect(),
    }
}

/// Most candidates of an explanation.
const MOST: usize = 5_000;

fn explained(world: &World<'_>, decided: &Decided<'_>, row: usize) -> Explained {
    let candidate = decided.candidates.list()[row];
    let said = decided.candidates.sources_of(row);
    let name = |source: usize| decided.candidates.names()[source].clone();
    Explained {
        id: world.items.id(candidate.item).to_string(),
        score: candidate.score,
        sources: said.map(|(source, score, rank)| Said { name: name(source), score, rank }).collect(),
    }
}

fn moves(world: &World<'_>, decided: &Decided<'_>) -> Vec<Moved> {
    let Decided { arranged, candidates, work, .. } = decided;
    let tell = |m: &crate::strategy::Move| {
        let (what, from, to) = match m.what {
            Change::Score { from, to } => ("score", f64::from(from), Some(f64::from(to))),
            Change::Held { at } => {
                let place = arranged.rows.iter().position(|row| *row == m.row);
                ("held", at as f64, place.map(|p| p as f64))
            }
        };
        Moved {
            id: world.items.id(candidates.list()[m.row].item).to_string(),
            by: work.strategies[m.by].name.clone(),
            what,
            from,
            to,
        }
    };
    arranged.moves.iter().map(tell).collect()
}

/// Feature to value of one row.
fn features(decided: &Decided<'_>, row: usize) -> BTreeMap<String, f32> {
    let names = decided.work.rank.as_ref().map_or(&[][..], |rank| rank.features.names());
    names.iter().cloned().zip(decided.features.row(row).iter().copied()).collect()
}

/// The funnel for the decision log: what was read, and every candidate with its features and its fate.
#[must_use]
pub fn funnel(world: &World<'_>, decided: &Decided<'_>, trip: &Trip) -> Json {
    let id = |item: Ordinal| world.items.id(item).as_str();
    let names = decided.candidates.names();
    let fate = |item: Ordinal| {
        let Some(row) = decided.candidates.find(item) else {
            let by = trip.removed.iter().find(|r| r.item == item).map(|r| r.by.as_str());
            return json!({ "removed": by });
        };
        let place = decided.arranged.rows.iter().position(|r| *r == row);
        let features: Vec<f32> = decided.features.row(row).to_vec();
        json!({ "score": decided.candidates.list()[row].score, "place": place, "features": features })
    };
    let candidates = trip.recalled.iter().map(|r| {
        let said =
            r.sources.iter().map(|(s, score, rank)| json!({"name": names[*s], "score": score, "rank": rank}));
        json!({ "id": id(r.item), "sources": said.collect::<Vec<_>>(), "fate": fate(r.item) })
    });
    let history = decided.reader.state.as_ref().map(|state| {
        let most = decided.reader.history(world.keep(), decided.work.history, decided.turn.now_ms);
        let recent = state.actions.iter().take(most);
        recent
            .map(|a| json!({ "item": id(a.item), "action": a.action.0, "value": a.value, "time": a.time }))
            .collect::<Vec<_>>()
    });
    json!({ "read": { "recent": history }, "stages": trip.stages, "candidates": candidates.collect::<Vec<_>>() })
}
