//! The items' side of applying: effects onto columns, counters and live lists. Needs nothing of people.

use std::sync::Arc;

use crate::ingest::consumer::{self, Effect, Stores};
use crate::live::Live;

impl Live {
    /// Applies effects in order, under one write lock. Of one item their order counts.
    pub(crate) fn apply_effects(&self, effects: &[Effect<'_>]) {
        let (mut items, mut lists) = (self.items.write(), self.lists.write());
        let (items, lists) = (&mut *items, &mut *lists);
        let mut stores = Stores { items, lists, actions: &self.actions, keep: &self.keep };
        for effect in effects {
            if let Effect::Schema(schema) = effect {
                self.spare_types(schema, stores.items);
                self.schema.store(Arc::new((*schema).clone()));
            }
            consumer::affect(self, effect, &mut stores);
        }
    }
}
