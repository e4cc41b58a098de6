//! What happens to items on its way between servers: from the partition of a person as messages to the partitions of items, summed up
//! there, and from there to every server's item table and lists. Embedded, effects go to `consumer/` directly. Not for how bytes travel: that
//! is `shared/`'s.
//!
//! **Invariant:** what is kept of an item follows from the deltas of its own partition alone, in their order, so that servers which read the
//! partitions in different interleavings come to the same. A pair of items therefore travels as two halves, one for the neighbours of each. What
//! all partitions pass on, schemas and loads, is joined in [`Copies`](crate::live::Copies). Left to the order of partitions: which 64 sources of loads are told
//! apart, and values of an attribute whose type was changed to another and back before all partitions had passed that on.

pub mod sum;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::wire::{Happened, Writer};
use super::consumer::{self, Effect, Stores};
use crate::config::Actions;
use crate::live::together::Pair;
use crate::live::{Deed, Ids, ItemTable, Lists, Live};
use crate::shared::{Delta, Lane, Message, Place, StreamId};
use crate::types::{Event, Ordinal, Schema};
use crate::{Error, Result};

pub use sum::Summing;

/// Kind of the messages of partitions of people, and of the deltas of partitions of items.
pub const HAPPENED: u8 = 32;
/// Things of a delta that are applied under one write lock.
const CHUNK: usize = 256;

/// Effects as messages, one for each item partition that they concern. `ids` and `actions` must be those that the effects are of.
///
/// # Errors
/// [`Error::Invalid`] for an event that can't be written.
pub fn encode(effects: &[Effect<'_>], ids: &Ids, actions: &Actions) -> Result<Vec<Message>> {
    let mut writers: BTreeMap<u16, Writer<'_>> = BTreeMap::new();
    let mut failed = Ok(());
    each(effects, ids, actions, |place, happened| {
        let pushed = writers.entry(place).or_default().push(&happened);
        if let Err(detail) = pushed {
            failed = Err(Error::invalid("effects on items", detail));
        }
    });
    failed?;
    let message = |(partition, writer): (u16, Writer<'_>)| {
        let to = Some(Place { lane: Lane::Items, partition });
        Message { to, kind: HAPPENED, payload: writer.finish() }
    };
    Ok(writers.into_iter().map(message).collect())
}

/// Calls `put` with what each effect comes to in each partition.
fn each<'a>(
    effects: &[Effect<'_>],
    ids: &'a Ids,
    actions: &'a Actions,
    mut put: impl FnMut(u16, Happened<'a>),
) {
    let text = |item: Ordinal| ids.id(item).as_str();
    let place = |item: Ordinal| Place::of_item(ids.id(item)).partition;
    for effect in effects {
        match effect {
            Effect::Did(deed) => put(place(deed.item), did(deed, false, ids, actions)),
            Effect::Undone(deed) => put(place(deed.item), did(deed, true, ids, actions)),
            Effect::Saw { item, .. } => put(place(*item), Happened::Shown { item: text(*item), times: 1 }),
            Effect::Shown { item, times } => {
                put(place(*item), Happened::Shown { item: text(*item), times: *times });
            }
            Effect::Counted { item, action, count } => {
                let happened =
                    Happened::Counted { item: text(*item), action: actions.name(*action), count: *count };
                put(place(*item), happened);
            }
            Effect::Paired(pair) | Effect::Neared(pair) => {
                let halves = if matches!(effect, Effect::Paired(_)) { 2 } else { 1 };
                let Pair { items: [a, b], weight, time, back } = *pair;
                for (item, other) in [(a, b), (b, a)].into_iter().take(halves) {
                    let (at, item, other) = (place(item), text(item), text(other));
                    put(at, Happened::Neared { item, other, weight, time, back });
                }
            }
            Effect::Item(event) => {
                let at = Place::of_item(&event.id).partition;
                put(at, Happened::Event(Box::new(Event::Item((*event).clone()))));
            }
            Effect::Load(load) => Lane::Items.places().for_each(|place| {
                put(place.partition, Happened::Event(Box::new(Event::Load((*load).clone()))));
            }),
            Effect::Schema(schema) => Lane::Items.places().for_each(|place| {
                put(place.partition, Happened::Event(Box::new(Event::Schema((*schema).clone()))));
            }),
        }
    }
}

fn did<'a>(deed: &Deed, back: bool, ids: &'a Ids, actions: &'a Actions) -> Happened<'a> {
    let item = ids.id(deed.item).as_str();
    match deed.action {
        Some(action) => {
            Happened::Did { item, action: actions.name(action), value: deed.value, time: deed.time, back }
        }
        // Nothing counted it, but it named the item.
        None => Happened::Named { item },
    }
}

impl Live {
    /// Applies what item partitions say, in the order given; that of each partition must be in the order of its numbers, each once. Nobody's
    /// state changes.
    ///
    /// # Errors
    /// [`Error::Invalid`] with partition and number for a delta that can't be read; none of the deltas is applied then.
    pub fn apply_deltas(&self, deltas: &[Delta]) -> Result<()> {
        self.apply_deltas_to(deltas, &[])
    }

    /// As [`Live::apply_deltas`], and with the last of them at these positions by partition, in one step for whoever takes a snapshot.
    ///
    /// # Errors
    /// As [`Live::apply_deltas`].
    pub fn apply_deltas_to(&self, deltas: &[Delta], streams: &[StreamId]) -> Result<()> {
        let mut all = Vec::with_capacity(deltas.len());
        for delta in deltas {
            let wrong =
                |detail| Error::invalid(format!("message {} of {}", delta.number, delta.place), detail);
            if delta.kind != HAPPENED || delta.place.lane != Lane::Items {
                let detail =
                    format!("expected kind {HAPPENED} of an item partition, found kind {}", delta.kind);
                return Err(wrong(detail));
            }
            all.push((delta.place, wire::read(&delta.payload).map_err(wrong)?));
        }
        // Whoever applies holds this.
        let _deeds = self.deeds.lock();
        for (place, happened) in &all {
            for chunk in happened.chunks(CHUNK) {
                self.room();
                let (mut items, mut lists) = (self.items.write(), self.lists.write());
                for happened in chunk {
                    self.happen(happened, *place, &mut items, &mut lists)?;
                }
            }
        }
        self.streams.lock().splice(.., streams.iter().copied());
        Ok(())
    }

    /// Takes schemas of this server's own log before item partitions pass them on. What they have said meanwhile stays.
    pub(crate) fn join_schemas(&self, schemas: impl Iterator<Item = Schema>) {
        let _deeds = self.deeds.lock();
        let mut items = self.items.write();
        schemas.for_each(|schema| self.join_schema(&schema, &mut items));
    }

    fn join_schema(&self, schema: &Schema, items: &mut ItemTable) {
        if let Some(joined) = self.copies.lock().join(&self.schema(), schema) {
            self.spare_types(&joined, items);
            items.set_schema(&joined);
            self.schema.store(Arc::new(joined));
        }
    }

    fn happen(
        &self,
        happened: &Happened<'_>,
        place: Place,
        items: &mut ItemTable,
        lists: &mut Lists,
    ) -> Result<()> {
        if let Happened::Event(event) = happened {
            return self.said(event, place, items, lists);
        }
        let action = |name: &str| self.actions.id(name);
        let effect = match happened {
            Happened::Did { item, action: name, value, time, back } => {
                let (item, value, time) = (items.intern(item)?, *value, *time);
                let deed = Deed { item, action: action(name), offset: 0, value, time, key: 0 };
                Some(if *back { Effect::Undone(deed) } else { Effect::Did(deed) })
            }
            Happened::Shown { item, times } => {
                Some(Effect::Shown { item: items.intern(item)?, times: *times })
            }
            Happened::Counted { item, action: name, count } => {
                let item = items.intern(item)?;
                action(name).map(|action| Effect::Counted { item, action, count: *count })
            }
            Happened::Neared { item, other, weight, time, back } => {
                let items = [items.intern(item)?, items.intern(other)?];
                Some(Effect::Neared(Pair { items, weight: *weight, time: *time, back: *back }))
            }
            Happened::Named { item } => {
                items.intern(item)?;
                None
            }
            Happened::Event(_) => None,
        };
        let mut stores = Stores { items, lists, actions: &self.actions, keep: &self.keep };
        if let Some(effect) = effect {
            consumer::affect(self, &effect, &mut stores);
        }
        Ok(())
    }

    /// An item event; or a schema or a load, of which every partition passes on a copy.
    fn said(&self, event: &Event, place: Place, items: &mut ItemTable, lists: &mut Lists) -> Result<()> {
        let effect = match event {
            Event::Item(event) => Effect::Item(event),
            Event::Load(load) => {
                let partitions = Lane::Items.partitions().into();
                if !self.copies.lock().load(load, place.partition.into(), partitions) {
                    return Ok(());
                }
                Effect::Load(load)
            }
            Event::Schema(schema) => {
                self.join_schema(schema, items);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let mut stores = Stores { items, lists, actions: &self.actions, keep: &self.keep };
        consumer::affect(self, &effect, &mut stores);
        Ok(())
    }
}
