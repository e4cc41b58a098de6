//! One state in the place of another, while others read: what was made anew by other rules takes the place of what served meanwhile. Items
//! keep their ordinals and attributes their numbers, so whoever holds one notices nothing but the new answers.

use std::sync::Arc;

use parking_lot::RwLock;

use super::column::Column;
use super::items::ItemTable;
use super::{FieldId, Items, Live};
use crate::Result;
use crate::types::Schema;

impl Live {
    /// An empty store beside this one, with its actions, bounds and ids, before any record of the log.
    #[must_use]
    pub(crate) fn beside(&self) -> Self {
        let schema = Schema::reserved();
        let fresh = Self {
            ids: Arc::clone(&self.ids),
            items: RwLock::new(ItemTable::over(Arc::clone(&self.ids), &schema)),
            ..Self::with((*self.actions).clone(), schema, (*self.keep).clone())
        };
        fresh.follow(self.applied().producer);
        fresh
    }

    /// Puts the state of another store, made by [`Live::beside`], in the place of this one's. `last` brings the other to the position at
    /// which this one then stands; nothing is applied meanwhile.
    ///
    /// # Errors
    /// What `last` says; nothing is changed then.
    pub(crate) fn replace(&self, fresh: Self, last: impl FnOnce(&Self, u64) -> Result<()>) -> Result<()> {
        // No snapshot is taken of half of each.
        let _cut = self.cut.alone();
        let mut deeds = self.deeds.lock();
        last(&fresh, self.applied().sequence)?;
        let Self { items: table, lists: new_lists, people, deeds: new_deeds, schema, .. } = fresh;
        let mut table = table.into_inner();
        let mut items = self.items.write();
        let mut lists = self.lists.write();
        table.number_as(&items);
        if let Some(last) = self.ids.len().checked_sub(1) {
            table.hold(last as u32);
        }
        // What was there is dropped once nobody waits any more.
        let old_items = std::mem::replace(&mut *items, table);
        let old_lists = std::mem::replace(&mut *lists, new_lists.into_inner());
        let old_people = self.people.replace(people);
        let old_deeds = std::mem::replace(&mut *deeds, new_deeds.into_inner());
        self.schema.store(schema.load_full());
        drop((lists, items, deeds));
        drop((old_items, old_lists, old_people, old_deeds));
        Ok(())
    }
}

impl ItemTable {
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
