//! Lists that a request had read ahead for it, and those it wanted. Who reads them is `readers.rs`'s.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{ListSpec, Snapshot};
use crate::live::Scored;

/// Lists to read of one table, each key once.
#[derive(Debug, Clone)]
pub struct Wanted {
    spec: ListSpec,
    at_most: usize,
    keys: Vec<String>,
    places: FxHashMap<String, usize>,
}

/// Lists read ahead; of other tables it knows nothing.
#[derive(Debug, Clone, Default)]
pub struct Ahead {
    snapshot: Option<Arc<Snapshot>>,
    tables: Vec<Table>,
}

/// Why a list that was wanted is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// `deadline`, `overload`, `missing` or `error`.
    pub cause: &'static str,
    /// What, how much of it, and why.
    pub detail: String,
}

#[derive(Debug, Clone)]
struct Table {
    wanted: Wanted,
    slots: Vec<Slot>,
    /// Of the lists that are still waiting.
    late: LeftOut,
}

/// What became of one list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slot {
    Waiting,
    Absent,
    Found(Vec<Scored>),
    Missing(String),
    Failed(String),
}

impl Wanted {
    /// Nothing yet of this list.
    #[must_use]
    pub fn of(spec: ListSpec) -> Self {
        Self { spec, at_most: 0, keys: Vec::new(), places: FxHashMap::default() }
    }

    /// Wants the first places of a key's list; of two wishes for one key the greater counts.
    pub fn add(&mut self, key: &str, at_most: usize) {
        self.at_most = self.at_most.max(at_most);
        if !self.places.contains_key(key) {
            self.places.insert(key.to_owned(), self.keys.len());
            self.keys.push(key.to_owned());
        }
    }

    /// Which table, and what is merged into it.
    #[must_use]
    pub fn spec(&self) -> &ListSpec {
        &self.spec
    }

    /// How many places of each list.
    #[must_use]
    pub fn at_most(&self) -> usize {
        self.at_most
    }

    /// The keys, each once, in the order they were first wanted.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Whether so many places of a key's list are wanted.
    #[must_use]
    pub fn covers(&self, spec: &ListSpec, key: &str, at_most: usize) -> bool {
        self.spec == *spec && at_most <= self.at_most && self.places.contains_key(key)
    }
}

impl Ahead {
    /// Nothing, because nothing was wanted.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Pairs what was wanted with what became of it.
    pub(super) fn of(
        snapshot: Arc<Snapshot>,
        wanted: Vec<Wanted>,
        slots: Vec<Vec<Slot>>,
        cause: &'static str,
        detail: &str,
    ) -> Self {
        let table = |(wanted, slots): (Wanted, Vec<Slot>)| {
            let late = slots.iter().filter(|slot| **slot == Slot::Waiting).count();
            let name = &wanted.spec.table;
            let detail = format!("{late} of {} lists of table {name}: {detail}", slots.len());
            Table { late: LeftOut { cause, detail }, wanted, slots }
        };
        Self { snapshot: Some(snapshot), tables: wanted.into_iter().zip(slots).map(table).collect() }
    }

    /// The tables that were read, which the rest of the request then reads, too.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// How many lists were read.
    #[must_use]
    pub fn read(&self) -> usize {
        let slots = self.tables.iter().flat_map(|table| &table.slots);
        slots.filter(|slot| **slot != Slot::Waiting).count()
    }

    /// Appends the first places of a list; `false` where there is none.
    ///
    /// # Errors
    /// Why it is not there; nothing is appended.
    pub fn list(
        &self,
        spec: &ListSpec,
        key: &str,
        at_most: usize,
        out: &mut Vec<Scored>,
    ) -> Result<bool, LeftOut> {
        let tables = self.tables.iter().filter(|table| table.wanted.covers(spec, key, at_most));
        let slot = tables.filter_map(|table| {
            let place = *table.wanted.places.get(key)?;
            Some((table.slots.get(place)?, &table.late))
        });
        let left_out = |cause, detail: &str| Err(LeftOut { cause, detail: detail.to_owned() });
        match slot.into_iter().next() {
            None => {
                let name = &spec.table;
                left_out("error", &format!("list {key:?} of the lazy table {name} was not asked for ahead"))
            }
            Some((Slot::Waiting, late)) => Err(late.clone()),
            Some((Slot::Missing(detail), _)) => left_out("missing", detail),
            Some((Slot::Failed(detail), _)) => left_out("error", detail),
            Some((Slot::Absent, _)) => Ok(false),
            Some((Slot::Found(list), _)) => {
                out.extend(list.iter().take(at_most));
                Ok(true)
            }
        }
    }
}
