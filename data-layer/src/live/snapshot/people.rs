//! People as sections of a snapshot: who they are, the number under which it is known what they did, and their state as the codec writes it.

use std::sync::Arc;

use super::super::codec::wire::{Read, Said, Wire};
use super::super::people::{EmbeddedPeople, Kept};
use super::super::{Ids, codec};
use crate::config::Actions;
use crate::types::{Id, Person, PersonKind};
use crate::{Error, Result};

/// A section is closed when it has this many bytes.
pub(super) const FULL: usize = 1 << 20;

pub(super) fn write_person(wire: &mut Wire, person: &Person) {
    wire.0.push(person.kind as u8);
    wire.text(person.id.as_str());
}

pub(super) fn read_person(read: &mut Read<'_>) -> Said<Person> {
    let kind = match read.byte()? {
        kind if kind == PersonKind::User as u8 => PersonKind::User,
        kind if kind == PersonKind::Anonymous as u8 => PersonKind::Anonymous,
        kind if kind == PersonKind::Session as u8 => PersonKind::Session,
        other => return Err(format!("found a person of kind {other}")),
    };
    Ok(Person { kind, id: Id::new(read.text()?).map_err(|error| error.to_string())? })
}

pub(super) fn write(wire: &mut Wire, person: &Person, kept: &Kept, ids: &Ids, actions: &Actions) {
    write_person(wire, person);
    wire.unsigned(kept.number.map_or(0, |number| u128::from(number) + 1));
    wire.bytes(&codec::encode(&kept.state, ids, actions));
}

/// Puts the people of one section back; how many there were.
pub(super) fn read(
    read: &mut Read<'_>,
    people: &EmbeddedPeople,
    ids: &Ids,
    actions: &Actions,
) -> Said<usize> {
    let mut count = 0;
    while !read.is_at_end() {
        let person = read_person(read)?;
        let number = match read.number::<u64>()?.checked_sub(1) {
            None => None,
            Some(number) => Some(u32::try_from(number).map_err(|_| format!("a number of {number}"))?),
        };
        let mut known = |id: &str| -> Result<_> {
            ids.ordinal(id).ok_or_else(|| Error::invalid("state", format!("item {id:?} is not in this file")))
        };
        let state = codec::decode(read.bytes()?, "state", actions, &mut known);
        let state = state.map_err(|error| format!("{person:?}: {error}"))?;
        people.put(person, Kept { state: Arc::new(state), number });
        count += 1;
    }
    Ok(count)
}
