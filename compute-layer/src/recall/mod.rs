//! Candidate generators ("recalls"). One file per kind, one line in [`KINDS`]. They find; they do not filter: what must not be shown
//! is the filters' matter.
//!
//! Useful for: sources of candidates that read lists. Not useful for: scoring all items by a model.
//!
//! No kind itself, but asked of each: [`ahead`], what it will read of tables that are on disk.

pub mod ahead;
pub mod content;

use rustc_hash::FxHashSet;
use serde::Deserialize;

use crate::params::did_you_mean;
use crate::{Deadline, Error, MAX_SOURCES, Params, Query, Result, Stores};
use data_layer::access::ListSpec;
use data_layer::live::{Items, Scored};

/// Every kind of recall there is.
pub const KINDS: &[Kind] = &[
    content::item_to_item::KIND, // similar to what the person did, has in the session, or looks at
    content::ranking::KIND,      // one ranked list for all
    content::user_list::KIND,    // a list made for this user
];

/// A kind of recall, as a scene names it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    /// Takes its parameters out of the scene's table and checks them.
    pub make: fn(&mut Params) -> Result<Box<dyn Recall>>,
}

/// Finds candidates.
pub trait Recall: Send + Sync + std::fmt::Debug {
    /// Appends items, best first; more than `depth` are of no use. Checks the deadline between keys; when it has passed, what is there is handed over and the outcome
    /// says so. The driver removes repetitions (the first stays) and scores that are not finite.
    ///
    /// # Errors
    /// When a list cannot be read; what is in `out` by then still counts.
    fn recall(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        until: &Deadline<'_>,
        depth: usize,
        out: &mut Vec<Scored>,
    ) -> Result<Outcome>;

    /// The lists it reads, so that a scene can be checked and its tables waited for.
    fn lists(&self) -> Vec<&ListSpec>;

    /// Whether its lists are by user.
    fn is_of_users(&self) -> bool {
        false
    }
}

/// How far a recall came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was read.
    Whole,
    /// The deadline passed after `read` of `of` keys.
    Late {
        /// Keys read.
        read: usize,
        /// Keys there are.
        of: usize,
    },
}

/// One `[[recall]]` of a scene: checked, ready to run.
#[derive(Debug)]
pub struct RecallPlan {
    /// The name that answers carry in `sources`; default: the kind.
    pub name: String,
    /// The kind.
    pub kind: &'static str,
    /// At most this many candidates, 1..=5000; default 100.
    pub quota: usize,
    /// How deep the source's list is looked at for scores and ranks of candidates, at least `quota`; default the larger of
    /// 1000 and four quotas.
    pub depth: usize,
    /// Weight in a blend, -100..=100; default 1.
    pub weight: f32,
    /// Share of the time for recall, relative to the other sources', above 0 up to 100; default 1. Time that one leaves goes to those after it.
    pub share: f64,
    /// The kind's own part.
    pub component: Box<dyn Recall>,
}

impl RecallPlan {
    /// Checks one `[[recall]]` table.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `recall.NAME.KEY`: an unknown kind or key (with the nearest that exists), a value of the wrong type or range.
    pub fn parse(table: toml::Table) -> Result<Self> {
        Self::parse_with(KINDS, table)
    }

    /// [`RecallPlan::parse`] with kinds of one's own.
    ///
    /// # Errors
    /// As [`RecallPlan::parse`].
    pub fn parse_with(kinds: &[Kind], table: toml::Table) -> Result<Self> {
        let named = ["name", "kind"].iter().find_map(|key| table.get(*key).and_then(toml::Value::as_str));
        let mut params = Params::new(format!("recall.{}", named.unwrap_or("?")), table);
        let kind_name = params.string("kind")?;
        let name = params.string_or_none("name")?.unwrap_or_else(|| kind_name.clone());
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Err(params.wrong("name", format!("expected letters, digits, _ and -, found {name:?}")));
        }
        let kind = kinds.iter().find(|kind| kind.name == kind_name).ok_or_else(|| {
            let known: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
            let near = did_you_mean(&kind_name, &known);
            params.wrong("kind", format!("unknown kind {kind_name:?}{near}; known: {}", known.join(", ")))
        })?;
        let quota = params.count_or("quota", 100, 1..=5_000)?;
        let depth = params.count_or("depth", (4 * quota).max(1_000), quota..=100_000)?;
        let weight = params.number_or("weight", 1.0, -100.0..=100.0)? as f32;
        let share = params.number_or("share", 1.0, 0.001..=100.0)?;
        let component = (kind.make)(&mut params)?;
        params.finish()?;
        Ok(Self { name, kind: kind.name, quota, depth, weight, share, component })
    }

    /// Checks all `[[recall]]` tables of a scene: each one, that names are unique, and that there are at most 64.
    ///
    /// # Errors
    /// As [`RecallPlan::parse`]; [`Error::TooManySources`].
    pub fn parse_all(tables: impl IntoIterator<Item = toml::Table>) -> Result<Vec<Self>> {
        let plans = tables.into_iter().map(Self::parse).collect::<Result<Vec<_>>>()?;
        if plans.len() > MAX_SOURCES {
            return Err(Error::TooManySources(plans.len()));
        }
        let mut seen = FxHashSet::default();
        match plans.iter().find(|plan| !seen.insert(plan.name.as_str())) {
            None => Ok(plans),
            Some(plan) => Err(Error::invalid(
                format!("recall.{}.name", plan.name),
                "two recalls of this name; give one of them a `name` of its own",
            )),
        }
    }
}

/// Takes the keys `table`, `live`, `merge`, `live_weight`, `live_half_life` that say which list to read.
///
/// # Errors
/// When `table` is missing or a value is none of those possible.
pub fn list_spec(params: &mut Params) -> Result<ListSpec> {
    let mut table = toml::Table::new();
    for key in ["table", "live", "merge", "live_weight", "live_half_life"] {
        if let Some(value) = params.take(key) {
            table.insert(key.to_owned(), value);
        }
    }
    let at = if table.contains_key("table") { "live" } else { "table" };
    ListSpec::deserialize(table).map_err(|e| params.wrong(at, e.message().to_owned()))
}

/// Best first: by score, then by the hash of the id, then by the id.
pub(crate) fn sort_scored(items: &dyn Items, list: &mut [Scored]) {
    list.sort_unstable_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| items.tie(a.item).cmp(&items.tie(b.item)))
            .then_with(|| items.id(a.item).cmp(items.id(b.item)))
    });
}
