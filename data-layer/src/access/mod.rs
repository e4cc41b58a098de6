//! Out: one path over static tables and live lists. A request takes one [`Snapshot`] and sees one generation everywhere.
//!
//! Useful for: every look-up of a list by key. Not useful for: attributes of items or the state of people, which are `live/`'s.

mod ahead;
mod merge;
mod readers;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::keylist::{List, Table};
use crate::live::{LiveLists, Scored};
use crate::types::Ordinal;
use crate::{Error, Result};

pub use ahead::{Ahead, LeftOut, Wanted};
pub use readers::{Hold, Readers, Source, read_here};
pub use tables::{Swap, TableError, Tables};

/// The key under which a table holds its one list, where it has one for everybody; live lists call it the empty key.
pub const EVERYBODY: &str = "all";

/// How a static list and a live list become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// The live list, where there is one with anything in it; else the static one.
    Replace,
    /// Scores of the same item are added.
    Sum,
    /// Each item once, with the greater of its scores.
    #[default]
    Union,
}

/// Takes the place of a key and its list; `None` where the table has no such key.
pub type EachList<'a> = dyn FnMut(usize, Result<Option<&[Scored]>>) + 'a;

/// A list by table and, where it has one, by live list.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// Name of the table.
    pub table: String,
    /// Name of the live list on top of it.
    #[serde(default)]
    pub live: Option<String>,
    /// How the two become one.
    #[serde(default)]
    pub merge: Merge,
    /// What scores of the live list are multiplied with; 1 by default.
    #[serde(default = "one", deserialize_with = "finite")]
    pub live_weight: f32,
}

fn one() -> f32 {
    1.0
}

fn finite<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<f32, D::Error> {
    let weight = f32::deserialize(from)?;
    if weight.is_finite() {
        return Ok(weight);
    }
    Err(serde::de::Error::custom(format!("live_weight: expected a finite number, found {weight}")))
}

/// A table with its items as ordinals of this process.
#[derive(Debug)]
pub struct Mapped {
    table: Table,
    ordinals: Vec<Ordinal>,
}

/// All tables as of one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    tables: BTreeMap<String, Arc<Mapped>>,
}

/// The read path of one request.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// The tables as the request sees them.
    pub snapshot: &'a Snapshot,
    /// Live lists.
    pub live: &'a dyn LiveLists,
}

impl Snapshot {
    /// A table by name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Mapped> {
        self.tables.get(name).map(|table| &**table)
    }

    /// All tables by name.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &Mapped)> {
        self.tables.iter().map(|(name, table)| (name.as_str(), &**table))
    }

    /// Table name to generation.
    #[must_use]
    pub fn generations(&self) -> BTreeMap<String, String> {
        self.tables.iter().map(|(name, table)| (name.clone(), table.generation())).collect()
    }
}

impl Mapped {
    /// Pairs a table with the ordinals of its dictionary, in its order.
    ///
    /// # Errors
    /// As many ordinals as the dictionary has ids are needed.
    pub fn new(table: Table, ordinals: Vec<Ordinal>) -> Result<Self> {
        if ordinals.len() != table.dictionary_len() as usize {
            let detail = format!("expected {} ordinals, found {}", table.dictionary_len(), ordinals.len());
            return Err(Error::invalid(table.path().display().to_string(), detail));
        }
        Ok(Self { table, ordinals })
    }

    /// The table itself.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Name of its generation.
    #[must_use]
    pub fn generation(&self) -> String {
        self.table.header().generation()
    }

    /// Appends the first places of a key's list; `false` where the table has no such key.
    ///
    /// # Errors
    /// A corrupt record; nothing is appended.
    pub fn list(&self, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        self.take(self.table.get(key)?, at_most, out)
    }

    /// [`Mapped::list`] of many keys: `each` is called once per key, in order, with its place and the list.
    pub fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        let mut list = Vec::with_capacity(at_most.min(1024));
        self.table.multi_get(keys, &mut |at, found| {
            list.clear();
            let taken = found.and_then(|found| self.take(found, at_most, &mut list));
            each(at, taken.map(|known| known.then_some(list.as_slice())));
        });
    }

    fn take(&self, found: Option<List<'_>>, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        let Some(list) = found else { return Ok(false) };
        let start = out.len();
        for (item, score) in list.iter().take(at_most) {
            match self.ordinals.get(item as usize) {
                Some(item) => out.push(Scored { item: *item, score }),
                None => {
                    out.truncate(start);
                    return Err(Error::Corrupt {
                        path: self.table.path().to_owned(),
                        section: "records".to_owned(),
                        offset: 0,
                        detail: format!("a list names item {item} of {}", self.ordinals.len()),
                    });
                }
            }
        }
        Ok(true)
    }
}

impl Access<'_> {
    /// Appends a list, static merged with live as the spec says, best first; `false` where neither side has it.
    ///
    /// # Errors
    /// No such table (where there is no live list to stand in), or a corrupt record; nothing is appended.
    pub fn list(&self, spec: &ListSpec, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        let table = self.snapshot.table(&spec.table);
        let Some(live) = &spec.live else {
            return table.ok_or_else(|| no_table(&spec.table))?.list(key, at_most, out);
        };
        let mut fresh = Vec::new();
        let live_key = if key == EVERYBODY { "" } else { key };
        let has_live = self.live.list(live, live_key, at_most, &mut fresh);
        let weigh = |score: f32| (score * spec.live_weight).clamp(f32::MIN, f32::MAX);
        fresh.iter_mut().for_each(|scored| scored.score = weigh(scored.score));
        let mut merged = Vec::new();
        let has_static = match table {
            Some(_) if !fresh.is_empty() && spec.merge == Merge::Replace => false,
            Some(table) => table.list(key, usize::MAX, &mut merged)?,
            None => false,
        };
        merge::merge(spec.merge, &mut merged, &fresh);
        out.extend(merged.into_iter().take(at_most));
        Ok(has_static || has_live)
    }
}

fn no_table(name: &str) -> Error {
    Error::NotFound { what: "table", name: name.to_owned(), hint: "; build and publish it first".to_owned() }
}
