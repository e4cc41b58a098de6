//! Out: one path over static tables and live lists. A request takes one [`Snapshot`] and sees one generation everywhere.
//!
//! Useful for: every look-up of a list by key. Not useful for: attributes of items or the state of people, which are `live/`'s.

mod ahead;
mod cache;
mod count;
mod damage;
mod mapped;
mod merge;
mod read;
mod readers;
mod scrub;
mod snapshot;
mod stack;
mod tables;
#[cfg(test)]
mod tests;
mod timeout;
mod touched;

use serde::Deserialize;

use crate::live::{LiveLists, Scored};
use crate::types::Millis;
use crate::types::time::parse_span;
use crate::{Error, Result};

pub use ahead::{Ahead, LeftOut, Wanted};
pub use cache::{Cache, CacheStats, Cached};
pub use count::{Counted, Counts, Tally};
pub use mapped::Mapped;
pub use read::{EachList, ReadLists};
pub use readers::{Hold, Readers, Source, read_here};
pub use scrub::{RATE, Scrubber};
pub use snapshot::Snapshot;
pub use stack::Stack;
pub use tables::{Swap, TableError, Tables};
pub use timeout::Timed;

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
    /// The live list fades: a score counts half for each such span since the item's newest action. `None`: it does not. For
    /// live lists that say when; `trending` does, in steps of six hours.
    #[serde(default, deserialize_with = "span")]
    pub live_half_life: Option<Millis>,
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

fn span<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<Millis>, D::Error> {
    let text = String::deserialize(from)?;
    match parse_span(&text) {
        Ok(span) if span > 0 => Ok(Some(span)),
        Ok(_) => Err(serde::de::Error::custom("live_half_life: expected a span above 0")),
        Err(error) => Err(serde::de::Error::custom(format!("live_half_life: {error}"))),
    }
}

/// The read path of one request.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// The tables as the request sees them.
    pub snapshot: &'a Snapshot,
    /// Live lists.
    pub live: &'a dyn LiveLists,
    /// The time of the request; what live lists that fade are counted against.
    pub now_ms: Millis,
}

impl Access<'_> {
    /// Appends a list, static merged with live as the spec says, best first; `false` where neither side has it.
    ///
    /// # Errors
    /// No such table (where there is no live list to stand in), or a corrupt record; nothing is appended.
    pub fn list(&self, spec: &ListSpec, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        let table = self.snapshot.lists(&spec.table);
        if spec.live.is_none() {
            return table.ok_or_else(|| no_table(&spec.table))?.list(key, at_most, out);
        }
        let mut merger = merge::Merger::new(spec, self.live, self.now_ms);
        merger.look_up(key);
        let mut fixed = Vec::new();
        let known = match table {
            Some(table) if !merger.alone() => table.list(key, usize::MAX, &mut fixed)?,
            _ => false,
        };
        let merged = merger.merge(known.then_some(&fixed));
        out.extend(merged.into_iter().flatten().take(at_most));
        Ok(merged.is_some())
    }

    /// [`Access::list`] of many keys, until `passed` says that it is too late: `each` is called once per key, in order, with its
    /// place and its list; keys for which there was no time are [`Error::Late`].
    pub fn lists(
        &self,
        spec: &ListSpec,
        keys: &[&str],
        at_most: usize,
        passed: &dyn Fn() -> bool,
        each: &mut EachList<'_>,
    ) {
        let Some(table) = self.snapshot.lists(&spec.table) else {
            for (at, key) in keys.iter().enumerate() {
                let mut list = Vec::new();
                let known = self.list(spec, key, at_most, &mut list);
                each(at, known.map(|known| known.then_some(list.as_slice())));
            }
            return;
        };
        let timed = Timed::new(table, passed);
        if spec.live.is_none() {
            return timed.lists(keys, at_most, each);
        }
        let mut merger = merge::Merger::new(spec, self.live, self.now_ms);
        timed.lists(keys, usize::MAX, &mut |at, found| {
            merger.look_up(keys[at]);
            let merged = match found {
                Err(error) if !merger.alone() || matches!(error, Error::Late { .. }) => Err(error),
                found => Ok(merger.merge(found.ok().flatten())),
            };
            each(at, merged.map(|list| list.map(|list| &list[..list.len().min(at_most)])));
        });
    }
}

fn no_table(name: &str) -> Error {
    Error::NotFound { what: "table", name: name.to_owned(), hint: "; build and publish it first".to_owned() }
}
