//! What sampling needs of a scene file: its recalls, its history, and whether it leaves out what people have met. The rest is the
//! server's; it checks the file as a whole.

use std::path::Path;

use compute_layer::RecallPlan;
use data_layer::types::Millis;
use data_layer::types::time::parse_span;

use crate::{Error, Result};

/// Recent actions that recall and features see, where the scene does not say.
const HISTORY: i64 = 100;

/// The part of a scene that makes candidates.
#[derive(Debug)]
pub struct Scene {
    /// Its name.
    pub name: String,
    /// Its recalls, checked.
    pub plans: Vec<RecallPlan>,
    /// How many recent actions count.
    pub history: usize,
    /// What is met within this span is no candidate: `None` without a `seen` filter, `Some(None)` for ever.
    pub seen: Option<Option<Millis>>,
    /// Filters that sampling does not apply.
    pub not_applied: Vec<String>,
}

impl Scene {
    /// Reads a scene file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or a recall of it does not check.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let place = path.display().to_string();
        let table: toml::Table =
            text.parse().map_err(|e: toml::de::Error| Error::invalid(&place, e.to_string()))?;
        Self::of(&table).map_err(|e| match e {
            Error::Invalid { place: inner, detail } => Error::invalid(format!("{place}: {inner}"), detail),
            other => other,
        })
    }

    fn of(scene: &toml::Table) -> Result<Self> {
        let tables = |key: &str| -> Result<Vec<toml::Table>> {
            let list = match scene.get(key) {
                None => return Ok(Vec::new()),
                Some(toml::Value::Array(list)) => list,
                Some(_) => return Err(Error::invalid(key, format!("expected [[{key}]] sections"))),
            };
            list.iter()
                .map(|v| {
                    v.as_table()
                        .cloned()
                        .ok_or_else(|| Error::invalid(key, format!("expected [[{key}]] sections")))
                })
                .collect()
        };
        let plans =
            RecallPlan::parse_all(tables("recall")?).map_err(|e| Error::invalid("recall", e.to_string()))?;
        if plans.is_empty() {
            return Err(Error::invalid(
                "recall",
                "a scene without recalls makes no candidates to learn from",
            ));
        }
        let (mut seen, mut not_applied) = (None, Vec::new());
        for filter in tables("filter")? {
            let kind = filter.get("kind").and_then(toml::Value::as_str).unwrap_or("");
            if kind == "seen" {
                let window = filter.get("window").and_then(toml::Value::as_str).map(parse_span).transpose();
                seen = Some(window.map_err(|e| Error::invalid("filter.seen.window", e))?);
            } else {
                not_applied.push(filter.get("name").and_then(toml::Value::as_str).unwrap_or(kind).to_owned());
            }
        }
        let history = scene.get("history").and_then(toml::Value::as_integer).unwrap_or(HISTORY);
        let name = scene.get("scene").and_then(toml::Value::as_str).unwrap_or("").to_owned();
        Ok(Self { name, plans, history: usize::try_from(history).unwrap_or(0), seen, not_applied })
    }

    /// Names of the recalls, in order.
    #[must_use]
    pub fn sources(&self) -> Vec<String> {
        self.plans.iter().map(|plan| plan.name.clone()).collect()
    }

    /// Since when a met item is left out; `None` where nothing is.
    #[must_use]
    pub fn seen_since(&self, now_ms: Millis) -> Option<Millis> {
        self.seen.map(|window| window.map_or(Millis::MIN, |w| now_ms.saturating_sub(w)))
    }
}
