//! The moment of a snapshot, while records go on being applied: what is about to change is copied first, as it was. Items by themselves and
//! facet by facet, people one by one, deeds by blocks that are shared until they change. Whoever applies holds `Live::deeds`, so that a moment
//! between two groups is had by holding it; asks for [`Live::room`] before it takes other locks; and calls [`Live::spare`] before it changes
//! an item. Nothing is encoded, packed or written while the items are locked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::super::deeds::{Blocks, Owners};
use super::super::items::ItemTable;
use super::super::sources::Source;
use super::super::{FieldId, Items, Lists, Live};
use super::piece::{BLOCK, Facet, Filling, Piece, Wanted};
use crate::shared::StreamId;
use crate::types::{Millis, Ordinal, Position, Schema, ValueType};

/// People who may wait to be written because they have changed; whoever applies waits beyond that, before it locks anything.
const MOST_PEOPLE: usize = 1 << 16;
/// Items that are copied under one lock, where nobody has copied them before; as many as a word has bits.
const RUN: usize = 64;

/// Whether a snapshot is being taken, and what of the items it still needs.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// One is being taken.
    running: AtomicBool,
    /// It still needs items.
    needed: AtomicBool,
    taking: Mutex<Option<Taking>>,
    /// Rung when something that waited is taken.
    drained: Condvar,
    /// Held by whoever takes one.
    one: Mutex<()>,
}

/// What is still needed of the items.
#[derive(Debug)]
struct Taking {
    /// Items that existed.
    items: usize,
    wanted: Wanted,
    /// Whether a facet of an item was copied before it changed, a bit each.
    copied: [Vec<u64>; 3],
    /// No item before it is needed.
    next: usize,
    /// What was copied.
    filling: Filling,
    full: VecDeque<(Piece, usize)>,
    /// Bytes of all that, and how many may wait.
    bytes: usize,
    most: usize,
    /// Whether what waits is being written, so that it may be waited for.
    drains: bool,
    /// The longest time for which whoever applies was held up at once.
    longest: Duration,
}

/// The state at a moment, to be written while it goes on.
pub(super) struct Moment<'a> {
    live: &'a Live,
    /// What was copied of items that nobody has changed.
    filling: Filling,
    ready: VecDeque<Piece>,
    wanted: Wanted,
    pub position: Position,
    pub streams: Vec<StreamId>,
    pub schema: Schema,
    pub items: usize,
    pub words: usize,
    pub columns: Vec<(String, ValueType)>,
    pub sources: Vec<Source>,
    pub fresh: Vec<(Ordinal, Millis, u32)>,
    pub fresh_kinds: Vec<String>,
    pub trending_kinds: Vec<String>,
    pub deeds: Blocks,
    pub first_deed: u32,
    pub owners: Owners,
    /// What item partitions pass on copies of.
    pub copies: Vec<u8>,
    _one: parking_lot::MutexGuard<'a, ()>,
}

impl Live {
    /// The state as it is now, between two groups of records. `most` bytes of copies may wait.
    pub(super) fn moment(&self, most: usize) -> Moment<'_> {
        let one = self.cut.one.lock();
        // Nobody changes anything from here on; who waits for the items waits for what is read of them alone.
        let deeds = self.deeds.lock();
        let start = Instant::now();
        let (blocks, first_deed, owners) = (deeds.blocks.clone(), deeds.first, deeds.owners.clone());
        self.people.spare();
        let lists = self.lists.read();
        let fresh = &lists.fresh;
        let places =
            fresh.places.iter().map(|(item, ((begins, ..), kind))| (*item, begins.0, *kind)).collect();
        let fresh_kinds = fresh.kinds.iter().map(str::to_owned).collect();
        let trending_kinds = lists.trending.kinds.iter().map(str::to_owned).collect();
        drop(lists);
        let items = self.items.read();
        let typed = |field: &FieldId| (usize::from(field.0), items.field_type(*field));
        let columns: Vec<_> = items.sorted.iter().map(|(name, field)| (name.clone(), typed(field))).collect();
        let list = &items.sources.list;
        let wanted =
            Wanted { columns: columns.iter().map(|(_, typed)| *typed).collect(), sources: list.len() };
        let moment = Moment {
            live: self,
            filling: Filling::new(&wanted),
            ready: VecDeque::new(),
            position: self.applied(),
            streams: self.streams.lock().clone(),
            schema: Schema::clone(&self.schema()),
            items: items.ids().len(),
            words: items.words.len(),
            columns: columns.into_iter().map(|(name, (_, of))| (name, of)).collect(),
            sources: list.iter().map(Source::without_items).collect(),
            fresh: places,
            fresh_kinds,
            trending_kinds,
            deeds: blocks,
            first_deed,
            owners,
            copies: self.copies.lock().encode(),
            wanted: wanted.clone(),
            _one: one,
        };
        drop(items);
        let count = moment.items;
        self.cut.begin(Taking {
            items: count,
            filling: Filling::new(&wanted),
            wanted,
            copied: [(); 3].map(|()| vec![0; count.div_ceil(RUN)]),
            next: 0,
            full: VecDeque::new(),
            bytes: 0,
            most,
            drains: false,
            longest: start.elapsed(),
        });
        drop(deeds);
        moment
    }

    /// Waits where more was copied for a snapshot than it has written. Called by whoever applies, before it locks items, lists or people.
    pub(crate) fn room(&self) {
        self.cut.room(|| self.people.held() > MOST_PEOPLE);
    }

    /// Copies facets of an item for a snapshot that is being taken, before they change. Called under the write locks of both.
    pub(crate) fn spare(&self, item: Ordinal, facets: &[Facet], items: &ItemTable, lists: &Lists) {
        if self.cut.needed.load(Ordering::Acquire) {
            self.cut.spare(item as usize, facets, items, lists);
        }
    }

    /// Gives up the snapshot that is being taken where a column is about to get another type: what it held could not be written any more.
    /// Called under the write lock of the items.
    pub(crate) fn spare_types(&self, schema: &Schema, items: &ItemTable) {
        if !self.cut.needed.load(Ordering::Acquire) {
            return;
        }
        let other = |(name, to): (&String, &ValueType)| {
            items.field(name).is_some_and(|field| items.field_type(field) != *to)
        };
        if schema.items.iter().any(other) {
            self.cut.give_up();
        }
    }
}

impl Cut {
    /// No snapshot is taken as long as this is held.
    pub(crate) fn alone(&self) -> parking_lot::MutexGuard<'_, ()> {
        self.one.lock()
    }

    fn begin(&self, taking: Taking) {
        *self.taking.lock() = Some(taking);
        self.needed.store(true, Ordering::Release);
        self.running.store(true, Ordering::Release);
    }

    fn room(&self, too_many: impl Fn() -> bool) {
        if !self.running.load(Ordering::Acquire) {
            return;
        }
        let start = Instant::now();
        let mut state = self.taking.lock();
        while state.as_ref().is_some_and(|taking| taking.drains && (taking.bytes > taking.most || too_many()))
        {
            self.drained.wait(&mut state);
        }
        if let Some(taking) = state.as_mut() {
            taking.longest = taking.longest.max(start.elapsed());
        }
    }

    fn spare(&self, item: usize, facets: &[Facet], items: &ItemTable, lists: &Lists) {
        let mut state = self.taking.lock();
        let Some(taking) = state.as_mut() else { return };
        if item >= taking.items || item < taking.next {
            return;
        }
        for facet in facets {
            let (word, bit) = (&mut taking.copied[*facet as usize][item / RUN], 1 << (item % RUN));
            if *word & bit == 0 {
                *word |= bit;
                taking.copy(*facet, item, items, lists);
            }
        }
    }

    /// Ends it; whoever waits goes on.
    fn give_up(&self) {
        self.running.store(false, Ordering::Release);
        self.needed.store(false, Ordering::Release);
        let taken = self.taking.lock().take();
        self.drained.notify_all();
        drop(taken);
    }
}

impl Taking {
    fn copy(&mut self, facet: Facet, item: usize, items: &ItemTable, lists: &Lists) {
        let start = Instant::now();
        self.bytes += self.filling.copy(facet, item..item + 1, &self.wanted, (items, lists));
        if self.filling.len(facet) >= BLOCK {
            self.full.extend(self.filling.take(facet, &self.wanted));
        }
        self.longest = self.longest.max(start.elapsed());
    }

    fn take(&mut self) -> Option<Piece> {
        if self.full.is_empty() && self.bytes > self.most {
            // A few that are large.
            self.full
                .extend(Facet::ALL.into_iter().filter_map(|facet| self.filling.take(facet, &self.wanted)));
        }
        let (piece, bytes) = self.full.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(piece)
    }
}

impl Moment<'_> {
    /// From now on whoever applies may wait for what is written.
    pub fn drain(&self) {
        if let Some(taking) = self.live.cut.taking.lock().as_mut() {
            taking.drains = true;
        }
    }

    /// A whole piece that was copied because it was about to change, if one waits.
    pub fn waiting(&self) -> Option<Piece> {
        let piece = self.live.cut.taking.lock().as_mut().and_then(Taking::take);
        self.live.cut.drained.notify_all();
        piece
    }

    /// The next piece of items, in no order; `Ok(None)` behind the last.
    ///
    /// # Errors
    /// Nothing, where it was given up.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, ()> {
        loop {
            if let Some(piece) = self.waiting().or_else(|| self.ready.pop_front()) {
                return Ok(Some(piece));
            }
            if !self.walk()? {
                return Ok(None);
            }
        }
    }

    /// Copies items until a block of them is whole; `false` where all were copied and taken before.
    fn walk(&mut self) -> Result<bool, ()> {
        // Where others wait for a core, they have it now, and not while the items are locked: a whole slice is more than this takes.
        std::thread::yield_now();
        loop {
            let (items, lists) = (self.live.items.read(), self.live.lists.read());
            let mut state = self.live.cut.taking.lock();
            let taking = state.as_mut().ok_or(())?;
            let range = taking.next..(taking.next + RUN).min(taking.items);
            for facet in Facet::ALL {
                let copied = taking.copied[facet as usize].get(range.start / RUN).copied().unwrap_or(0);
                let mut copy = |range| self.filling.copy(facet, range, &self.wanted, (&items, &lists));
                if copied == 0 {
                    copy(range.clone());
                } else {
                    let left = range.clone().filter(|at| copied & 1 << (at % RUN) == 0);
                    left.for_each(|at| _ = copy(at..at + 1));
                }
            }
            taking.next = range.end;
            let ended = range.end == taking.items;
            if !ended && !range.end.is_multiple_of(BLOCK) {
                continue;
            }
            if ended {
                self.live.cut.needed.store(false, Ordering::Release);
                self.ready.extend(std::iter::from_fn(|| taking.take()));
                let rest = Facet::ALL.map(|facet| taking.filling.take(facet, &self.wanted));
                self.ready.extend(rest.into_iter().flatten().map(|(piece, _)| piece));
                taking.bytes = 0;
            }
            let whole = Facet::ALL.map(|facet| self.filling.take(facet, &self.wanted));
            self.ready.extend(whole.into_iter().flatten().map(|(piece, _)| piece));
            return Ok(!ended || !self.ready.is_empty());
        }
    }

    /// People who wait have become fewer.
    pub fn took_people(&self) {
        // Whoever is about to wait has seen it, or waits by then.
        drop(self.live.cut.taking.lock());
        self.live.cut.drained.notify_all();
    }

    /// The longest time for which whoever applies was held up at once so far.
    pub fn longest(&self) -> Duration {
        self.live.cut.taking.lock().as_ref().map_or(Duration::ZERO, |taking| taking.longest)
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        self.live.people.spare_no_more();
        self.live.cut.give_up();
    }
}
