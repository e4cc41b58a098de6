//! One state in the place of another, while others read: what was made anew by other rules takes the place of what served meanwhile, part by
//! part. Items keep their ordinals and attributes their numbers, so whoever holds one notices nothing but the new answers.

use std::sync::Arc;

use parking_lot::RwLock;

use super::column::Column;
use super::items::ItemTable;
use super::{Copies, Counters, FieldId, Items, Lists, Live, Row, UserState};
use crate::Result;
use crate::config::{Keep, Part, Parts};
use crate::shared::StreamId;
use crate::types::Schema;

impl Live {
    /// An empty store beside this one, with its actions, bounds and ids, before any record of the log. Of what is applied to it, it keeps
    /// these parts only.
    #[must_use]
    pub(crate) fn beside(&self, parts: Parts) -> Self {
        let keep = Keep { parts, ..(*self.keep).clone() };
        let schema = Schema::reserved();
        let fresh = Self {
            ids: Arc::clone(&self.ids),
            items: RwLock::new(ItemTable::over(Arc::clone(&self.ids), &schema)),
            ..Self::with((*self.actions).clone(), schema, keep)
        };
        fresh.follow(self.applied().producer);
        fresh
    }

    /// Puts the parts that another store keeps, made by [`Live::beside`], in the place of this one's. `last` brings the other to the position at
    /// which this one then stands; nothing is applied meanwhile.
    ///
    /// # Errors
    /// What `last` says; nothing is changed then.
    pub(crate) fn replace(&self, fresh: Self, last: impl FnOnce(&Self, u64) -> Result<()>) -> Result<()> {
        // No snapshot is taken of half of each.
        let _cut = self.cut.alone();
        let mut deeds = self.deeds.lock();
        last(&fresh, self.applied().sequence)?;
        let parts = fresh.keep.parts;
        let Self { items: table, lists: new_lists, people, deeds: new_deeds, schema, .. } = fresh;
        let (mut table, mut new_lists) = (table.into_inner(), new_lists.into_inner());
        let old_people = self.people.replace(people, |new, old| keep_others(parts, new, old));
        let mut items = self.items.write();
        let mut lists = self.lists.write();
        // What was there is dropped once nobody waits any more.
        if parts.has(Part::Items) {
            table.number_as(&items);
            if let Some(last) = self.ids.len().checked_sub(1) {
                table.hold(last as u32);
            }
            std::mem::swap(&mut *items, &mut table);
            self.schema.store(schema.load_full());
        }
        lists.replace(&mut new_lists, parts);
        let old_deeds = std::mem::replace(&mut *deeds, new_deeds.into_inner());
        drop((lists, items, deeds));
        drop((table, new_lists, old_people, old_deeds));
        Ok(())
    }
}

/// What is not among the parts stays as it was.
fn keep_others(parts: Parts, new: &mut UserState, old: UserState) {
    let UserState { actions, seen, met, counters, attributes, ties, levels } = old;
    if !parts.has(Part::Recent) {
        new.actions = actions;
    }
    if !parts.has(Part::Seen) {
        new.seen = seen;
    }
    if !parts.has(Part::Met) {
        new.met = met;
    }
    if !parts.has(Part::Counters) {
        new.counters = counters;
    }
    if !parts.has(Part::Users) {
        new.attributes = attributes;
    }
    if !parts.has(Part::Ties) {
        new.ties = ties;
    }
    if !parts.has(Part::Levels) {
        new.levels = levels;
    }
}

impl Lists {
    /// Takes these parts of another's; it has then what they were.
    fn replace(&mut self, other: &mut Self, parts: Parts) {
        let Self { trending, together, fresh } = other;
        if parts.has(Part::Trending) {
            std::mem::swap(&mut self.trending, trending);
        }
        if parts.has(Part::Together) {
            std::mem::swap(&mut self.together, together);
        }
        if parts.has(Part::Fresh) {
            std::mem::swap(&mut self.fresh, fresh);
        }
    }
}

impl Live {
    /// Puts the items and lists of another store, made by [`Live::beside`], in the place of this one's, with where it stands in their streams.
    pub(crate) fn replace_items(&self, fresh: Self) {
        let _cut = self.cut.alone();
        let deeds = self.deeds.lock();
        let Self { items: table, lists: new_lists, schema, copies, streams, .. } = fresh;
        let mut table = table.into_inner();
        let mut items = self.items.write();
        let mut lists = self.lists.write();
        table.number_as(&items);
        if let Some(last) = self.ids.len().checked_sub(1) {
            table.hold(last as u32);
        }
        let old_items = std::mem::replace(&mut *items, table);
        let old_lists = std::mem::replace(&mut *lists, new_lists.into_inner());
        *self.copies.lock() = copies.into_inner();
        *self.streams.lock() = streams.into_inner();
        self.schema.store(schema.load_full());
        drop((lists, items, deeds));
        drop((old_items, old_lists));
    }

    /// Forgets what is counted of items, the lists that follow from it, and halves of loads, which come again and must not meet those of the first
    /// time; what was said of items stays, since saying it again changes nothing.
    /// Stands at these positions from now on.
    pub(crate) fn forget_counts(&self, streams: Vec<StreamId>) {
        // What is being written down is finished first.
        let _cut = self.cut.alone();
        let _deeds = self.deeds.lock();
        let (mut items, mut lists) = (self.items.write(), self.lists.write());
        items.forget_counts();
        // Which kinds there are, it still knows.
        let kinds: Vec<String> = lists.trending.kinds.iter().map(str::to_owned).collect();
        (lists.trending, lists.together) = Default::default();
        lists.trending.put_all(&kinds, Vec::new(), &self.ids);
        *self.copies.lock() = Copies::default();
        *self.streams.lock() = streams;
    }
}

impl ItemTable {
    /// Forgets what is counted, and halves of loads.
    fn forget_counts(&mut self) {
        self.sources.list.iter_mut().for_each(|source| source.open.clear());
        self.counters.fill(Counters::NONE);
        self.impressions.fill(0);
        for row in &mut self.rows {
            let created = row.0[Row::CREATED];
            *row = Row::default();
            row.0[Row::CREATED] = created;
        }
    }

    /// Gives attributes the numbers that they have in another table.
    fn number_as(&mut self, other: &Self) {
        let mut columns: Vec<_> =
            other.columns.iter().map(|column| Column::new(column.value_type())).collect();
        let mut names = other.names.clone();
        names.retain(|name, _| self.names.contains_key(name));
        for (name, field) in &self.names {
            let at = match names.get(name) {
                Some(field) => usize::from(field.0),
                None => {
                    let Ok(number) = u16::try_from(columns.len()) else { continue };
                    names.insert(name.clone(), FieldId(number));
                    columns.push(Column::new(self.field_type(*field)));
                    columns.len() - 1
                }
            };
            std::mem::swap(&mut columns[at], &mut self.columns[usize::from(field.0)]);
        }
        (self.columns, self.names) = (columns, names);
        self.sorted = self.names.iter().map(|(name, field)| (name.clone(), *field)).collect();
        self.sorted.sort();
    }
}
