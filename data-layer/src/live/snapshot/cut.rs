//! The moment of a snapshot, while records go on being applied: what is about to change is written down first, as it was. Items by blocks of
//! their ordinals, people by shards, deeds by blocks that are shared until they change. Whoever applies holds `Live::deeds`, so that a moment
//! between two groups is had by holding it; and calls [`Live::spare`] before it changes an item.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::deeds::{Blocks, Owners};
use super::super::items::ItemTable;
use super::super::sources::Source;
use super::super::{Items, Lists, Live};
use super::block::{self, BLOCK};
use crate::shared::StreamId;
use crate::types::{Millis, Ordinal, Position, Schema, ValueType};

/// Blocks that may wait to be written because they were about to change; whoever applies waits beyond that. About 100 MB where items have
/// twenty attributes.
const WAITING: usize = 2048;
/// How often is looked for what waits, while the items can't be had.
const LOOK: Duration = Duration::from_millis(1);

/// Whether a snapshot is being taken, and what of the items it still needs.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    running: AtomicBool,
    taking: Mutex<Option<Taking>>,
    /// Held by whoever takes one.
    one: Mutex<()>,
}

/// What is still needed of the items.
#[derive(Debug)]
struct Taking {
    /// Items that existed.
    items: usize,
    /// Numbers of the columns that are written.
    columns: Vec<usize>,
    /// Whether a block is written, or waits for it.
    done: Vec<bool>,
    /// No block before it is needed.
    next: usize,
    spared: SyncSender<Vec<u8>>,
    /// The longest time for which whoever applies was held up.
    longest: Duration,
}

/// The state at a moment, to be written while it goes on.
pub(super) struct Moment<'a> {
    live: &'a Live,
    spared: Receiver<Vec<u8>>,
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
    /// The state as it is now, between two groups of records.
    pub(super) fn moment(&self) -> Moment<'_> {
        let one = self.cut.one.lock();
        let deeds = self.deeds.lock();
        let start = Instant::now();
        let (items, lists) = (self.items.read(), self.lists.read());
        let columns: Vec<(String, usize)> =
            items.sorted.iter().map(|(name, field)| (name.clone(), usize::from(field.0))).collect();
        let (spare, spared) = sync_channel(WAITING);
        let count = items.ids().len();
        let sources = items.sources.list.iter().map(|source| Source {
            name: source.name.clone(),
            named: Vec::new(),
            cut: source.cut,
            open: source.open.clone(),
        });
        let fresh = &lists.fresh;
        let moment = Moment {
            live: self,
            spared,
            position: self.applied(),
            streams: self.streams.lock().clone(),
            schema: Schema::clone(&self.schema()),
            items: count,
            words: items.words.len(),
            columns: columns.iter().map(|(n, at)| (n.clone(), items.columns[*at].value_type())).collect(),
            sources: sources.collect(),
            fresh: fresh.places.iter().map(|(item, ((begins, ..), kind))| (*item, begins.0, *kind)).collect(),
            fresh_kinds: fresh.kinds.iter().map(str::to_owned).collect(),
            trending_kinds: lists.trending.kinds.iter().map(str::to_owned).collect(),
            deeds: deeds.blocks.clone(),
            first_deed: deeds.first,
            owners: deeds.owners.clone(),
            copies: self.copies.lock().encode(),
            _one: one,
        };
        self.people.spare();
        let columns = columns.into_iter().map(|(_, at)| at).collect();
        let done = vec![false; count.div_ceil(BLOCK)];
        let longest = start.elapsed();
        let taking = Taking { items: count, columns, done, next: 0, spared: spare, longest };
        *self.cut.taking.lock() = Some(taking);
        self.cut.running.store(true, Ordering::Release);
        moment
    }

    /// Writes an item down for a snapshot that is being taken, before it changes. Called under the write locks of both.
    pub(crate) fn spare(&self, item: Ordinal, items: &ItemTable, lists: &Lists) {
        if self.cut.running.load(Ordering::Acquire) {
            self.cut.spare(item as usize, items, lists);
        }
    }

    /// Gives up the snapshot that is being taken where a column is about to get another type: what it held could not be written any more.
    /// Called under the write lock of the items.
    pub(crate) fn spare_types(&self, schema: &Schema, items: &ItemTable) {
        if !self.cut.running.load(Ordering::Acquire) {
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

    fn spare(&self, item: usize, items: &ItemTable, lists: &Lists) {
        let start = Instant::now();
        let mut state = self.taking.lock();
        let Some(taking) = state.as_mut() else { return };
        let at = item / BLOCK;
        if item >= taking.items || taking.done[at] {
            return;
        }
        taking.done[at] = true;
        let bytes = block::encode(items, lists, &taking.columns, taking.range(at));
        let unsent = match taking.spared.try_send(bytes) {
            Ok(()) => None,
            Err(TrySendError::Full(bytes)) => Some((taking.spared.clone(), bytes)),
            Err(TrySendError::Disconnected(_)) => {
                *state = None;
                return;
            }
        };
        drop(state);
        // Waits for the disk, without the lock that the one who writes needs.
        if let Some((spared, bytes)) = unsent
            && spared.send(bytes).is_err()
        {
            return self.give_up();
        }
        if let Some(taking) = self.taking.lock().as_mut() {
            taking.longest = taking.longest.max(start.elapsed());
        }
    }

    fn give_up(&self) {
        self.running.store(false, Ordering::Release);
        *self.taking.lock() = None;
    }
}

impl Taking {
    fn range(&self, block: usize) -> std::ops::Range<usize> {
        block * BLOCK..((block + 1) * BLOCK).min(self.items)
    }
}

impl Moment<'_> {
    /// The next block of items, in no order; `Ok(None)` behind the last.
    ///
    /// # Errors
    /// Nothing, where it was given up.
    pub fn next_block(&self) -> Result<Option<Vec<u8>>, ()> {
        // What waits is in memory, and whoever applies may wait for room while holding the items.
        let items = loop {
            if let Ok(bytes) = self.spared.try_recv() {
                return Ok(Some(bytes));
            }
            if let Some(items) = self.live.items.try_read_for(LOOK) {
                break items;
            }
        };
        let lists = self.live.lists.read();
        let mut state = self.live.cut.taking.lock();
        let taking = state.as_mut().ok_or(())?;
        while taking.done.get(taking.next).is_some_and(|done| *done) {
            taking.next += 1;
        }
        let at = taking.next;
        if at < taking.done.len() {
            taking.done[at] = true;
            return Ok(Some(block::encode(&items, &lists, &taking.columns, taking.range(at))));
        }
        drop((state, lists, items));
        // One may have come since it was looked.
        Ok(self.spared.try_recv().ok())
    }

    /// The longest time for which whoever applies was held up so far.
    pub fn longest(&self) -> Duration {
        self.live.cut.taking.lock().as_ref().map_or(Duration::ZERO, |taking| taking.longest)
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        self.live.cut.give_up();
        self.live.people.spare_no_more();
    }
}
