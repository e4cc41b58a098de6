//! Records onto the live side, in order of the log: first the side of people (`people.rs`), which says what follows for items, then the side
//! of items (`items.rs`). Nothing looks at a clock, so that replay equals the first run. Not for what an event does: that is `consumer/`.

mod items;
pub(crate) mod people;

use std::sync::mpsc::{channel, sync_channel};

use super::consumer::Effect;
use super::consumer::together::ByItem;
use crate::Result;
use crate::live::{Deeds, Live};
use crate::types::Record;
use people::PeopleSide;

/// Records whose effects on items are applied under one write lock.
const CHUNK: usize = 64;
/// Of so many records and more, a start from the log for one, the two sides are done on two threads.
const MANY: usize = 4096;
/// Records that are handed from side to side at once then.
const LARGE: usize = 4096;

impl Live {
    /// Applies records, in order of their sequence, by every consumer. Sequences must grow; gaps are allowed, so that a
    /// caller without a log may number its own.
    ///
    /// # Errors
    /// None of a store in this process.
    pub fn apply(&self, records: &[Record]) -> Result<()> {
        let mut deeds = self.deeds.lock();
        if records.len() > MANY {
            self.side_by_side(records, &mut deeds);
            return Ok(());
        }
        let mut effects = Vec::new();
        for chunk in records.chunks(CHUNK) {
            self.apply_people(chunk, &mut deeds, &mut effects);
            self.apply_effects(&effects);
            effects.clear();
            if let Some(last) = chunk.last() {
                self.applied.send_replace(last.sequence);
            }
        }
        Ok(())
    }

    /// While one thread changes items by what followed from some records, this one changes people by the next ones.
    fn side_by_side(&self, records: &[Record], deeds: &mut Deeds) {
        // One waits, one is being applied, one is being made.
        let (to_items, from_people) = sync_channel::<(Vec<Effect<'_>>, u64)>(1);
        let (to_people, spare) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut pairs = ByItem::default();
                for (mut effects, last) in from_people {
                    self.apply_many(&effects, &mut pairs);
                    self.applied.send_replace(last);
                    effects.clear();
                    // Nobody wants it back after the last one.
                    let _ = to_people.send(effects);
                }
            });
            for chunk in records.chunks(LARGE) {
                let mut effects = spare.try_recv().unwrap_or_default();
                self.apply_people(chunk, deeds, &mut effects);
                let last = chunk.last().map_or(0, |record| record.sequence);
                if to_items.send((effects, last)).is_err() {
                    // That thread has panicked, and so does this one where it is waited for.
                    return;
                }
            }
            drop(to_items);
        });
    }

    fn apply_people<'e>(&self, records: &'e [Record], deeds: &mut Deeds, effects: &mut Vec<Effect<'e>>) {
        let (people, ids, actions, keep) = (&self.people, &*self.ids, &*self.actions, &*self.keep);
        let mut side = PeopleSide { people, ids, deeds, actions, keep, touched: None };
        records.iter().for_each(|record| side.record(record, effects));
    }
}
