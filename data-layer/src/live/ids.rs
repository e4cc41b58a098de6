//! Ids of items and their ordinals. Ordinals are dense, given in order of first sight, never reused while the process lives, and
//! decide nothing that can be seen: what must be ordered is ordered by [`Ids::order`].

use std::cmp::Ordering;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::types::{Id, Ordinal};

/// Id to ordinal and back. 24 bytes an item, its text and at most ten bytes of table.
#[derive(Debug, Default)]
pub struct Ids {
    ids: Vec<Id>,
    ties: Vec<u64>,
    /// Ordinals by the hash that breaks ties.
    places: HashTable<Ordinal>,
}

impl Ids {
    /// How many items exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ordinal of an item that exists.
    #[must_use]
    pub fn ordinal(&self, id: &str) -> Option<Ordinal> {
        self.find(xxh3_64(id.as_bytes()), id)
    }

    /// The ordinal of an item, which exists from now on.
    pub fn intern(&mut self, id: &Id) -> Ordinal {
        let tie = id.tie();
        if let Some(known) = self.find(tie, id.as_str()) {
            return known;
        }
        let ordinal = self.ids.len() as Ordinal;
        self.ids.push(id.clone());
        self.ties.push(tie);
        let ties = &self.ties;
        self.places.insert_unique(tie, ordinal, |at| ties[*at as usize]);
        ordinal
    }

    /// The id of an item.
    #[must_use]
    pub fn id(&self, item: Ordinal) -> &Id {
        &self.ids[item as usize]
    }

    /// The hash of an item's id; stable across processes.
    #[must_use]
    pub fn tie(&self, item: Ordinal) -> u64 {
        self.ties[item as usize]
    }

    /// Order of two items: by hash of the id, then by id. The same in every process.
    #[must_use]
    pub fn order(&self, a: Ordinal, b: Ordinal) -> Ordering {
        self.tie(a).cmp(&self.tie(b)).then_with(|| self.id(a).cmp(self.id(b)))
    }

    fn find(&self, tie: u64, id: &str) -> Option<Ordinal> {
        let same = |at: &Ordinal| {
            let at = *at as usize;
            self.ties[at] == tie && self.ids[at].as_str() == id
        };
        self.places.find(tie, same).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_interned_is_found_again() {
        let mut ids = Ids::default();
        let id = |n: u32| Id::new(&format!("i{n}")).unwrap();
        for n in 0..5000 {
            assert_eq!(ids.intern(&id(n)), n);
        }
        for n in 0..5000 {
            assert_eq!((ids.intern(&id(n)), ids.ordinal(id(n).as_str()), ids.id(n)), (n, Some(n), &id(n)));
        }
        assert_eq!((ids.len(), ids.ordinal("j")), (5000, None));
        assert_eq!(ids.order(3, 3), Ordering::Equal);
        assert_eq!(ids.order(3, 4), id(3).tie().cmp(&id(4).tie()));
    }
}
