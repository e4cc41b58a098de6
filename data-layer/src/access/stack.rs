//! A base generation with the deltas on top of it, read as one table. Keys that no delta touches go straight to the base.
//!
//! Newest first, a delta says of a key: *replace* (this is the list), *delete* (there is none) or *merge* (these scores replace those of the
//! same items below, items that are not below come in, and the list is ordered by score, equal ones by the hash of the id, then the id).
//! `publish/overlay.rs` is its plain twin by ids, which also compacts.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use xxhash_rust::xxh3::xxh3_64;

use super::mapped::Mapped;
use super::touched::Touched;
use super::{EachList, ReadLists};
use crate::keylist::{List, MAX_LIST, Op, Table};
use crate::live::Scored;
use crate::publish::{Line, overlay};
use crate::types::Ordinal;
use crate::{Error, Result};

/// Keys whose touch is looked up ahead of reading them.
const BLOCK: usize = 256;

/// What is served of one table: a base and its deltas. Never changes.
#[derive(Debug)]
pub struct Stack {
    base: Arc<Mapped>,
    /// Newest first.
    deltas: Vec<Arc<Mapped>>,
    touched: Touched,
    line: Line,
    identity: u64,
}

/// A place of a merged list, and where its id stands.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    scored: Scored,
    layer: &'a Mapped,
    number: u32,
}

/// What reading a touched key needs; kept from key to key.
#[derive(Debug, Default)]
struct Scratch<'a> {
    merges: Vec<(&'a Mapped, List<'a>)>,
    places: Vec<Place<'a>>,
    seen: FxHashSet<Ordinal>,
}

impl Stack {
    /// Puts deltas, oldest first, onto a base.
    ///
    /// # Errors
    /// A base that is a delta, a delta of another base or kind of key, a damaged record in a delta.
    pub fn new(base: Arc<Mapped>, deltas: Vec<Arc<Mapped>>) -> Result<Self> {
        let line =
            Line { base: base.generation(), deltas: deltas.iter().map(|delta| delta.generation()).collect() };
        if let Some(sum) = base.table().header().base {
            let detail =
                format!("is a delta of the generation with sum {sum:016x}; it can't be served alone");
            return Err(Error::invalid(base.table().path().display().to_string(), detail));
        }
        let mut deltas = deltas;
        deltas.reverse();
        for delta in &deltas {
            overlay::check(delta.table(), base.table())?;
        }
        let keys = deltas.iter().map(|delta| delta.table().header().lists as usize).sum();
        let mut touched = Touched::for_keys(keys);
        for delta in &deltas {
            for entry in delta.table().iter() {
                touched.add(&entry?.0.to_string());
            }
        }
        let identity = xxh3_64(line.to_string().as_bytes());
        Ok(Self { base, deltas, touched, line, identity })
    }

    /// The base.
    #[must_use]
    pub fn base(&self) -> &Arc<Mapped> {
        &self.base
    }

    /// The deltas, newest first.
    #[must_use]
    pub fn deltas(&self) -> &[Arc<Mapped>] {
        &self.deltas
    }

    /// The file of the base.
    #[must_use]
    pub fn table(&self) -> &Table {
        self.base.table()
    }

    /// The file of a generation, where it is one of this stack's.
    pub(super) fn layer(&self, generation: &str) -> Option<Arc<Mapped>> {
        let mut newest_last = self.line.deltas.iter().zip(self.deltas.iter().rev());
        if generation == self.line.base {
            return Some(Arc::clone(&self.base));
        }
        newest_last.find(|(name, _)| *name == generation).map(|(_, layer)| Arc::clone(layer))
    }

    /// Which files it is made of.
    #[must_use]
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Name of what is served: the base's, and `+` with eight hex digits of the newest delta where there is one.
    #[must_use]
    pub fn generation(&self) -> String {
        self.line.name()
    }

    /// A number that stands for this content in this process; the same for the same files.
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    /// Looks a touched key up: in the deltas, newest first, and where none of them settles it in the base, by `below`.
    fn touched_list<'a>(
        &'a self,
        key: &str,
        below: impl FnOnce() -> Result<Option<List<'a>>>,
        scratch: &mut Scratch<'a>,
        at_most: usize,
        out: &mut Vec<Scored>,
    ) -> Result<bool> {
        scratch.merges.clear();
        let mut bottom: Option<Option<(&Mapped, List<'a>)>> = None;
        for delta in &self.deltas {
            let Some(list) = delta.table().get(key)? else { continue };
            match list.op() {
                Op::Merge => scratch.merges.push((delta, list)),
                Op::Replace => bottom = Some(Some((delta, list))),
                Op::Delete => bottom = Some(None),
            }
            if bottom.is_some() {
                break;
            }
        }
        let bottom = match bottom {
            Some(bottom) => bottom,
            None => below()?.map(|list| (&*self.base, list)),
        };
        if !scratch.merges.is_empty() {
            scratch.merges.extend(bottom);
            return scratch.merge(at_most, out).map(|()| true);
        }
        let Some((layer, list)) = bottom else { return Ok(false) };
        layer.take(&list, at_most, out).map(|()| true)
    }
}

impl<'a> Scratch<'a> {
    /// Lists newest first into one: the newest score of each item counts.
    fn merge(&mut self, at_most: usize, out: &mut Vec<Scored>) -> Result<()> {
        self.seen.clear();
        self.places.clear();
        for (layer, list) in &self.merges {
            for (number, score) in list.iter() {
                let item = layer.ordinal(number)?;
                if self.seen.insert(item) {
                    self.places.push(Place { scored: Scored { item, score }, layer, number });
                }
            }
        }
        self.places.sort_unstable_by(|a, b| {
            let (ours, theirs) = (|| a.id(), || b.id());
            let by_score = b.scored.score.total_cmp(&a.scored.score);
            by_score
                .then_with(|| xxh3_64(ours().as_bytes()).cmp(&xxh3_64(theirs().as_bytes())))
                .then_with(|| ours().cmp(theirs()))
        });
        let first = self.places.iter().take(at_most.min(MAX_LIST));
        out.extend(first.map(|place| place.scored));
        Ok(())
    }
}

impl<'a> Place<'a> {
    fn id(&self) -> &'a str {
        self.layer.table().dictionary(self.number)
    }
}

impl ReadLists for Stack {
    fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        let mut list = Vec::with_capacity(at_most.min(1024));
        let mut scratch = Scratch::default();
        for (number, block) in keys.chunks(BLOCK).enumerate() {
            let mut touched = [false; BLOCK];
            if !self.deltas.is_empty() {
                for (touched, key) in touched.iter_mut().zip(block) {
                    *touched = self.touched.may_hold(key);
                }
            }
            self.base.table().multi_get(block, &mut |at, found| {
                list.clear();
                let taken = if touched[at] {
                    self.touched_list(block[at], || found, &mut scratch, at_most, &mut list)
                } else {
                    found.and_then(|found| match found {
                        Some(found) => self.base.take(&found, at_most, &mut list).map(|()| true),
                        None => Ok(false),
                    })
                };
                each(number * BLOCK + at, taken.map(|known| known.then_some(list.as_slice())));
            });
        }
    }

    fn list(&self, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        if self.touched.may_hold(key) {
            let below = || self.base.table().get(key);
            return self.touched_list(key, below, &mut Scratch::default(), at_most, out);
        }
        match self.base.table().get(key)? {
            Some(list) => self.base.take(&list, at_most, out).map(|()| true),
            None => Ok(false),
        }
    }
}
