//! Items and users: attributes, deletion, sources.

use super::value::attributes;
use super::{Checker, person};
use crate::ingest::fields::Fields;
use crate::types::event::{ItemEvent, UserEvent};
use crate::types::schema::{RESERVED_ITEM, RESERVED_USER};
use crate::types::{Event, Person};

/// Attributes or deletion of an item.
pub(super) fn item(checker: &Checker<'_>, fields: &mut Fields) -> Result<Event, String> {
    Ok(Event::Item(ItemEvent {
        id: fields.required_id("id")?,
        kind: fields.label("kind")?,
        time: checker.required_time(fields)?,
        source: fields.label("source")?,
        deleted: fields.bool("deleted")?,
        attributes: attributes(fields, &RESERVED_ITEM)?,
    }))
}

/// Attributes of a user, who may be anonymous.
pub(super) fn user(checker: &Checker<'_>, fields: &mut Fields) -> Result<Event, String> {
    let person = match fields.id("id")? {
        Some(id) => Person::user(id),
        None => person(fields)?.ok_or_else(|| "id: required; expected the user's id".to_owned())?,
    };
    if fields.bool("deleted")?.is_some() {
        return Err("deleted: users are removed with DELETE /v1/users/{id}, not by an event".to_owned());
    }
    Ok(Event::User(UserEvent {
        person,
        time: checker.required_time(fields)?,
        source: fields.label("source")?,
        attributes: attributes(fields, &RESERVED_USER)?,
    }))
}
