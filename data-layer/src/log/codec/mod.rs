//! Events as compact bytes: the payload of a record of the log, version 2, and of a packed batch between servers. One event has
//! one form, so equal bytes are equal events. Described in `docs/formats.md`. Not for headers and sums: those are `format.rs`'s.

pub mod bytes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::bytes::{Bytes, put_number, put_person, put_signed, put_text, put_value};
use crate::types::event::{Edge, Erase, Event, Load, Phase};
use crate::types::{
    Attributes, Identify, Impression, Interaction, ItemEvent, Retraction, Schema, Seen, UserEvent, Value,
};

/// Kinds of the records of events: 1 item, 2 user, 3 interaction, 4 retraction, 5 impression, 6 identify, 7 schema, 8 erase, 9 edge,
/// 10 load.
#[must_use]
pub fn kind_of(event: &Event) -> u8 {
    match event {
        Event::Item(_) => 1,
        Event::User(_) => 2,
        Event::Interaction(_) => 3,
        Event::Retraction(_) => 4,
        Event::Impression(_) => 5,
        Event::Identify(_) => 6,
        Event::Schema(_) => 7,
        Event::Erase(_) => 8,
        Event::Edge(_) => 9,
        Event::Load(_) => 10,
    }
}

/// Appends the bytes of an event. Which kind it is, [`kind_of`], is not among them.
///
/// # Errors
/// What the serialiser of schemas says; none for one that was checked.
pub fn encode(event: &Event, out: &mut Vec<u8>) -> Result<(), String> {
    match event {
        Event::Item(e) => put_item(e, out),
        Event::User(e) => put_user(e, out),
        Event::Interaction(e) => put_interaction(e, out),
        Event::Retraction(e) => {
            out.push(flag(e.person.is_some(), 1));
            put_text(out, e.id.as_str());
            put_signed(out, e.time);
            e.person.iter().for_each(|person| put_person(out, person));
        }
        Event::Impression(e) => put_impression(e, out),
        Event::Identify(e) => {
            out.push(0);
            put_text(out, e.anonymous.as_str());
            put_text(out, e.user.as_str());
            put_signed(out, e.time);
        }
        // Rare, and read by people: JSON.
        Event::Schema(schema) => serde_json::to_writer(out, schema).map_err(|e| e.to_string())?,
        Event::Erase(e) => {
            out.push(0);
            put_person(out, &e.person);
            put_signed(out, e.time);
        }
        Event::Edge(e) => {
            out.push(flag(e.source.is_some(), 1) | flag(e.deleted, 2));
            put_text(out, e.from.as_str());
            put_text(out, e.to.as_str());
            put_text(out, &e.relation);
            put_signed(out, e.time);
            put_optional(out, e.source.as_deref());
        }
        Event::Load(e) => {
            out.push(flag(e.phase == Phase::End, 1));
            put_text(out, &e.source);
            put_text(out, &e.id);
            put_signed(out, e.time);
        }
    }
    Ok(())
}

/// Reads the event of a kind from all of `payload`, which may be any bytes.
///
/// # Errors
/// A sentence with the byte, what was expected and what was found; for an unknown kind too.
pub fn decode(kind: u8, payload: &[u8]) -> Result<Event, String> {
    let mut bytes = Bytes::new(payload);
    let event = match kind {
        1 => Event::Item(item(&mut bytes)?),
        2 => Event::User(user(&mut bytes)?),
        3 => Event::Interaction(interaction(&mut bytes)?),
        4 => Event::Retraction(retraction(&mut bytes)?),
        5 => Event::Impression(impression(&mut bytes)?),
        6 => {
            bytes.flags(0)?;
            Event::Identify(Identify { anonymous: bytes.id()?, user: bytes.id()?, time: bytes.signed()? })
        }
        7 => {
            let schema: Schema = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
            return Ok(Event::Schema(schema));
        }
        8 => {
            bytes.flags(0)?;
            Event::Erase(Erase { person: bytes.person()?, time: bytes.signed()? })
        }
        9 => Event::Edge(edge(&mut bytes)?),
        10 => {
            let phase = if bytes.flags(1)? == 0 { Phase::Begin } else { Phase::End };
            let (source, id) = (bytes.text()?.to_owned(), bytes.text()?.to_owned());
            Event::Load(Load { source, id, phase, time: bytes.signed()? })
        }
        other => return Err(format!("expected the kind of an event, 1 to 10, found {other}")),
    };
    bytes.end()?;
    Ok(event)
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    text.into_iter().for_each(|text| put_text(out, text));
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    put_number(out, attributes.len() as u64);
    for (name, value) in attributes {
        put_text(out, name);
        put_value(out, value.as_ref());
    }
}

fn put_item(e: &ItemEvent, out: &mut Vec<u8>) {
    let deleted = flag(e.deleted.is_some(), 4) | flag(e.deleted == Some(true), 8);
    out.push(flag(e.kind.is_some(), 1) | flag(e.source.is_some(), 2) | deleted);
    put_text(out, e.id.as_str());
    put_signed(out, e.time);
    put_optional(out, e.kind.as_deref());
    put_optional(out, e.source.as_deref());
    put_attributes(out, &e.attributes);
}

fn put_user(e: &UserEvent, out: &mut Vec<u8>) {
    out.push(flag(e.source.is_some(), 1));
    put_person(out, &e.person);
    put_signed(out, e.time);
    put_optional(out, e.source.as_deref());
    put_attributes(out, &e.attributes);
}

/// Most interactions have the value 1, which is left out.
fn plain(value: f64) -> bool {
    value.to_bits() == 1.0f64.to_bits()
}

fn put_interaction(e: &Interaction, out: &mut Vec<u8>) {
    out.push(
        flag(e.id.is_some(), 1)
            | flag(!plain(e.value), 2)
            | flag(e.request_id.is_some(), 4)
            | flag(e.session.is_some(), 8)
            | flag(!e.context.is_empty(), 16),
    );
    put_person(out, &e.person);
    put_text(out, e.item.as_str());
    put_text(out, &e.action);
    put_signed(out, e.time);
    e.id.iter().for_each(|id| put_text(out, id.as_str()));
    if !plain(e.value) {
        out.extend_from_slice(&e.value.to_le_bytes());
    }
    put_optional(out, e.request_id.as_deref());
    put_optional(out, e.session.as_deref());
    if !e.context.is_empty() {
        put_number(out, e.context.len() as u64);
        for (name, value) in &e.context {
            put_text(out, name);
            put_value(out, Some(value));
        }
    }
}

fn put_impression(e: &Impression, out: &mut Vec<u8>) {
    out.push(flag(e.id.is_some(), 1) | flag(e.scene.is_some(), 2) | flag(e.request_id.is_some(), 4));
    put_person(out, &e.person);
    put_signed(out, e.time);
    e.id.iter().for_each(|id| put_text(out, id.as_str()));
    put_optional(out, e.scene.as_deref());
    put_optional(out, e.request_id.as_deref());
    put_number(out, e.items.len() as u64);
    for seen in &e.items {
        out.push(flag(seen.position.is_some(), 1) | flag(seen.visible_ms.is_some(), 2));
        put_text(out, seen.id.as_str());
        seen.position.iter().for_each(|place| put_number(out, u64::from(*place)));
        seen.visible_ms.iter().for_each(|span| put_number(out, *span));
    }
}

fn optional(bytes: &mut Bytes<'_>, present: bool) -> Result<Option<String>, String> {
    present.then(|| bytes.text().map(str::to_owned)).transpose()
}

/// Names in ascending order, each once, with what `value` reads.
fn named<'a, V>(
    bytes: &mut Bytes<'a>,
    value: impl Fn(&mut Bytes<'a>) -> Result<V, String>,
) -> Result<BTreeMap<String, V>, String> {
    let count = bytes.count(2)?;
    if count == 0 {
        return Ok(BTreeMap::new());
    }
    let mut list: Vec<(String, V)> = Vec::with_capacity(count);
    for _ in 0..count {
        let name = bytes.text()?;
        if let Some((last, _)) = list.last()
            && last.as_str() >= name
        {
            return Err(format!("expected names in ascending order, found {name:?} behind {last:?}"));
        }
        list.push((name.to_owned(), value(bytes)?));
    }
    Ok(list.into_iter().collect())
}

fn item(bytes: &mut Bytes<'_>) -> Result<ItemEvent, String> {
    let flags = bytes.flags(15)?;
    Ok(ItemEvent {
        id: bytes.id()?,
        time: bytes.signed()?,
        kind: optional(bytes, flags & 1 != 0)?,
        source: optional(bytes, flags & 2 != 0)?,
        attributes: named(bytes, Bytes::value)?,
        deleted: (flags & 4 != 0).then_some(flags & 8 != 0),
    })
}

fn user(bytes: &mut Bytes<'_>) -> Result<UserEvent, String> {
    let flags = bytes.flags(1)?;
    Ok(UserEvent {
        person: bytes.person()?,
        time: bytes.signed()?,
        source: optional(bytes, flags & 1 != 0)?,
        attributes: named(bytes, Bytes::value)?,
    })
}

fn scalar(bytes: &mut Bytes<'_>) -> Result<Value, String> {
    bytes.value()?.ok_or_else(|| "expected a value in the context, found none".to_owned())
}

fn interaction(bytes: &mut Bytes<'_>) -> Result<Interaction, String> {
    let flags = bytes.flags(31)?;
    Ok(Interaction {
        person: bytes.person()?,
        item: bytes.id()?,
        action: bytes.text()?.to_owned(),
        time: bytes.signed()?,
        id: (flags & 1 != 0).then(|| bytes.id()).transpose()?,
        value: if flags & 2 == 0 { 1.0 } else { bytes.float()? },
        request_id: optional(bytes, flags & 4 != 0)?,
        session: optional(bytes, flags & 8 != 0)?,
        context: if flags & 16 == 0 { BTreeMap::new() } else { named(bytes, scalar)? },
    })
}

fn retraction(bytes: &mut Bytes<'_>) -> Result<Retraction, String> {
    let flags = bytes.flags(1)?;
    Ok(Retraction {
        id: bytes.id()?,
        time: bytes.signed()?,
        person: (flags & 1 != 0).then(|| bytes.person()).transpose()?,
    })
}

fn impression(bytes: &mut Bytes<'_>) -> Result<Impression, String> {
    let flags = bytes.flags(7)?;
    let (person, time) = (bytes.person()?, bytes.signed()?);
    let id = (flags & 1 != 0).then(|| bytes.id()).transpose()?;
    let (scene, request_id) = (optional(bytes, flags & 2 != 0)?, optional(bytes, flags & 4 != 0)?);
    let count = bytes.count(3)?;
    let items = (0..count).map(|_| seen(bytes)).collect::<Result<_, _>>()?;
    Ok(Impression { id, person, scene, request_id, items, time })
}

fn seen(bytes: &mut Bytes<'_>) -> Result<Seen, String> {
    let flags = bytes.flags(3)?;
    let id = bytes.id()?;
    let position = (flags & 1 != 0).then(|| bytes.number()).transpose()?;
    let position = position.map(u32::try_from).transpose();
    Ok(Seen {
        id,
        position: position.map_err(|_| "expected a position below 2^32, found a greater one".to_owned())?,
        visible_ms: (flags & 2 != 0).then(|| bytes.number()).transpose()?,
    })
}

fn edge(bytes: &mut Bytes<'_>) -> Result<Edge, String> {
    let flags = bytes.flags(3)?;
    Ok(Edge {
        from: bytes.id()?,
        to: bytes.id()?,
        relation: bytes.text()?.to_owned(),
        time: bytes.signed()?,
        source: optional(bytes, flags & 1 != 0)?,
        deleted: flags & 2 != 0,
    })
}
