//! Builds a key-list file in memory and puts it in place whole. The same input gives the same bytes, in whatever order it came.

use std::io::Write;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::Xxh3;

use super::encode::{dictionary, index, record, section};
use super::format::{BUCKET, FORMAT_VERSION, HEADER, Header, KeyKind, ScoreCodec, Sections, Statistics};
use super::table::hash;
use super::{EXTENSION, Key};
use crate::config::check_name;
use crate::types::{DEFAULT_NAMESPACE, Millis, id};
use crate::{Error, Result};

/// Longest list.
pub const MAX_LIST: usize = 1 << 20;

/// What a table is, apart from its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Namespace it belongs to.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What keys are.
    pub keys: KeyKind,
    /// How scores are stored.
    pub scores: ScoreCodec,
    /// How far the source had come; becomes the generation's name.
    pub watermark: Millis,
    /// Hash of what the builder calls its schema; 0 where there is none.
    pub schema_hash: u64,
    /// This shard, and how many there are.
    pub shard: (u32, u32),
}

impl TableSpec {
    /// String keys, 16-bit scores, one shard, namespace `main`.
    #[must_use]
    pub fn new(name: impl Into<String>, watermark: Millis) -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            name: name.into(),
            keys: KeyKind::default(),
            scores: ScoreCodec::default(),
            watermark,
            schema_hash: 0,
            shard: (0, 1),
        }
    }
}

/// A generation that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Its name.
    pub generation: String,
    /// Its file.
    pub path: PathBuf,
    /// Counts and ranges.
    pub statistics: Statistics,
}

/// Takes lists in any order and makes a file of them. Holds all of them in memory until then.
#[derive(Debug)]
pub struct Writer {
    spec: TableSpec,
    texts: Vec<u8>,
    lists: Vec<Pending>,
    items: Vec<u32>,
    scores: Vec<f32>,
    dictionary: FxHashMap<Box<str>, u32>,
    seen: Vec<u32>,
    pushes: u32,
}

/// A list that was pushed: its key (a place in `texts`, or a number) and its place in `items` and `scores`.
#[derive(Debug)]
struct Pending {
    key: PendingKey,
    start: usize,
    count: usize,
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
    /// A name that can't be one, a shard that is not among the shards.
    pub fn new(spec: TableSpec) -> Result<Self> {
        check_name(&spec.namespace).map_err(|detail| Error::invalid("namespace", detail))?;
        check_name(&spec.name).map_err(|detail| Error::invalid("table name", detail))?;
        if spec.shard.0 >= spec.shard.1 {
            let detail = format!("expected a shard below {}, found {}", spec.shard.1, spec.shard.0);
            return Err(Error::invalid("shard", detail));
        }
        Ok(Self {
            spec,
            texts: Vec::new(),
            lists: Vec::new(),
            items: Vec::new(),
            scores: Vec::new(),
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
        let key = key.into();
        let wrong = |detail: String| Err(Error::invalid(format!("key {key}"), detail));
        if list.len() > MAX_LIST {
            return wrong(format!("expected at most {MAX_LIST} items, found {}", list.len()));
        }
        let pending = match (key, self.spec.keys) {
            (Key::U64(number), KeyKind::U64) => PendingKey::U64(number),
            (Key::Str(text), KeyKind::U64) => match Key::of_kind(text, KeyKind::U64) {
                Some(Key::U64(number)) => PendingKey::U64(number),
                _ => return wrong("expected a whole number from 0 to 2^64-1, without leading zeros".into()),
            },
            (Key::Str(text), KeyKind::String) => {
                if let Err(error) = id::check(text) {
                    return wrong(error.to_string());
                }
                PendingKey::Text { start: self.texts.len(), length: text.len() }
            }
            (Key::U64(_), KeyKind::String) => return wrong("expected text, found a number".into()),
        };
        let start = self.items.len();
        if let Err(detail) = self.take(list) {
            self.items.truncate(start);
            self.scores.truncate(start);
            return wrong(detail);
        }
        if let (Key::Str(text), PendingKey::Text { .. }) = (key, pending) {
            self.texts.extend_from_slice(text.as_bytes());
        }
        self.lists.push(Pending { key: pending, start, count: list.len() });
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

    fn take(&mut self, list: &[(&str, f32)]) -> std::result::Result<(), String> {
        // The mark of a list is the number of its push, so that the marks of other lists need no clearing.
        self.pushes = self.pushes.checked_add(1).ok_or("more than 2^32-1 lists")?;
        let mark = self.pushes;
        for (item, score) in list {
            if !score.is_finite() {
                return Err(format!("item {item:?}: expected a finite score, found {score}"));
            }
            let number = match self.dictionary.get(*item) {
                Some(number) => *number,
                None => {
                    id::check(item).map_err(|e| format!("item {item:?}: {e}"))?;
                    let number =
                        u32::try_from(self.seen.len()).map_err(|_| "more than 2^32-1 items".to_owned())?;
                    self.dictionary.insert((*item).into(), number);
                    self.seen.push(0);
                    number
                }
            };
            if std::mem::replace(&mut self.seen[number as usize], mark) == mark {
                return Err(format!("item {item:?} stands twice in the list"));
            }
            self.items.push(number);
            self.scores.push(*score);
        }
        Ok(())
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
        lists.sort_unstable_by(|a, b| a.key.of(&texts).cmp(&b.key.of(&texts)));
        if let Some(pair) = lists.windows(2).find(|pair| pair[0].key.of(&texts) == pair[1].key.of(&texts)) {
            let key = pair[0].key.of(&texts);
            return Err(Error::invalid(format!("key {key}"), "stands twice in the table"));
        }
        let (ids, renumber) = self.sorted_dictionary();
        let mut statistics = Statistics {
            lists: lists.len() as u64,
            entries: self.items.len() as u64,
            items: ids.len() as u64,
            ..Statistics::default()
        };
        let seed = seed(&lists, &texts);
        let mut bytes = vec![0u8; HEADER];
        let mut places = Vec::with_capacity(lists.len());
        for list in &lists {
            let key = list.key.of(&texts);
            places.push((hash(key, seed), bytes.len()));
            let range = list.start..list.start + list.count;
            let (items, scores) = (&self.items[range.clone()], &self.scores[range]);
            record(&mut bytes, key, self.spec.scores, items, &renumber, scores, &mut statistics)?;
        }
        let records = section(&mut bytes, HEADER);
        let start = bytes.len();
        index(&mut bytes, &places)?;
        let index = section(&mut bytes, start);
        let start = bytes.len();
        dictionary(&mut bytes, &ids)?;
        let dictionary = section(&mut bytes, start);
        let start = bytes.len();
        serde_json::to_writer(&mut bytes, &statistics)
            .map_err(|e| Error::invalid("statistics", e.to_string()))?;
        let text = section(&mut bytes, start);
        let sections = Sections { records, index, dictionary, statistics: text };
        let mut header = self.header(&statistics, seed, sections, bytes.len());
        bytes[..HEADER].copy_from_slice(&header.encode());
        Ok((header, statistics, bytes))
    }

    fn header(self, statistics: &Statistics, seed: u64, sections: Sections, length: usize) -> Header {
        Header {
            version: FORMAT_VERSION,
            namespace: self.spec.namespace,
            name: self.spec.name,
            keys: self.spec.keys,
            scores: self.spec.scores,
            watermark: self.spec.watermark,
            schema_hash: self.spec.schema_hash,
            shard: self.spec.shard.0,
            shards: self.spec.shard.1,
            seed,
            lists: statistics.lists,
            entries: statistics.entries,
            items: statistics.items as u32,
            score_error: statistics.score_error,
            file_length: length as u64,
            sum: 0,
            buckets: sections.index.length / BUCKET as u64,
            sections,
        }
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

/// Seed of the key hash: the hash of all keys in order.
fn seed(lists: &[Pending], texts: &[u8]) -> u64 {
    let mut state = Xxh3::new();
    for list in lists {
        match list.key.of(texts) {
            Key::U64(number) => state.update(&number.to_le_bytes()),
            Key::Str(text) => {
                state.update(text.as_bytes());
                state.update(&[0]);
            }
        }
    }
    state.digest()
}
