//! Builds a key-list file in memory and puts it in place whole. The same input gives the same bytes, in whatever order it came.

use std::io::Write;
use std::path::Path;

use rustc_hash::FxHashMap;

use super::encode::{Encoder, Plan, part_count};
use super::format::{HEADER, Header, IndexKind, KeyKind};
use super::list::Op;
use super::perfect::{PART_KEYS, part_of};
use super::record::{Entry, Layout};
use super::spec::{Built, TableSpec};
use super::statistics::Statistics;
use super::stride::{Sizes, choose_stride};
use super::{EXTENSION, Key, hash};
use crate::types::id;
use crate::{Error, Result};

/// Longest list.
pub const MAX_LIST: usize = 1 << 20;

/// Takes lists in any order and makes a file of them. Holds all of them in memory until then.
#[derive(Debug)]
pub struct Writer {
    spec: TableSpec,
    texts: Vec<u8>,
    lists: Vec<Pending>,
    items: Vec<u32>,
    scores: Vec<f32>,
    vectors: Vec<f32>,
    dictionary: FxHashMap<Box<str>, u32>,
    seen: Vec<u32>,
    pushes: u32,
}

/// A list that was pushed: its key (a place in `texts`, or a number) and its places in `items` and `scores`, and in `vectors`.
#[derive(Debug)]
struct Pending {
    hash: u64,
    key: PendingKey,
    op: Op,
    start: usize,
    count: usize,
    vector: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum PendingKey {
    U64(u64),
    Text { start: usize, length: usize },
}

impl Writer {
    /// An empty table.
    ///
    /// # Errors
    /// A name that can't be one, a shard that is not among the shards, a vector too wide.
    pub fn new(spec: TableSpec) -> Result<Self> {
        spec.check()?;
        Ok(Self {
            spec,
            texts: Vec::new(),
            lists: Vec::new(),
            items: Vec::new(),
            scores: Vec::new(),
            vectors: Vec::new(),
            dictionary: FxHashMap::default(),
            seen: Vec::new(),
            pushes: 0,
        })
    }

    /// Adds the list of a key, in the order given. An empty list is kept: the key is then known to have nothing.
    ///
    /// # Errors
    /// A key or item that is no id, a score that is not finite, an item twice, a list longer than [`MAX_LIST`]. The same
    /// key twice is found by [`Writer::finish`].
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
        let start = self.items.len();
        let taken = self.add(key, op, list.len(), vector, |writer, mark| {
            list.iter().try_for_each(|(item, score)| {
                let number = writer.number(item)?;
                writer.take(mark, number, *score).map_err(|wrong| format!("item {item:?}{wrong}"))
            })
        });
        self.settle(key, start, taken)
    }

    /// The number under which [`Writer::push_numbered`] knows an item; the same one each time. What numbers are has no influence on
    /// the file.
    ///
    /// # Errors
    /// An item that is no id, or 2^32 of them.
    pub fn item(&mut self, item: &str) -> Result<u32> {
        self.number(item).map_err(|detail| Error::invalid("items", detail))
    }

    /// [`Writer::push`] by numbers that [`Writer::item`] gave: faster, for lists in bulk.
    ///
    /// # Errors
    /// As [`Writer::push`]; a number that was never given.
    pub fn push_numbered<'k>(&mut self, key: impl Into<Key<'k>>, list: &[(u32, f32)]) -> Result<()> {
        let key = key.into();
        let start = self.items.len();
        let taken = self.add(key, Op::Replace, list.len(), None, |writer, mark| {
            list.iter().try_for_each(|(number, score)| {
                writer.take(mark, *number, *score).map_err(|wrong| format!("item number {number}{wrong}"))
            })
        });
        self.settle(key, start, taken)
    }

    /// Takes back what a refused list left, and says whose list it was.
    fn settle(&mut self, key: Key<'_>, start: usize, taken: std::result::Result<(), String>) -> Result<()> {
        taken.map_err(|detail| {
            self.items.truncate(start);
            self.scores.truncate(start);
            Error::invalid(format!("key {key}"), detail)
        })
    }

    fn add(
        &mut self,
        key: Key<'_>,
        op: Op,
        count: usize,
        vector: Option<&[f32]>,
        places: impl FnOnce(&mut Self, u32) -> std::result::Result<(), String>,
    ) -> std::result::Result<(), String> {
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
        let stored = self.stored_key(key)?;
        // The mark of a list is the number of its push, so that the marks of other lists need no clearing.
        self.pushes = self.pushes.checked_add(1).ok_or("more than 2^32-1 lists")?;
        let start = self.items.len();
        places(self, self.pushes)?;
        let hashed = match stored {
            PendingKey::U64(number) => hash::number(number),
            PendingKey::Text { .. } => hash::of(key),
        };
        if let (Key::Str(text), PendingKey::Text { .. }) = (key, stored) {
            self.texts.extend_from_slice(text.as_bytes());
        }
        let vector = vector.map(|vector| {
            self.vectors.extend_from_slice(vector);
            self.vectors.len() - vector.len()
        });
        self.lists.push(Pending { hash: hashed, key: stored, op, start, count, vector });
        Ok(())
    }

    fn stored_key(&self, key: Key<'_>) -> std::result::Result<PendingKey, String> {
        match (key, self.spec.keys) {
            (Key::U64(number), KeyKind::U64) => Ok(PendingKey::U64(number)),
            (Key::Str(text), KeyKind::U64) => match Key::of_kind(text, KeyKind::U64) {
                Some(Key::U64(number)) => Ok(PendingKey::U64(number)),
                _ => Err("expected a whole number from 0 to 2^64-1, without leading zeros".into()),
            },
            (Key::Str(text), KeyKind::String) => {
                id::check(text).map_err(|error| error.to_string())?;
                Ok(PendingKey::Text { start: self.texts.len(), length: text.len() })
            }
            (Key::U64(_), KeyKind::String) => Err("expected text, found a number".into()),
        }
    }

    fn number(&mut self, item: &str) -> std::result::Result<u32, String> {
        if let Some(number) = self.dictionary.get(item) {
            return Ok(*number);
        }
        id::check(item).map_err(|e| format!("item {item:?}: {e}"))?;
        let number = u32::try_from(self.seen.len()).map_err(|_| "more than 2^32-1 items".to_owned())?;
        self.dictionary.insert(item.into(), number);
        self.seen.push(0);
        Ok(number)
    }

    /// Adds a place to the list of this mark.
    fn take(&mut self, mark: u32, number: u32, score: f32) -> std::result::Result<(), String> {
        if !score.is_finite() {
            return Err(format!(": expected a finite score, found {score}"));
        }
        let seen = self.seen.get_mut(number as usize).ok_or(": was never given by `item`")?;
        if std::mem::replace(seen, mark) == mark {
            return Err(" stands twice in the list".into());
        }
        self.items.push(number);
        self.scores.push(score);
        Ok(())
    }

    /// How many lists were pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// Whether nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Writes `<generation>.keylist` into a folder: a temporary file, fsync, rename, fsync of the folder. A generation that is
    /// there already has the same content and is left.
    ///
    /// # Errors
    /// A key twice, a table too large for the format, or what the system said.
    pub fn finish(self, folder: impl AsRef<Path>) -> Result<Built> {
        let folder = folder.as_ref();
        let (header, statistics, bytes) = self.encode()?;
        let generation = header.generation();
        let path = folder.join(format!("{generation}.{EXTENSION}"));
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        crate::publish::write_whole(&path, |file| file.write_all(&bytes))?;
        Ok(Built { generation, path, statistics })
    }

    /// The generation's name and the bytes of its file.
    ///
    /// # Errors
    /// As [`Writer::finish`], without the system's.
    pub fn into_bytes(self) -> Result<(String, Vec<u8>)> {
        let (header, _, bytes) = self.encode()?;
        Ok((header.generation(), bytes))
    }

    fn encode(mut self) -> Result<(Header, Statistics, Vec<u8>)> {
        let texts = std::mem::take(&mut self.texts);
        let mut lists = std::mem::take(&mut self.lists);
        let order = |list: &Pending| (list.hash, list.key.of(&texts));
        lists.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
        if let Some(pair) = lists.windows(2).find(|pair| order(&pair[0]) == order(&pair[1])) {
            let key = pair[0].key.of(&texts);
            return Err(Error::invalid(format!("key {key}"), "stands twice in the table"));
        }
        let (ids, renumber) = self.sorted_dictionary();
        self.items.iter_mut().for_each(|item| *item = renumber[*item as usize]);
        let mut layout = Layout {
            keys: self.spec.keys,
            scores: self.spec.scores,
            bits: (u32::BITS - (ids.len() as u32).saturating_sub(1).leading_zeros()).max(1),
            vector: self.spec.vector,
            stride: 0,
        };
        let mut sizes = Sizes::new();
        for list in &lists {
            sizes.count(layout.whole(list.key.of(&texts), self.vector_of(list).len(), list.count));
        }
        layout.stride = choose_stride(&sizes, lists.len() as u64 + lists.len() as u64 / 49);
        let ids = || ids.iter().map(|id| &**id);
        if self.spec.index == IndexKind::Perfect
            && let Some(made) = self.encode_as(IndexKind::Perfect, layout, &lists, &texts, ids())?
        {
            return Ok(made);
        }
        let made = self.encode_as(IndexKind::Open, layout, &lists, &texts, ids())?;
        made.ok_or_else(|| Error::invalid("table", "open addressing takes any keys"))
    }

    /// `None`: there is no perfect hash.
    fn encode_as<'i>(
        &self,
        index: IndexKind,
        layout: Layout,
        lists: &[Pending],
        texts: &[u8],
        ids: impl Iterator<Item = &'i str> + Clone,
    ) -> Result<Option<(Header, Statistics, Vec<u8>)>> {
        let hashes: Vec<u64> = lists.iter().map(|list| list.hash).collect();
        let count = if index == IndexKind::Perfect { part_count(lists.len() as u64) } else { 1 };
        let ends: Vec<usize> =
            (1..=count).map(|part| hashes.partition_point(|hash| part_of(*hash, count) < part)).collect();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let ranges: Vec<_> = starts.zip(&ends).map(|(start, end)| start..*end).collect();
        let parts: Vec<u32> = ranges.iter().map(|range| range.len() as u32).collect();
        // Hashes that are as they should be never fill a part twice over.
        if index == IndexKind::Perfect && parts.iter().any(|keys| u64::from(*keys) > 2 * PART_KEYS) {
            return Ok(None);
        }
        let plan = Plan { layout, index, parts };
        let mut encoder = Encoder::new(vec![0; HEADER], plan, self.spec.name.clone().into())?;
        for range in ranges {
            let start = range.start;
            if !encoder.part(&hashes[range], |at| self.entry(&lists[start + at], texts))? {
                return Ok(None);
            }
        }
        let (mut bytes, head, header, statistics) = encoder.finish(&self.spec, ids)?;
        bytes[..HEADER].copy_from_slice(&head);
        Ok(Some((header, statistics, bytes)))
    }

    fn entry<'a>(&'a self, list: &Pending, texts: &'a [u8]) -> Entry<'a> {
        let range = list.start..list.start + list.count;
        Entry {
            key: list.key.of(texts),
            op: list.op,
            items: &self.items[range.clone()],
            scores: &self.scores[range],
            vector: self.vector_of(list),
        }
    }

    fn vector_of(&self, list: &Pending) -> &[f32] {
        list.vector.map_or(&[], |start| &self.vectors[start..start + self.spec.vector as usize])
    }

    /// The ids that lists name, sorted, and the new number of each old one.
    fn sorted_dictionary(&mut self) -> (Vec<Box<str>>, Vec<u32>) {
        // A list that was refused halfway may have left ids that no list names.
        let mut used = vec![false; self.seen.len()];
        self.items.iter().for_each(|item| used[*item as usize] = true);
        let all = std::mem::take(&mut self.dictionary);
        let mut ids: Vec<(Box<str>, u32)> = all.into_iter().filter(|(_, old)| used[*old as usize]).collect();
        ids.sort_unstable();
        let mut renumber = vec![0u32; self.seen.len()];
        for ((_, old), new) in ids.iter().zip(0u32..) {
            renumber[*old as usize] = new;
        }
        (ids.into_iter().map(|(text, _)| text).collect(), renumber)
    }
}

impl PendingKey {
    fn of(self, texts: &[u8]) -> Key<'_> {
        match self {
            Self::U64(number) => Key::U64(number),
            // The bytes were those of a `&str`, so the fallback never happens.
            Self::Text { start, length } => {
                Key::Str(std::str::from_utf8(&texts[start..start + length]).unwrap_or_default())
            }
        }
    }
}
