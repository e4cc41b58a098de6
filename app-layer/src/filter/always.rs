//! What no scene may show, whatever it says: what can't be served now, the anchors, what the request excludes, and what earlier pages held.

use compute_layer::{Bitmask, Candidate, Query, Stores};
use data_layer::types::Ordinal;
use rustc_hash::FxHashSet;

use super::Filter;
use crate::ask::{Named, Turn};

/// These filters of one request.
#[derive(Debug)]
pub struct Always {
    can_serve: CanServe,
    anchors: NotThese,
    excluded: NotThese,
    earlier: NotAgain,
}

impl Always {
    /// What this request rules out.
    #[must_use]
    pub fn of(named: &Named, turn: &Turn) -> Self {
        Self {
            can_serve: CanServe,
            anchors: NotThese(named.anchors.iter().copied().collect()),
            excluded: NotThese(named.excluded.iter().copied().collect()),
            earlier: NotAgain(turn.earlier.iter().copied().collect()),
        }
    }

    /// All of them, by the name that an explanation gives.
    #[must_use]
    pub fn each(&self) -> [(&str, &dyn Filter); 4] {
        [
            ("item.unavailable", &self.can_serve),
            ("request.items", &self.anchors),
            ("request.exclude", &self.excluded),
            ("request.cursor", &self.earlier),
        ]
    }
}

/// Deleted, hidden, or not available at the time of the query.
#[derive(Debug)]
struct CanServe;

impl Filter for CanServe {
    fn keep(&self, query: &Query<'_>, stores: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask) {
        for (row, candidate) in candidates.iter().enumerate() {
            if !stores.items.can_serve(candidate.item, query.now_ms) {
                mask.clear(row);
            }
        }
    }
}

/// None of these items.
#[derive(Debug)]
struct NotThese(FxHashSet<Ordinal>);

impl Filter for NotThese {
    fn keep(&self, _: &Query<'_>, _: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask) {
        if self.0.is_empty() {
            return;
        }
        for (row, _) in candidates.iter().enumerate().filter(|(_, c)| self.0.contains(&c.item)) {
            mask.clear(row);
        }
    }
}

/// None whose id hashes to one of these: items of earlier pages.
#[derive(Debug)]
struct NotAgain(FxHashSet<u64>);

impl Filter for NotAgain {
    fn keep(&self, _: &Query<'_>, stores: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask) {
        if self.0.is_empty() {
            return;
        }
        for (row, candidate) in candidates.iter().enumerate() {
            if self.0.contains(&stores.items.tie(candidate.item)) {
                mask.clear(row);
            }
        }
    }
}
