//! Copies of items as they were at the moment of a snapshot, made in a microsecond or two while a lock is held; what is written of them is made
//! of the copies, when it is not. Not for their bytes: that is `block.rs`'s.

use std::ops::Range;

use super::super::column::Column;
use super::super::counters::Counters;
use super::super::items::{ItemTable, Serving};
use super::super::merge::Stamp;
use super::super::row::Row;
use super::super::sum::Buckets;
use super::super::together::{Neighbour, Sums};
use super::super::{Items, Lists};
use crate::types::{Millis, Ordinal, ValueType};

/// Items of one piece, at most.
pub(super) const BLOCK: usize = 512;

/// What of an item changes by itself, and is copied by itself: most of what happens counts, and leaves the many attributes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Facet {
    /// What was said: kind, deletion, attributes, which sources name it.
    Told,
    /// What was counted: row, counters, impressions, its place among what is done most.
    Counted,
    /// Its neighbours.
    Paired,
}

impl Facet {
    pub(super) const ALL: [Self; 3] = [Self::Told, Self::Counted, Self::Paired];
}

/// A kind that nothing was said of, where the item was only named.
pub(super) const NAMED: (u32, Stamp) = (u32::MAX, Stamp::NEVER);

/// What was said of some items; all lists are beside `numbers`.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub numbers: Vec<Ordinal>,
    pub kinds: Vec<(u32, Stamp)>,
    pub serving: Vec<Serving>,
    /// By the number of the column in the file.
    pub columns: Vec<(usize, Column)>,
    /// When each source named them.
    pub sources: Vec<Vec<Millis>>,
}

/// What was counted of one item.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub row: Row,
    pub impressions: u64,
    pub counters: Counters,
    /// Code of the kind and the buckets in the list `trending`.
    pub trending: Option<(u32, Buckets)>,
}

impl Count {
    /// Whether it is what an item begins with.
    fn is_nothing(&self) -> bool {
        let Self { row, impressions, counters, trending } = self;
        row.0.iter().all(|value| value.to_bits() == 0)
            && (*impressions, trending.is_none()) == (0, true)
            && *counters == Counters::NONE
    }
}

/// Pairs of an item with its neighbours.
pub(super) type NearParts = (Sums<u64>, Vec<Neighbour>);

/// Some items, and one facet of them.
#[derive(Debug)]
pub(super) enum Piece {
    Told(Told),
    Counted(Vec<(Ordinal, Count)>),
    Paired(Vec<(Ordinal, NearParts)>),
}

/// What is copied of what was said: what there was at the moment.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Numbers of the columns in the table.
    pub columns: Vec<(usize, ValueType)>,
    /// Sources that are told apart.
    pub sources: usize,
}

/// Pieces that are being filled, one a facet.
#[derive(Debug)]
pub(super) struct Filling {
    told: Told,
    counted: Vec<(Ordinal, Count)>,
    paired: Vec<(Ordinal, NearParts)>,
    /// Bytes of each, about.
    bytes: [usize; 3],
}

impl Filling {
    pub fn new(wanted: &Wanted) -> Self {
        Self { told: told(wanted), counted: Vec::new(), paired: Vec::new(), bytes: [0; 3] }
    }

    /// Copies a facet of a range of items; those that the table does not have yet are only named. How many bytes that took, about.
    pub fn copy(
        &mut self,
        facet: Facet,
        range: Range<usize>,
        wanted: &Wanted,
        (items, lists): (&ItemTable, &Lists),
    ) -> usize {
        let bytes = match facet {
            Facet::Told => copy_told(&mut self.told, range, wanted, items),
            Facet::Counted => range.map(|at| copy_counted(&mut self.counted, at, items, lists)).sum(),
            Facet::Paired => range.map(|at| copy_paired(&mut self.paired, at, lists)).sum(),
        };
        self.bytes[facet as usize] += bytes;
        bytes
    }

    /// Items of a facet that are in it.
    pub fn len(&self, facet: Facet) -> usize {
        match facet {
            Facet::Told => self.told.numbers.len(),
            Facet::Counted => self.counted.len(),
            Facet::Paired => self.paired.len(),
        }
    }

    /// The piece of a facet and its bytes, where there is anything in it; the next one is begun.
    pub fn take(&mut self, facet: Facet, wanted: &Wanted) -> Option<(Piece, usize)> {
        if self.len(facet) == 0 {
            return None;
        }
        let piece = match facet {
            Facet::Told => Piece::Told(std::mem::replace(&mut self.told, told(wanted))),
            Facet::Counted => Piece::Counted(std::mem::take(&mut self.counted)),
            Facet::Paired => Piece::Paired(std::mem::take(&mut self.paired)),
        };
        Some((piece, std::mem::take(&mut self.bytes[facet as usize])))
    }
}

fn told(wanted: &Wanted) -> Told {
    let columns = wanted.columns.iter().map(|(_, of)| Column::new(*of)).enumerate().collect();
    Told { columns, sources: vec![Vec::new(); wanted.sources], ..Told::default() }
}

fn copy_told(to: &mut Told, range: Range<usize>, wanted: &Wanted, items: &ItemTable) -> usize {
    to.numbers.extend(range.clone().map(|at| at as Ordinal));
    copy(&mut to.kinds, &items.kinds, &range, NAMED);
    copy(&mut to.serving, &items.serving, &range, Serving::NAMED);
    let mut heap = 0;
    for ((_, column), (from, _)) in to.columns.iter_mut().zip(&wanted.columns) {
        heap += column.copy(items.columns.get(*from), &range);
    }
    for (to, from) in to.sources.iter_mut().zip(&items.sources.list) {
        copy(to, &from.named, &range, Millis::MIN);
    }
    heap + range.len() * (128 + 40 * wanted.columns.len() + 8 * wanted.sources)
}

/// Adds what a list has of a range, and behind its end `none`.
pub(in crate::live) fn copy<T: Clone>(to: &mut Vec<T>, from: &[T], range: &Range<usize>, none: T) {
    let len = to.len() + range.len();
    to.extend_from_slice(from.get(range.start..range.end.min(from.len())).unwrap_or_default());
    to.resize(len, none);
}

fn copy_counted(to: &mut Vec<(Ordinal, Count)>, at: usize, items: &ItemTable, lists: &Lists) -> usize {
    let item = at as Ordinal;
    let trending = lists.trending.items.get(&item).map(|item| (item.kind, item.buckets.clone()));
    let (row, impressions) = (*items.row(item), items.impressions(item));
    let count = Count { row, impressions, counters: items.counters(item).clone(), trending };
    if count.is_nothing() {
        return 0;
    }
    let hours: usize = count.counters.parts().1.iter().map(|series| 64 + 20 * series.hours.len()).sum();
    to.push((item, count));
    size_of::<(Ordinal, Count)>() + hours
}

fn copy_paired(to: &mut Vec<(Ordinal, NearParts)>, at: usize, lists: &Lists) -> usize {
    let Some(near) = lists.together.of(at as Ordinal) else { return 0 };
    let near = near.parts();
    let bytes = size_of::<(Ordinal, NearParts)>() + near.1.len() * size_of::<Neighbour>();
    to.push((at as Ordinal, near));
    bytes
}
