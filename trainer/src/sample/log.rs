//! Samples from what a server logged: the features the model saw, joined with what people then did. Nothing is computed again,
//! so nothing can differ from what was served.

use std::collections::BTreeMap;
use std::path::Path;

use data_layer::config::Config;
use data_layer::feedback::{Outcome, join};
use data_layer::types::Millis;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{About, Samples};
use crate::{Error, Result};

/// Reads the log under `dir` and makes samples of the decisions of one scene (of all, for `None`).
///
/// Where the scene says `shown = "served"` every item of a decision counts; else those that an impression says were seen.
///
/// # Errors
/// The log cannot be read, or no decision in it has features.
pub fn run(
    config: &Config,
    dir: &Path,
    scene: Option<&str>,
    window: Millis,
    negatives: f64,
    seed: u64,
) -> Result<(Samples, About)> {
    let outcomes: Vec<Outcome> = join(dir, &config.namespace, window)?
        .filter(|o| scene.is_none_or(|s| o.decision.scene == s) && !o.decision.feature_names.is_empty())
        .collect();
    let Some(newest) = outcomes.last() else {
        return Err(Error::invalid(
            dir.display().to_string(),
            "no decision with features is logged; without a published model, make samples from --data",
        ));
    };
    let names = newest.decision.feature_names.clone();
    let mut about = About {
        format: 1,
        from: "log".into(),
        scene: scene.unwrap_or("").to_owned(),
        features: names.clone(),
        negatives_kept: negatives,
        seed,
        from_ms: outcomes.first().map_or(0, |o| o.decision.now_ms),
        to_ms: newest.decision.now_ms,
        ..About::default()
    };
    let mut samples = Samples { features: vec![Vec::new(); names.len()], ..Samples::default() };
    let (mut served, mut others): (BTreeMap<String, bool>, u64) = (BTreeMap::new(), 0);
    for outcome in &outcomes {
        let name = &outcome.decision.scene;
        let served = *served.entry(name.clone()).or_insert_with(|| counts_served(config, name));
        if outcome.decision.feature_names == names {
            take(config, outcome, served, (negatives, seed), &mut samples);
        } else {
            others += 1;
        }
    }
    if others > 0 {
        about.notes.push(format!("{others} decisions of models with other features were left out"));
    }
    about.requests = samples.requests.len() as u64;
    about.rows = samples.len() as u64;
    about.positives = samples.positives() as u64;
    Ok((samples, about))
}

/// Whether the scene counts what was served as shown.
fn counts_served(config: &Config, scene: &str) -> bool {
    let text = std::fs::read_to_string(config.scenes.join(format!("{scene}.toml"))).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    table.get("shown").and_then(toml::Value::as_str) == Some("served")
}

fn take(config: &Config, outcome: &Outcome, served: bool, (kept, seed): (f64, u64), to: &mut Samples) {
    let decision = &outcome.decision;
    let who = decision.user.as_ref().or(decision.anonymous.as_ref()).or(decision.session_id.as_ref());
    for (at, item) in decision.items.iter().enumerate() {
        let reactions = outcome.actions.get(at).map_or(&[][..], Vec::as_slice);
        let good = |(action, value, _): &(String, f64, Millis)| {
            config.actions.id(action).is_some_and(|id| config.actions.weight(id, *value) > 0.0)
        };
        let label = reactions.iter().any(good);
        // An item that was acted on was seen, whatever the impressions say.
        let seen = served || label || outcome.shown.get(at).is_some_and(Option::is_some);
        let hash = xxh3_64_with_seed(format!("{}\u{1f}{}", decision.request_id, item.id).as_bytes(), seed);
        let drawn = label || ((hash >> 11) as f64 / (1_u64 << 53) as f64) < kept;
        if !seen || !drawn || item.features.len() != to.features.len() {
            continue;
        }
        if to.requests.last() != Some(&decision.request_id) {
            to.requests.push(decision.request_id.clone());
            to.users.push(who.map_or_else(String::new, ToString::to_string));
            to.times.push(decision.now_ms);
        }
        to.request.push(to.requests.len() as u32 - 1);
        to.items.push(item.id.to_string());
        to.labels.push(u8::from(label));
        for (column, value) in to.features.iter_mut().zip(&item.features) {
            column.push(*value);
        }
    }
}
