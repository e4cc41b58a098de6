//! The items' side of applying: effects onto columns, counters and live lists. Needs nothing of people.

use std::sync::Arc;

use crate::ingest::consumer::together::ByItem;
use crate::ingest::consumer::{self, Effect, Stores};
use crate::live::Live;
use crate::live::snapshot::Facet;

/// Effects that are applied under one write lock; readers get in between.
const SLICE: usize = 256;

impl Live {
    /// Applies effects in order, but for pairs, which are taken item by item: that comes to the same, since nothing else reads what they change.
    pub(crate) fn apply_effects(&self, effects: &[Effect<'_>], pairs: &mut ByItem) {
        for slice in effects.chunks(SLICE) {
            self.apply_some(slice, |effect| !matches!(effect, Effect::Paired(_) | Effect::Neared(_)));
        }
        let Some(pairing) = &self.keep.together else { return };
        for slice in pairs.gather(effects, &self.keep).chunks(SLICE) {
            self.room();
            let (items, mut lists) = (self.items.write(), self.lists.write());
            for half in slice {
                self.spare(half.item(), &[Facet::Paired], &items, &lists);
                lists.together.add_one(half, pairing, &self.ids);
            }
        }
    }

    fn apply_some(&self, effects: &[Effect<'_>], wanted: impl Fn(&Effect<'_>) -> bool) {
        self.room();
        let (mut items, mut lists) = (self.items.write(), self.lists.write());
        let (items, lists) = (&mut *items, &mut *lists);
        // Whatever was named exists, though nothing follows from it.
        if let Some(last) = self.ids.len().checked_sub(1) {
            items.hold(last as u32);
        }
        let mut stores = Stores { items, lists, actions: &self.actions, keep: &self.keep };
        for effect in effects.iter().filter(|effect| wanted(effect)) {
            if let Effect::Schema(schema) = effect {
                self.spare_types(schema, stores.items);
                self.schema.store(Arc::new((*schema).clone()));
            }
            consumer::affect(self, effect, &mut stores);
        }
    }
}
