//! All tables as of one moment: what a request takes once and reads from until it is answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Cache, CacheStats, Cached, Counted, Counts, ReadLists, Stack, Tally};

/// All tables as of one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) tables: BTreeMap<String, Shelf>,
}

/// A table: what is served of it, and what stays with it from one generation to the next.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) stack: Arc<Stack>,
    pub(super) counts: Arc<Counts>,
    pub(super) cache: Option<Arc<Cache>>,
}

impl Shelf {
    /// The same table with other content; what was counted and kept stays with it. A new one has a cache of so many bytes.
    pub(super) fn after(before: Option<&Self>, stack: Stack, cache: usize) -> Self {
        let stack = Arc::new(stack);
        match before {
            Some(before) => Self { stack, ..before.clone() },
            None => {
                let cache = (cache > 0).then(|| Arc::new(Cache::new(cache)));
                Self { stack, counts: Arc::default(), cache }
            }
        }
    }
}

impl Snapshot {
    /// What is served of a table.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Stack> {
        self.tables.get(name).map(|shelf| &*shelf.stack)
    }

    /// The lists of a table as a request reads them: counted, and cached where the configuration says so.
    #[must_use]
    pub fn lists(&self, name: &str) -> Option<impl ReadLists + '_> {
        self.tables.get(name).map(|shelf| {
            let cached = Cached::new(&*shelf.stack, shelf.cache.as_deref(), shelf.stack.identity());
            Counted::new(cached, &shelf.counts)
        })
    }

    /// All tables by name.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &Stack)> {
        self.tables.iter().map(|(name, shelf)| (name.as_str(), &*shelf.stack))
    }

    /// What was read of each table since the process started, and what its cache did.
    pub fn counts(&self) -> impl Iterator<Item = (&str, Tally, Option<CacheStats>)> {
        let cache = |shelf: &Shelf| shelf.cache.as_ref().map(|cache| cache.stats());
        self.tables.iter().map(move |(name, shelf)| (name.as_str(), shelf.counts.tally(), cache(shelf)))
    }

    /// Table name to generation.
    #[must_use]
    pub fn generations(&self) -> BTreeMap<String, String> {
        self.tables.iter().map(|(name, shelf)| (name.clone(), shelf.stack.generation())).collect()
    }
}
