//! Presentation: the answer in the contract's form, with display attributes, the next page's cursor and, where asked for, the explanation.

pub mod explain;

use std::collections::BTreeMap;

use data_layer::live::Items;
use data_layer::types::{Degraded, Ordinal, Value};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ask::Asked;
use crate::cursor::{MAX_EARLIER, Page};
use crate::decide::Decided;
use crate::engine::{Engine, World};
use crate::trip::Trip;
use explain::Explain;

/// One answer, as `POST /v1/recommend` gives it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Answer {
    /// The server's own id of this answer; send it with events.
    pub request_id: String,
    /// Which scene.
    pub scene: String,
    /// Who asked.
    pub user: Option<String>,
    /// The page, best first.
    pub items: Vec<Shown>,
    /// Layer to bucket.
    pub buckets: BTreeMap<String, String>,
    /// What it was computed from.
    pub versions: Versions,
    /// What was left out, and why.
    #[schema(value_type = Vec<LeftOut>)]
    pub degraded: Vec<Degraded>,
    /// The next page; null where there is none.
    pub cursor: Option<String>,
    /// Microseconds in the server.
    pub took_us: u64,
    /// The whole story, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    pub explain: Option<Explain>,
}

/// One place of the page.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Shown {
    /// Which item.
    pub id: String,
    /// Its score after all strategies.
    pub score: f32,
    /// Names of the sources that brought it.
    pub sources: Vec<String>,
    /// Why it is shown, in words; null where there is nothing to say.
    pub reason: Option<String>,
    /// Chance of this item at this place given those before; null where nothing was left to chance.
    pub propensity: Option<f64>,
    /// Place from 0, counted over all pages.
    pub position: u32,
    /// The attributes that were asked for.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub attributes: BTreeMap<String, Value>,
}

/// What an answer was computed from.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Versions {
    /// Hash of the scene as it ran.
    pub scene: String,
    /// `name@version`; null without a model.
    pub model: Option<String>,
    /// Table to generation, of the tables that the scene reads.
    pub tables: BTreeMap<String, String>,
}

/// Something that was left out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LeftOut {
    /// `stage` or `stage.component`.
    pub stage: String,
    /// One word.
    pub cause: String,
    /// A sentence.
    pub detail: String,
}

/// Writes the answer.
#[must_use]
pub fn answer(
    engine: &Engine,
    world: &World<'_>,
    asked: &Asked<'_>,
    decided: &Decided<'_>,
    trip: &mut Trip,
) -> Answer {
    let Decided { request, work, turn, arranged, .. } = decided;
    if arranged.rows.len() < asked.size {
        too_few(asked, decided, trip);
    }
    let shown = arranged.rows.iter().zip(turn.earlier.len() as u32..);
    let items = shown.map(|(row, position)| one(world, asked, decided, *row, position)).collect();
    let generations = world.snapshot.generations();
    let tables = work.tables.iter().filter_map(|name| generations.get_key_value(name));
    trip.done("present", arranged.rows.len());
    Answer {
        request_id: turn.request_id.clone(),
        scene: decided.scene.name.clone(),
        user: request.user.as_ref().map(ToString::to_string),
        items,
        buckets: turn.buckets.clone(),
        versions: Versions {
            scene: work.version.clone(),
            model: work.rank.as_ref().map(|rank| rank.version.clone()),
            tables: tables.map(|(name, generation)| (name.clone(), generation.clone())).collect(),
        },
        degraded: trip.degraded.clone(),
        cursor: next_page(engine, world, asked, decided),
        took_us: trip.took_us(),
        explain: request.explain.then(|| explain::explain(world, decided, trip)),
    }
}

fn one(world: &World<'_>, asked: &Asked<'_>, decided: &Decided<'_>, row: usize, position: u32) -> Shown {
    let candidate = decided.candidates.list()[row];
    let names = decided.candidates.names();
    let sources = decided.candidates.sources_of(row).map(|(source, ..)| names[source].clone());
    Shown {
        id: world.items.id(candidate.item).to_string(),
        score: candidate.score,
        sources: sources.collect(),
        reason: None,
        propensity: None,
        position,
        attributes: attributes(world, asked.fields, candidate.item),
    }
}

fn attributes(world: &World<'_>, names: &[String], item: Ordinal) -> BTreeMap<String, Value> {
    let value = |name: &String| Some((name.clone(), world.items.value(world.items.field(name)?, item)?));
    names.iter().filter_map(value).collect()
}

fn too_few(asked: &Asked<'_>, decided: &Decided<'_>, trip: &mut Trip) {
    let Decided { arranged, work, candidates, .. } = decided;
    let (found, wanted) = (arranged.rows.len(), asked.size);
    if arranged.refused_by.is_empty() {
        let detail = format!(
            "{found} of {wanted} places filled; {} candidates were left after the filters",
            candidates.len()
        );
        trip.left_out("recall", "few", detail);
    }
    for by in &arranged.refused_by {
        let name = work.strategies.get(*by).map_or("", |named| named.name.as_str());
        let detail =
            format!("{found} of {wanted} places filled; it lets none of the other candidates follow");
        trip.left_out(format!("strategy.{name}"), "few", detail);
    }
}

/// The cursor of the next page: none where this one is not full, or would look back too far.
fn next_page(engine: &Engine, world: &World<'_>, asked: &Asked<'_>, decided: &Decided<'_>) -> Option<String> {
    let Decided { turn, arranged, candidates, .. } = decided;
    let shown = arranged.rows.iter().map(|row| world.items.tie(candidates.list()[*row].item));
    let earlier: Vec<u64> = turn.earlier.iter().copied().chain(shown).collect();
    if arranged.rows.len() < asked.size
        || arranged.rows.len() == candidates.len()
        || earlier.len() >= MAX_EARLIER
    {
        return None;
    }
    let (seed, now_ms, buckets) = (turn.seed, turn.now_ms, turn.buckets.clone());
    Some(engine.signer().seal(&Page { owner: turn.owner, seed, now_ms, buckets, earlier }))
}
