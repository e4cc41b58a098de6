//! Takes lists in any order, in bounded memory, and gives a file of them: the same bytes for the same lists, whatever the order and
//! the memory. How the file is put together is `assemble.rs`'s.

use std::io::Write;
use std::path::Path;

use rustc_hash::FxHashMap;

use super::assemble;
use super::dictionary::Dictionary;
use super::format::{KeyKind, MOST_STRIDE, ScoreCodec};
use super::levels::Levels;
use super::list::Op;
use super::pending::{Form, Lists, Raw};
use super::spec::{Built, TableSpec};
use super::spill::Spill;
use super::statistics::Tally;
use super::{EXTENSION, Key, MAX_KEY, hash};
use crate::types::id;
use crate::{Error, Result};

/// Longest list.
pub const MAX_LIST: usize = 1 << 20;
/// What [`Writer::finish`] says of a key that was pushed twice.
pub const TWICE: &str = "stands twice in the table";
/// Memory that lists may have at least, whatever the budget.
const LEAST_MEMORY: usize = 1 << 20;

/// In `seen`: a list of the table names the item.
pub(super) const USED: u16 = 1 << 15;

/// Told how many lists of how many are in the file.
pub type OnLists<'a> = dyn FnMut(u64, u64) + 'a;

/// Takes lists in any order and makes a file of them.
///
/// Lists that do not fit into [`TableSpec::memory`] wait in a file without a name in [`TableSpec::scratch`]. Beside them it holds
/// the ids of all items and, while the file is written, the lists of one part of 65,536 keys.
#[derive(Debug)]
pub struct Writer {
    pub(super) spec: TableSpec,
    pub(super) lists: Lists,
    pub(super) spill: Spill,
    pub(super) pushed: u64,
    /// Lists by shape, less those of `shape`.
    pub(super) shapes: FxHashMap<Shape, u64>,
    /// The shape of the last list, and how many of it there were in a row.
    pub(super) shape: (Shape, u64),
    pub(super) dictionary: Dictionary,
    /// The mark of the last list that named an item, and [`USED`] where a list that was not refused did.
    pub(super) seen: Vec<u16>,
    marks: u16,
    pub(super) tally: Tally,
    staged: Staged,
}

/// The list at hand.
#[derive(Debug, Default)]
struct Staged {
    items: Vec<u32>,
    scores: Vec<f32>,
    levels: Levels,
    /// Greatest difference between a score as given and as stored.
    error: f32,
}

impl Staged {
    fn quantise(&mut self, codec: ScoreCodec) -> std::result::Result<(), String> {
        self.error = self.levels.take(codec, &self.scores)?;
        Ok(())
    }
}

/// Bytes of key and vector, and places up to a limit.
pub(super) type Shape = (u32, u32);

/// What is wrong with a place of a list: which, and why.
type Wrong = (usize, String);

impl Writer {
    /// An empty table.
    ///
    /// # Errors
    /// A name that can't be one, a shard that is not among the shards, a vector too wide.
    pub fn new(spec: TableSpec) -> Result<Self> {
        spec.check()?;
        let memory = spec.memory.max(LEAST_MEMORY);
        Ok(Self {
            lists: Lists::new(Form::of(&spec), memory),
            spill: Spill::new(spec.scratch.clone()),
            spec: TableSpec { memory, ..spec },
            pushed: 0,
            shapes: FxHashMap::default(),
            shape: ((0, 0), 0),
            dictionary: Dictionary::new(),
            seen: Vec::new(),
            marks: 0,
            tally: Tally::new(),
            staged: Staged::default(),
        })
    }

    /// Adds the list of a key, in the order given. An empty list is kept: the key is then known to have nothing.
    ///
    /// # Errors
    /// A key or item that is no id, a score that is not finite, an item twice, a list longer than [`MAX_LIST`]; no room in the
    /// scratch folder. The same key twice is found by [`Writer::finish`].
    pub fn push<'k>(&mut self, key: impl Into<Key<'k>>, list: &[(&str, f32)]) -> Result<()> {
        self.push_entry(key, Op::Replace, list, None)
    }

    /// [`Writer::push`] with what a delta does with the list, and the key's vector.
    ///
    /// # Errors
    /// As [`Writer::push`]; a vector of another width than the table's, or with a number that is not finite; an operation other than
    /// [`Op::Replace`] in a whole table, or a deletion with a list or a vector.
    pub fn push_entry<'k>(
        &mut self,
        key: impl Into<Key<'k>>,
        op: Op,
        list: &[(&str, f32)],
        vector: Option<&[f32]>,
    ) -> Result<()> {
        let key = key.into();
        let wrong = |detail: String| Error::invalid(format!("key {key}"), detail);
        let stored = self.check(key, op, list.len(), vector).map_err(wrong)?;
        let mut staged = std::mem::take(&mut self.staged);
        staged.scores.clear();
        staged.scores.extend(list.iter().map(|(_, score)| *score));
        staged.items.clear();
        let taken = list
            .iter()
            .try_for_each(|(item, _)| self.number(item).map(|number| staged.items.push(number)))
            .and_then(|()| {
                let placed = |(at, why): Wrong| format!("item {:?}{why}", list[at].0);
                finite(&staged.scores).map_err(placed)?;
                staged.quantise(self.spec.scores)?;
                self.mark(&staged.items).map_err(placed)
            });
        self.staged = staged;
        taken.map_err(wrong)?;
        self.keep(stored, op, vector.unwrap_or(&[]))
    }

    /// The number under which [`Writer::push_numbered`] knows an item; the same one each time. What numbers are has no influence on
    /// the file.
    ///
    /// # Errors
    /// An item that is no id, or 2^32 of them.
    pub fn item(&mut self, item: &str) -> Result<u32> {
        self.number(item).map_err(|detail| Error::invalid("items", detail))
    }

    /// The item of a number that [`Writer::item`] gave; empty for others.
    #[must_use]
    pub fn item_text(&self, number: u32) -> &str {
        self.dictionary.text(number)
    }

    /// [`Writer::push`] by numbers that [`Writer::item`] gave: faster, for lists in bulk.
    ///
    /// # Errors
    /// As [`Writer::push`]; a number that was never given.
    pub fn push_numbered<'k>(&mut self, key: impl Into<Key<'k>>, list: &[(u32, f32)]) -> Result<()> {
        self.push_entry_numbered(key, Op::Replace, list)
    }

    /// [`Writer::push_numbered`] with what a delta does with the list.
    ///
    /// # Errors
    /// As [`Writer::push_entry`]; a number that was never given.
    pub fn push_entry_numbered<'k>(
        &mut self,
        key: impl Into<Key<'k>>,
        op: Op,
        list: &[(u32, f32)],
    ) -> Result<()> {
        let key = key.into();
        let wrong = |detail: String| Error::invalid(format!("key {key}"), detail);
        let stored = self.check(key, op, list.len(), None).map_err(wrong)?;
        let mut staged = std::mem::take(&mut self.staged);
        staged.items.clear();
        staged.items.extend(list.iter().map(|(item, _)| *item));
        staged.scores.clear();
        staged.scores.extend(list.iter().map(|(_, score)| *score));
        let placed = |(at, why): Wrong| format!("item number {}{why}", list[at].0);
        let taken = finite(&staged.scores)
            .map_err(placed)
            .and_then(|()| staged.quantise(self.spec.scores))
            .and_then(|()| self.mark(&staged.items).map_err(placed));
        self.staged = staged;
        taken.map_err(wrong)?;
        self.keep(stored, op, &[])
    }

    /// Everything about an entry but its places; gives the key as it is stored.
    fn check<'k>(
        &self,
        key: Key<'k>,
        op: Op,
        count: usize,
        vector: Option<&[f32]>,
    ) -> std::result::Result<Key<'k>, String> {
        if count > MAX_LIST {
            return Err(format!("expected at most {MAX_LIST} items, found {count}"));
        }
        if self.spec.delta.is_none() && op != Op::Replace {
            return Err("merge and delete are for deltas; a whole table only has lists".into());
        }
        if op == Op::Delete && (count > 0 || vector.is_some()) {
            return Err("a deleted key has no list and no vector".into());
        }
        if let Some(vector) = vector {
            let width = self.spec.vector as usize;
            if vector.len() != width || width == 0 {
                return Err(format!("expected a vector of {width} numbers, found {}", vector.len()));
            }
            if let Some(number) = vector.iter().find(|number| !number.is_finite()) {
                return Err(format!("expected finite numbers in the vector, found {number}"));
            }
        }
        match (key, self.spec.keys) {
            (Key::U64(_), KeyKind::U64) => Ok(key),
            (Key::Str(text), KeyKind::U64) => Key::of_kind(text, KeyKind::U64)
                .ok_or_else(|| "expected a whole number from 0 to 2^64-1, without leading zeros".into()),
            (Key::Str(text), KeyKind::String) => {
                let whole = Key::of_kind(text, KeyKind::String);
                whole.ok_or_else(|| format!("expected 1 to {MAX_KEY} bytes, found {}", text.len()))
            }
            (Key::U64(_), KeyKind::String) => Err("expected text, found a number".into()),
        }
    }

    fn number(&mut self, item: &str) -> std::result::Result<u32, String> {
        if let Some(number) = self.dictionary.find(item) {
            return Ok(number);
        }
        id::check(item).map_err(|e| format!("item {item:?}: {e}"))?;
        let number = self.dictionary.add(item)?;
        self.seen.push(0);
        Ok(number)
    }

    /// Marks the items of a list as seen, each once. A list that is refused makes none of them used.
    fn mark(&mut self, items: &[u32]) -> std::result::Result<(), Wrong> {
        // Each list has a mark of its own, so that those of other lists need no clearing until marks run out.
        if self.marks == USED - 1 {
            self.seen.iter_mut().for_each(|seen| *seen &= USED);
            self.marks = 0;
        }
        self.marks += 1;
        let mark = self.marks;
        let mut used = USED;
        for (at, number) in items.iter().enumerate() {
            let Some(seen) = self.seen.get_mut(*number as usize) else {
                return Err((at, ": was never given by `item`".to_owned()));
            };
            if *seen & !USED == mark {
                return Err((at, " stands twice in the list".to_owned()));
            }
            used &= *seen;
            *seen = *seen & USED | mark;
        }
        if used == 0 {
            items.iter().for_each(|number| self.seen[*number as usize] |= USED);
        }
        Ok(())
    }

    /// Keeps the list at hand; where memory does not suffice, those before it go to disk first.
    fn keep(&mut self, key: Key<'_>, op: Op, vector: &[f32]) -> Result<()> {
        let Staged { items, scores, levels, error } = &self.staged;
        let words = self.lists.words_of(key, vector.len(), items.len());
        if !self.lists.places().is_empty() && self.lists.bytes_with(words) > self.spec.memory {
            self.spill.write(&mut self.lists)?;
            self.lists.clear();
        }
        let length = match key {
            Key::U64(_) => 8,
            Key::Str(text) => 2 + text.len(),
        };
        // Longer lists never fit beside their key, and need no shapes of their own.
        let shape = ((length + vector.len() * 4) as u32, items.len().min(MOST_STRIDE as usize) as u32);
        if self.shape.0 == shape {
            self.shape.1 += 1;
        } else {
            let (before, count) = std::mem::replace(&mut self.shape, (shape, 1));
            *self.shapes.entry(before).or_default() += count;
        }
        self.tally.list(scores, *error);
        self.lists.push(&Raw { hash: hash::of(key), key, op, items, scores: levels.stored(), vector });
        self.pushed += 1;
        Ok(())
    }

    /// How many lists were pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pushed as usize
    }

    /// Whether nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// Writes `<generation>.keylist` into a folder: a temporary file, fsync, rename, fsync of the folder. A generation that is
    /// there already has the same content and is left.
    ///
    /// # Errors
    /// A key twice, a table too large for the format, or what the system said.
    pub fn finish(self, folder: impl AsRef<Path>) -> Result<Built> {
        self.finish_watched(folder, &mut |_, _| {})
    }

    /// [`Writer::finish`], telling how far it is. After the last list the file is synced, which may take a while.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn finish_watched(self, folder: impl AsRef<Path>, on_lists: &mut OnLists<'_>) -> Result<Built> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let place = folder.join(format!("{}.{EXTENSION}", self.spec.name));
        crate::publish::write_named(&place, |file| {
            let (header, statistics) = assemble::assemble(self, file, &place, on_lists)?;
            let generation = header.generation();
            let path = folder.join(format!("{generation}.{EXTENSION}"));
            Ok((path.clone(), Built { generation, path, statistics }))
        })
    }

    /// The generation's name and the bytes of its file.
    ///
    /// # Errors
    /// As [`Writer::finish`], without the system's of the file.
    pub fn into_bytes(self) -> Result<(String, Vec<u8>)> {
        let mut bytes = Vec::new();
        let name = self.spec.name.clone();
        let (header, _) = assemble::assemble(self, &mut bytes, name.as_ref(), &mut |_, _| {})?;
        Ok((header.generation(), bytes))
    }
}

/// That all scores are finite.
fn finite(scores: &[f32]) -> std::result::Result<(), Wrong> {
    // Bits of infinities and NaNs are above those of all finite numbers, signs aside.
    if scores.iter().fold(0, |most, score| most.max(score.abs().to_bits())) >= f32::INFINITY.to_bits() {
        let at = scores.iter().position(|score| !score.is_finite()).unwrap_or(0);
        return Err((at, format!(": expected a finite score, found {}", scores[at])));
    }
    Ok(())
}

/// Where a file is put together.
pub(super) trait Target: Write {
    /// Forgets what was written.
    fn restart(&mut self) -> std::io::Result<()>;

    /// Replaces the first bytes.
    fn head(&mut self, bytes: &[u8]) -> std::io::Result<()>;
}

impl Target for Vec<u8> {
    fn restart(&mut self) -> std::io::Result<()> {
        self.clear();
        Ok(())
    }

    fn head(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self[..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl Target for std::fs::File {
    fn restart(&mut self) -> std::io::Result<()> {
        self.set_len(0)?;
        std::io::Seek::rewind(self)
    }

    fn head(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        std::io::Seek::rewind(self)?;
        self.write_all(bytes)
    }
}
