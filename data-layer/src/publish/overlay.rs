//! A base generation and the deltas on top of it, by ids: what `weir table get` shows and compaction writes. The plain twin of
//! `access/stack.rs`, which does the same by ordinals for requests.

use std::collections::HashMap;

use crate::keylist::{Key, List, MAX_LIST, Op, Table, TableSpec, Writer};
use crate::types::Id;
use crate::{Error, Result};

/// A list by ids, best first.
pub type Places = Vec<(String, f32)>;

/// What a table is made of: the base first, then its deltas, oldest first.
#[derive(Debug)]
pub struct Overlay {
    layers: Vec<Table>,
}

/// Checks that a delta is one, and one for this base.
///
/// # Errors
/// What is wrong, by the names of both.
pub fn check(delta: &Table, base: &Table) -> Result<()> {
    let (over, under) = (delta.header(), base.header());
    let wrong = |detail: String| Err(Error::invalid(delta.path().display().to_string(), detail));
    if let Some(sum) = under.base {
        let name = under.generation();
        return wrong(format!("expected a whole generation below it, found {name}, a delta of {sum:016x}"));
    }
    match over.base {
        None => wrong("expected a delta, found a whole generation; publish it as one".to_owned()),
        Some(sum) if sum != under.sum => wrong(format!(
            "a delta of the generation with sum {sum:016x}, but {} has {:016x}; build it again with --delta",
            under.generation(),
            under.sum
        )),
        Some(_) if over.keys != under.keys => {
            wrong("its keys are of another kind than those of its base".to_owned())
        }
        Some(_) => Ok(()),
    }
}

impl Overlay {
    /// Puts deltas, oldest first, onto a base.
    ///
    /// # Errors
    /// As [`check`], for each delta.
    pub fn new(base: Table, deltas: Vec<Table>) -> Result<Self> {
        deltas.iter().try_for_each(|delta| check(delta, &base))?;
        let mut layers = vec![base];
        layers.extend(deltas);
        Ok(Self { layers })
    }

    /// The base, then the deltas, oldest first.
    #[must_use]
    pub fn layers(&self) -> &[Table] {
        &self.layers
    }

    /// The list of a key; `None` where there is none.
    ///
    /// # Errors
    /// A damaged record in any layer that has the key.
    pub fn list(&self, key: Key<'_>) -> Result<Option<Places>> {
        let mut folded: Option<Places> = None;
        for layer in &self.layers {
            let Some(list) = layer.get_key(key)? else { continue };
            folded = match list.op() {
                Op::Replace => Some(places(layer, &list)),
                Op::Delete => None,
                Op::Merge => Some(merge(folded.unwrap_or_default(), places(layer, &list))),
            };
        }
        Ok(folded)
    }

    /// The vector of a key, into the place of what is in `out`: the newest that a layer has, above whatever deleted the key. `false`
    /// where there is none.
    ///
    /// # Errors
    /// As [`Overlay::list`].
    pub fn vector(&self, key: Key<'_>, out: &mut Vec<f32>) -> Result<bool> {
        for layer in self.layers.iter().rev() {
            if layer.vector(key, out)? {
                return Ok(true);
            }
            if layer.get_key(key)?.is_some_and(|list| list.op() != Op::Merge) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// What one whole generation of all layers is: the base's form, the newest watermark.
    #[must_use]
    pub fn spec(&self) -> TableSpec {
        let header = self.layers[0].header();
        let newest = self.layers.iter().map(|layer| layer.header().watermark).max();
        TableSpec {
            namespace: header.namespace.clone(),
            keys: header.keys,
            scores: header.scores,
            schema_hash: header.schema_hash,
            shard: (header.shard, header.shards),
            index: header.index,
            vector: header.vector,
            ..TableSpec::new(header.name.clone(), newest.unwrap_or(header.watermark))
        }
    }

    /// Every list of all layers as one whole table. `each` is told how many lists went in.
    ///
    /// # Errors
    /// A damaged record, or what the writer says.
    pub fn compact(&self, spec: TableSpec, each: &mut dyn FnMut(u64)) -> Result<Writer> {
        let mut writer = Writer::new(spec)?;
        let mut vector = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            for entry in layer.iter() {
                let (key, _) = entry?;
                // A key goes in once: where the oldest layer that has it comes by.
                if is_in(&self.layers[..at], key)? {
                    continue;
                }
                let Some(list) = self.list(key)? else { continue };
                let list: Vec<(&str, f32)> =
                    list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
                let has_vector = self.vector(key, &mut vector)?;
                writer.push_entry(key, Op::Replace, &list, has_vector.then_some(vector.as_slice()))?;
                each(writer.len() as u64);
            }
        }
        Ok(writer)
    }
}

fn is_in(layers: &[Table], key: Key<'_>) -> Result<bool> {
    for layer in layers {
        if layer.get_key(key)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn places(layer: &Table, list: &List<'_>) -> Places {
    list.iter().map(|(item, score)| (layer.dictionary(item).to_owned(), score)).collect()
}

/// Newer scores replace those of the same items, other items come in; ordered by score, then by the hash of the id, then by the id.
fn merge(below: Places, above: Places) -> Places {
    let mut scores: HashMap<String, f32> = below.into_iter().collect();
    scores.extend(above);
    let mut all: Places = scores.into_iter().collect();
    let tie = |id: &str| Id::new(id).map_or(0, |id| id.tie());
    all.sort_by(|a, b| {
        b.1.total_cmp(&a.1).then_with(|| tie(&a.0).cmp(&tie(&b.0))).then_with(|| a.0.cmp(&b.0))
    });
    all.truncate(MAX_LIST);
    all
}
