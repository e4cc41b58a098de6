//! A work: one scene under one choice of buckets, compiled. Everything a request runs, checked beforehand.

use std::sync::Arc;

use compute_layer::{FeatureSet, Model, Params, RecallPlan};
use data_layer::types::Schema;
use toml::{Table, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::edit::{LISTS, name_of, named};
use super::known::Known;
use crate::ask::Named;
use crate::hint::did_you_mean;
use crate::{filter, request, strategy};

/// What is wrong at one dotted place of a scene.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// `recall.item_cf.quota`; empty for the scene as a whole.
    pub place: String,
    /// What was expected and found, and how to mend it.
    pub detail: String,
}

/// Whether impressions come from the client or decisions count as seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// Client impressions.
    Seen,
    /// Decisions.
    Served,
}

/// A model with its features bound to the sources of one scene.
#[derive(Debug)]
pub struct Rank {
    /// `ctr@17`.
    pub version: String,
    /// The model.
    pub model: Arc<Model>,
    /// Its features, bound.
    pub features: FeatureSet,
}

/// One scene under one choice of buckets.
#[derive(Debug)]
pub struct Work {
    /// Items of an answer, where the request does not say.
    pub size: usize,
    /// The budget of a request, in milliseconds.
    pub deadline_ms: u64,
    /// What counts as shown.
    pub shown: Shown,
    /// Recent actions that recall and features see.
    pub history: usize,
    /// Share of requests whose whole funnel is recorded.
    pub record_share: f64,
    /// The sources, in order.
    pub recalls: Vec<RecallPlan>,
    /// The same sources in the same order for who asks not to be personalised: those outside that path bring nothing.
    pub impersonal: Vec<RecallPlan>,
    /// The same once more, with deep quotas for the fallback chain, for when the page would not be full.
    pub fallback: Vec<RecallPlan>,
    /// As `fallback`, for who asks not to be personalised: only their path and the chain bring anything.
    pub impersonal_fallback: Vec<RecallPlan>,
    /// Names of the fallback chain.
    pub fallback_names: Vec<String>,
    /// The filters, in order.
    pub filters: Vec<filter::Named>,
    /// The model; absent: a blend of the sources by their weights.
    pub rank: Option<Rank>,
    /// The model's name where the scene wants one that can't be had now.
    pub rank_missing: Option<String>,
    /// The strategies, in order.
    pub strategies: Vec<strategy::Named>,
    /// The tables that the sources read.
    pub tables: Vec<String>,
    /// Hash of the compiled scene, in hex.
    pub version: String,
}

/// Quota of a fallback source: as deep as an answer with all its earlier pages and exclusions can need.
const FALLBACK_QUOTA: usize = 5_000;
/// Most `deadline_ms` of a scene.
const MAX_DEADLINE_MS: usize = 10_000;
/// Most actions of a person that a scene may look at.
const MAX_HISTORY: usize = 500;

impl Work {
    /// Compiles a scene's tree.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn compile(tree: &Table, known: &Known) -> Result<Self, Vec<Wrong>> {
        let version = format!("{:016x}", xxh3_64(toml::to_string(tree).unwrap_or_default().as_bytes()));
        let mut reader = Reader { wrong: Vec::new(), known, schema: &known.schema };
        let mut top = Params::new("", tree.clone());
        let [recall, filters, strategies] = LISTS.map(|section| reader.components(&mut top, section));
        let recalls = reader.recalls(&recall);
        // Of the tables, not of the plans: one that does not check is no reason to call its name unknown.
        let names: Vec<String> = recall.iter().filter_map(|t| named(t).map(str::to_owned)).collect();
        let fallback_names = reader.names(&mut top, "fallback", &names);
        let non_personal = reader.names(&mut top, "non_personal", &names);
        let (rank, rank_missing) = reader.rank(&mut top, &names);
        reader.explore(&mut top);
        let record_share = reader.record(&mut top);
        let size = reader.take(top.count_or("size", 20, 1..=request::MAX_SIZE));
        let deadline_ms = reader.take(top.count_or("deadline_ms", 50, 1..=MAX_DEADLINE_MS));
        let history = reader.take(top.count_or("history", 100, 0..=MAX_HISTORY));
        let shown = reader.take(top.choice_or("shown", 0, &["seen", "served"]));
        top.take("scene");
        let filters = reader.filters(filters);
        let strategies = reader.strategies(strategies);
        reader.take(top.finish());
        if !reader.wrong.is_empty() {
            return Err(reader.wrong);
        }
        Ok(Self {
            size: size.unwrap_or(20),
            deadline_ms: deadline_ms.unwrap_or(50) as u64,
            shown: if shown == Some(1) { Shown::Served } else { Shown::Seen },
            history: history.unwrap_or(100),
            record_share,
            impersonal: only(again(&recall), &non_personal, &[]),
            fallback: deep(&recall, &fallback_names),
            impersonal_fallback: only(deep(&recall, &fallback_names), &non_personal, &fallback_names),
            fallback_names,
            tables: tables(&recalls),
            recalls,
            filters,
            rank,
            rank_missing,
            strategies,
            version,
        })
    }
}

impl Work {
    /// Every plan that may run for who asks, the deep ones of the fallback chain included.
    pub fn plans(&self, named: &Named) -> impl Iterator<Item = &RecallPlan> {
        let (first, then) = if named.personal {
            (&self.recalls, &self.fallback)
        } else {
            (&self.impersonal, &self.impersonal_fallback)
        };
        let fall_back = !self.fallback_names.is_empty() && named.candidates.is_none();
        first.iter().chain(then.iter().filter(move |_| fall_back))
    }
}

fn tables(plans: &[RecallPlan]) -> Vec<String> {
    let lists = plans.iter().flat_map(|plan| plan.component.lists());
    let mut names: Vec<String> = lists.map(|list| list.table.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Plans of which only the named ones and the others bring anything; all do where none is named: those that need somebody find nobody.
fn only(mut plans: Vec<RecallPlan>, named: &[String], others: &[String]) -> Vec<RecallPlan> {
    let apart = |plan: &&mut RecallPlan| !named.contains(&plan.name) && !others.contains(&plan.name);
    for plan in plans.iter_mut().filter(apart).filter(|_| !named.is_empty()) {
        plan.quota = 0;
    }
    plans
}

fn deep(tables: &[Table], named: &[String]) -> Vec<RecallPlan> {
    let mut copy = again(tables);
    for plan in copy.iter_mut().filter(|plan| named.contains(&plan.name)) {
        plan.quota = FALLBACK_QUOTA;
        plan.depth = plan.depth.max(FALLBACK_QUOTA);
    }
    copy
}

/// The plans a second time; they were checked before.
fn again(tables: &[Table]) -> Vec<RecallPlan> {
    tables.iter().filter_map(|table| RecallPlan::parse(table.clone()).ok()).collect()
}

/// Reads the sections of a scene and gathers what is wrong.
struct Reader<'a> {
    wrong: Vec<Wrong>,
    known: &'a Known,
    schema: &'a Schema,
}

impl Reader<'_> {
    fn wrong(&mut self, place: impl Into<String>, detail: impl Into<String>) {
        self.wrong.push(Wrong { place: place.into(), detail: detail.into() });
    }

    /// The value, or nothing where it is wrong, which is noted.
    fn take<T>(&mut self, read: compute_layer::Result<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(compute_layer::Error::Invalid { place, detail }) => {
                self.wrong(place.trim_start_matches('.'), detail);
                None
            }
            Err(other) => {
                self.wrong("", other.to_string());
                None
            }
        }
    }

    /// The tables of `[[section]]`, with unique names.
    fn components(&mut self, top: &mut Params, section: &'static str) -> Vec<Table> {
        let list = match top.take(section) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.wrong(section, format!("expected [[{section}]] tables, found {}", other.type_str()));
                return Vec::new();
            }
        };
        let mut names: Vec<String> = Vec::new();
        let mut tables = Vec::new();
        for component in list {
            let name = name_of(&component).unwrap_or_default().to_owned();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !name.chars().all(plain) {
                self.wrong(
                    format!("{section}.{name}"),
                    format!("expected a name of letters, digits, _ and -, found {name:?}"),
                );
            } else if names.contains(&name) {
                self.wrong(
                    format!("{section}.{name}"),
                    format!("two of [[{section}]] are named {name:?}; give one a `name` of its own"),
                );
            }
            names.push(name);
            match component {
                Value::Table(table) => tables.push(table),
                other => self.wrong(section, format!("expected a table, found {}", other.type_str())),
            }
        }
        tables
    }

    fn recalls(&mut self, tables: &[Table]) -> Vec<RecallPlan> {
        let mut plans = Vec::new();
        for table in tables {
            let Some(plan) = self.take(RecallPlan::parse(table.clone())) else { continue };
            for list in plan.component.lists() {
                if !self.known.has_table(&list.table) {
                    let hint = did_you_mean(&list.table, self.known.tables.iter().map(String::as_str));
                    let detail = format!("unknown table {:?}; build and publish it first{hint}", list.table);
                    self.wrong(format!("recall.{}.table", plan.name), detail);
                }
            }
            plans.push(plan);
        }
        if plans.len() > compute_layer::MAX_SOURCES {
            self.wrong("recall", format!("a scene has at most 64 recalls, found {}", plans.len()));
        }
        plans
    }

    /// A list of names of recalls.
    fn names(&mut self, top: &mut Params, key: &'static str, known: &[String]) -> Vec<String> {
        let Some(value) = top.take(key) else { return Vec::new() };
        let texts = value.as_array().map(|list| list.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        let Some(Some(names)) = texts else {
            self.wrong(key, format!("expected a list of names of recalls, found {value}"));
            return Vec::new();
        };
        let names: Vec<String> = names;
        for name in names.iter().filter(|name| !known.contains(name)) {
            let hint = did_you_mean(name, known.iter().map(String::as_str));
            self.wrong(key, format!("no recall is named {name:?}{hint}"));
        }
        names
    }

    fn section(&mut self, top: &mut Params, key: &'static str) -> Option<Params> {
        match top.take(key)? {
            Value::Table(table) => Some(Params::new(key, table)),
            other => {
                self.wrong(key, format!("expected a section [{key}], found {}", other.type_str()));
                None
            }
        }
    }

    fn rank(&mut self, top: &mut Params, sources: &[String]) -> (Option<Rank>, Option<String>) {
        let Some(mut params) = self.section(top, "rank") else { return (None, None) };
        let name = self.take(params.string("model"));
        self.take(params.choice_or("features", 0, &["from_model"]));
        self.take(params.finish());
        let Some(name) = name else { return (None, None) };
        let (version, model) = match self.known.model(&name) {
            Ok(found) => found,
            Err(super::known::Away::Unknown(detail)) => {
                self.wrong("rank.model", detail);
                return (None, None);
            }
            Err(super::known::Away::Now) => return (None, Some(name)),
        };
        match FeatureSet::bind(&model.features, sources, self.schema) {
            Ok(features) => (Some(Rank { version, model, features }), None),
            Err(error) => {
                self.wrong("rank.model", format!("model {version} does not fit the scene: {error}"));
                (None, None)
            }
        }
    }

    fn explore(&mut self, top: &mut Params) {
        let Some(mut params) = self.section(top, "explore") else { return };
        let method = self.take(params.choice_or("method", 0, &["none", "epsilon", "plackett_luce"]));
        if method.is_some_and(|m| m > 0) {
            self.wrong(
                "explore.method",
                "exploration comes with a later version; use \"none\" or leave the section out",
            );
        }
    }

    fn record(&mut self, top: &mut Params) -> f64 {
        let Some(mut params) = self.section(top, "record") else { return 0.01 };
        let share = self.take(params.number_or("share", 0.01, 0.0..=1.0));
        self.take(params.finish());
        share.unwrap_or(0.01)
    }

    fn filters(&mut self, tables: Vec<Table>) -> Vec<filter::Named> {
        let kinds: Vec<&str> = filter::KINDS.iter().map(|kind| kind.name).collect();
        let mut made = Vec::new();
        for table in tables {
            let Some((name, at, mut params)) = self.component("filter", table, &kinds) else { continue };
            let filter = (filter::KINDS[at].make)(&mut params, self.schema);
            if let Some(filter) = self.take(filter.and_then(|filter| params.finish().map(|()| filter))) {
                made.push(filter::Named { name: format!("filter.{name}"), filter });
            }
        }
        made
    }

    fn strategies(&mut self, tables: Vec<Table>) -> Vec<strategy::Named> {
        let kinds: Vec<&str> = strategy::KINDS.iter().map(|kind| kind.name).collect();
        let mut made = Vec::new();
        for table in tables {
            let Some((name, at, mut params)) = self.component("strategy", table, &kinds) else { continue };
            let strategy = (strategy::KINDS[at].make)(&mut params, self.schema);
            if let Some(strategy) = self.take(strategy.and_then(|made| params.finish().map(|()| made))) {
                made.push(strategy::Named { name, strategy });
            }
        }
        made
    }

    /// The name of a component, the place of its kind in `kinds`, and the rest of its keys.
    fn component(&mut self, section: &str, table: Table, kinds: &[&str]) -> Option<(String, usize, Params)> {
        let name = name_of(&Value::Table(table.clone())).unwrap_or("?").to_owned();
        let mut params = Params::new(format!("{section}.{name}"), table);
        let kind = params.string("kind");
        let kind = self.take(kind)?;
        self.take(params.string_or_none("name"))?;
        let Some(at) = kinds.iter().position(|k| *k == kind) else {
            let detail = format!("unknown kind {kind:?}{}", did_you_mean(&kind, kinds.iter().copied()));
            self.wrong(format!("{section}.{name}.kind"), detail);
            return None;
        };
        Some((name, at, params))
    }
}
