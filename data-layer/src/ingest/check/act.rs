//! What people do and see: interactions, the taking back of them, impressions.

use serde_json::Value as Json;

use super::value::context;
use super::{Checker, MOST_IMPRESSED, in_range, person, required_person};
use crate::ingest::decode::noun;
use crate::ingest::fields::Fields;
use crate::types::event::{Impression, Interaction, Retraction, Seen};
use crate::types::{Event, Id, Millis};

/// Somebody did something with an item, or takes it back.
pub(super) fn interaction(checker: &Checker<'_>, fields: &mut Fields) -> Result<Event, String> {
    let id = fields.id("id")?;
    let time = checker.time(fields)?;
    if fields.bool("retracted")? == Some(true) {
        return retraction(checker, fields, id, time);
    }
    let person = required_person(fields)?;
    let item = fields.required_id("item")?;
    let action = fields.text("action")?.ok_or_else(|| format!("action: required; {}", checker.names()))?;
    checker.known(&action)?;
    let value = fields.number("value")?.unwrap_or(1.0);
    in_range(value)?;
    Ok(Event::Interaction(Interaction {
        time: checker.time_or_id(time, id.is_some())?,
        id,
        person,
        item,
        action,
        value,
        request_id: fields.label("request_id")?,
        session: fields.label("session")?,
        context: context(fields)?,
    }))
}

fn retraction(
    checker: &Checker<'_>,
    fields: &mut Fields,
    id: Option<Id>,
    time: Option<Millis>,
) -> Result<Event, String> {
    let id = id.ok_or("id: required; a retraction names the interaction that it takes back")?;
    let person = person(fields)?;
    // A client may send the whole interaction again with the mark; what it says besides is known.
    fields.skip(&["item", "action", "value", "request_id", "session", "context"]);
    Ok(Event::Retraction(Retraction { id, person, time: time.unwrap_or(checker.received_ms) }))
}

/// Somebody saw items.
pub(super) fn impression(checker: &Checker<'_>, fields: &mut Fields) -> Result<Event, String> {
    let id = fields.id("id")?;
    if fields.bool("retracted")? == Some(true) {
        return Err("retracted: an interaction can be taken back, an impression can't".to_owned());
    }
    let time = checker.time(fields)?;
    let list = match fields.take("items") {
        Some(Json::Array(list)) => list,
        Some(other) => return Err(format!("items: expected a list, found {}", noun(&other))),
        None => {
            return Err(
                "items: required; expected a list such as [{\"id\":\"i1\",\"position\":0}]".to_owned()
            );
        }
    };
    if list.is_empty() || list.len() > MOST_IMPRESSED {
        return Err(format!("items: expected 1 to {MOST_IMPRESSED}, found {}", list.len()));
    }
    let items = list.into_iter().zip(0usize..).map(|(item, at)| seen(item, at)).collect::<Result<_, _>>()?;
    Ok(Event::Impression(Impression {
        time: checker.time_or_id(time, id.is_some())?,
        id,
        person: required_person(fields)?,
        scene: fields.label("scene")?,
        request_id: fields.label("request_id")?,
        items,
    }))
}

fn seen(item: Json, at: usize) -> Result<Seen, String> {
    let place = |detail: String| format!("items[{at}].{detail}");
    match item {
        Json::Object(item) => {
            let mut fields = Fields::new(item);
            let id = fields.required_id("id").map_err(place)?;
            let position = fields.whole("position", u64::from(u32::MAX)).map_err(place)?;
            let visible_ms = fields.whole("visible_ms", i64::MAX as u64).map_err(place)?;
            Ok(Seen { id, position: position.map(|p| p as u32), visible_ms })
        }
        Json::String(id) => {
            let id = Id::new(&id).map_err(|e| format!("items[{at}]: {e}"))?;
            Ok(Seen { id, position: None, visible_ms: None })
        }
        other => Err(format!("items[{at}]: expected {{\"id\": …}}, found {}", noun(&other))),
    }
}
