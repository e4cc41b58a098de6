//! Records onto the live side, in order of the log: first the side of people (`people.rs`), which says what follows for items, then the side
//! of items (`items.rs`). Nothing looks at a clock, so that replay equals the first run. Not for what an event does: that is `consumer/`.

mod items;
pub(crate) mod people;

use crate::Result;
use crate::live::Live;
use crate::types::Record;
use people::PeopleSide;

/// Records whose effects on items are applied under one write lock.
const CHUNK: usize = 64;

impl Live {
    /// Applies records, in order of their sequence, by every consumer. Sequences must grow; gaps are allowed, so that a
    /// caller without a log may number its own.
    ///
    /// # Errors
    /// None of a store in this process.
    pub fn apply(&self, records: &[Record]) -> Result<()> {
        let mut deeds = self.deeds.lock();
        let mut effects = Vec::new();
        for chunk in records.chunks(CHUNK) {
            let mut people = PeopleSide {
                people: &self.people,
                ids: &self.ids,
                deeds: &mut deeds,
                actions: &self.actions,
                keep: &self.keep,
                touched: None,
            };
            chunk.iter().for_each(|record| people.record(record, &mut effects));
            self.apply_effects(&effects);
            effects.clear();
            if let Some(last) = chunk.last() {
                self.applied.send_replace(last.sequence);
            }
        }
        Ok(())
    }
}
