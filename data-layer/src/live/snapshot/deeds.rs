//! Deeds as sections of a snapshot, in the order in which they came, and who owns them. Numbers of items and actions are the file's.

use std::sync::Arc;

use super::super::codec::wire::{Read, Said, Wire};
use super::super::deeds::{BLOCK, Entry, NO_ACTION, Owner};
use super::people::{read_person, write_person};
use crate::config::ActionId;

pub(super) fn write(entries: &[Entry]) -> Vec<u8> {
    let mut wire = Wire(Vec::with_capacity(entries.len() * 43));
    for entry in entries {
        entry.key.iter().for_each(|key| wire.word(*key));
        wire.float(entry.value);
        wire.word(entry.time as u64);
        wire.0.extend_from_slice(&entry.item.to_le_bytes());
        wire.0.extend_from_slice(&entry.owner.to_le_bytes());
        wire.0.extend_from_slice(&[entry.action, entry.offset as u8, entry.state]);
    }
    wire.0
}

/// `actions` are those of the file as they are numbered here.
pub(super) fn read(read: &mut Read<'_>, items: usize, actions: &[Option<ActionId>]) -> Said<Arc<Vec<Entry>>> {
    let mut all = Vec::with_capacity(BLOCK);
    let number = |read: &mut Read<'_>| read.array().map(u32::from_le_bytes);
    while !read.is_at_end() {
        let key = [read.word()?, read.word()?];
        let (value, time) = (read.float()?, read.word()? as i64);
        let (item, owner) = (number(read)?, number(read)?);
        let (action, offset, state) = (read.byte()?, read.byte()? as i8, read.byte()?);
        // One that was taken back before it came names no item.
        if item != 0 && item as usize >= items {
            return Err(format!("item {item} of {items}"));
        }
        let action = match action {
            NO_ACTION => NO_ACTION,
            action => actions.get(usize::from(action)).copied().flatten().map_or(NO_ACTION, |id| id.0),
        };
        all.push(Entry { key, value, time, item, owner, action, offset, state });
    }
    if all.is_empty() || all.len() > BLOCK {
        return Err(format!("expected 1 to {BLOCK} deeds, found {}", all.len()));
    }
    Ok(Arc::new(all))
}

pub(super) fn write_owners(owners: &[Owner]) -> Vec<u8> {
    let mut wire = Wire::default();
    for owner in owners {
        match owner {
            Owner::Erased => wire.0.push(0),
            Owner::Merged(into) => {
                wire.0.push(1);
                wire.unsigned((*into).into());
            }
            Owner::Person(person) => {
                wire.0.push(2);
                write_person(&mut wire, person);
            }
        }
    }
    wire.0
}

pub(super) fn read_owners(read: &mut Read<'_>) -> Said<Arc<Vec<Owner>>> {
    let mut all = Vec::with_capacity(BLOCK);
    while !read.is_at_end() {
        all.push(match read.byte()? {
            0 => Owner::Erased,
            1 => Owner::Merged(read.number()?),
            2 => Owner::Person(read_person(read)?),
            other => return Err(format!("found an owner of kind {other}")),
        });
    }
    if all.is_empty() || all.len() > BLOCK {
        return Err(format!("expected 1 to {BLOCK} owners, found {}", all.len()));
    }
    Ok(Arc::new(all))
}
