//! One JSON object into one typed event: required fields, ids, times, actions, forms of values. Stateless; attribute types are
//! settled against the schema in `typing.rs`, when the event's turn in the log comes.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::decode::noun;
use super::fields::{Fields, in_time, text_ok};
use crate::config::Actions;
use crate::live::counters::MOST_VALUE;
use crate::types::event::{
    Edge, Erase, Identify, Impression, Interaction, ItemEvent, Load, Retraction, Seen, UserEvent,
};
use crate::types::schema::{RESERVED_ITEM, RESERVED_USER};
use crate::types::time::{self, MINUTE};
use crate::types::{Event, Id, Millis, Person, Value, ValueType};

/// How far an event's time may lie ahead of the server's clock.
pub const MOST_AHEAD: Millis = 5 * MINUTE;
/// Most items of one impression.
pub const MOST_IMPRESSED: usize = 1000;
/// Most entries of a context.
pub const MOST_CONTEXT: usize = 64;
/// Most attributes of one event.
pub const MOST_ATTRIBUTES: usize = 1000;
/// Longest text of a value, in bytes.
pub const MOST_TEXT: usize = 64 << 10;
/// Longest list of a value.
pub const MOST_LIST: usize = 4096;

/// What the check needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Checker<'a> {
    /// Configured actions.
    pub actions: &'a Actions,
    /// The server's clock when the event came.
    pub received_ms: Millis,
}

/// A checked event, and how many top-level fields of it were ignored.
pub type Checked = Result<(Event, u64), String>;

/// The kinds of event that are taken.
const TYPES: &str = "item, user, interaction, impression, identify";

impl Checker<'_> {
    /// Checks one event.
    ///
    /// # Errors
    /// A sentence that names the field, what was expected and what was found.
    pub fn check(&self, event: Map<String, Json>) -> Checked {
        let mut fields = Fields::new(event);
        let event = match fields.text("type")?.as_deref() {
            Some("item") => self.item(&mut fields)?,
            Some("user") => self.user(&mut fields)?,
            Some("interaction") => self.interaction(&mut fields)?,
            Some("impression") => self.impression(&mut fields)?,
            Some("identify") => self.identify(&mut fields)?,
            Some(later @ ("edge" | "load")) => {
                return Err(format!(
                    "type: {later:?} is not supported by this version; expected one of {TYPES}"
                ));
            }
            Some(other) => return Err(format!("type: expected one of {TYPES}, found {other:?}")),
            None => return Err(format!("type: required; expected one of {TYPES}")),
        };
        Ok((event, fields.left()))
    }

    /// Checks an event that was made by a program: what the log and the stores rely on.
    ///
    /// # Errors
    /// As [`Checker::check`].
    pub fn check_typed(&self, event: &Event) -> Result<(), String> {
        let (time, attributes) = match event {
            Event::Item(e) => (e.time, &e.attributes),
            Event::User(e) => (e.time, &e.attributes),
            Event::Interaction(e) => {
                self.known(&e.action)?;
                in_range(e.value)?;
                e.context.iter().try_for_each(|(name, value)| finite(value, "context", name))?;
                return in_time("time", e.time).map(drop);
            }
            Event::Schema(_) => return Err("type: schema records are the server's own".to_owned()),
            Event::Retraction(Retraction { time, .. })
            | Event::Impression(Impression { time, .. })
            | Event::Identify(Identify { time, .. })
            | Event::Erase(Erase { time, .. })
            | Event::Edge(Edge { time, .. })
            | Event::Load(Load { time, .. }) => return in_time("time", *time).map(drop),
        };
        in_time("time", time)?;
        for (name, value) in attributes {
            name_ok(name)?;
            value.iter().try_for_each(|value| finite(value, "attributes", name))?;
        }
        Ok(())
    }

    fn item(&self, fields: &mut Fields) -> Result<Event, String> {
        Ok(Event::Item(ItemEvent {
            id: fields.required_id("id")?,
            kind: fields.label("kind")?,
            time: self.time(fields)?.unwrap_or(self.received_ms),
            source: fields.label("source")?,
            deleted: fields.bool("deleted")?,
            attributes: attributes(fields, &RESERVED_ITEM)?,
        }))
    }

    fn user(&self, fields: &mut Fields) -> Result<Event, String> {
        let person = match fields.id("id")? {
            Some(id) => Person::user(id),
            None => person(fields).map_err(|_| "id: required; expected the user's id".to_owned())?,
        };
        if fields.bool("deleted")?.is_some() {
            return Err("deleted: users are removed with DELETE /v1/users/{id}, not by an event".to_owned());
        }
        Ok(Event::User(UserEvent {
            person,
            time: self.time(fields)?.unwrap_or(self.received_ms),
            source: fields.label("source")?,
            attributes: attributes(fields, &RESERVED_USER)?,
        }))
    }

    fn interaction(&self, fields: &mut Fields) -> Result<Event, String> {
        let id = fields.id("id")?;
        let time = self.time(fields)?;
        if fields.bool("retracted")? == Some(true) {
            let id = id.ok_or("id: required; a retraction names the interaction that it takes back")?;
            // A client may send the whole interaction again with the mark; what it says besides is known.
            fields.skip(&["user", "anonymous", "session_id", "item", "action", "value"]);
            fields.skip(&["request_id", "session", "context"]);
            let time = time.unwrap_or(self.received_ms);
            return Ok(Event::Retraction(Retraction { id, person: None, time }));
        }
        let person = person(fields)?;
        let item = fields.required_id("item")?;
        let action = fields.text("action")?.ok_or_else(|| format!("action: required; {}", self.names()))?;
        self.known(&action)?;
        let value = fields.number("value")?.unwrap_or(1.0);
        in_range(value)?;
        Ok(Event::Interaction(Interaction {
            time: self.required_time(time, id.is_some())?,
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

    fn impression(&self, fields: &mut Fields) -> Result<Event, String> {
        let id = fields.id("id")?;
        if fields.bool("retracted")? == Some(true) {
            return Err("retracted: an interaction can be taken back, an impression can't".to_owned());
        }
        let time = self.time(fields)?;
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
        let items =
            list.into_iter().zip(0usize..).map(|(item, at)| seen(item, at)).collect::<Result<_, _>>()?;
        Ok(Event::Impression(Impression {
            time: self.required_time(time, id.is_some())?,
            id,
            person: person(fields)?,
            scene: fields.label("scene")?,
            request_id: fields.label("request_id")?,
            items,
        }))
    }

    fn identify(&self, fields: &mut Fields) -> Result<Event, String> {
        let time = self.time(fields)?;
        Ok(Event::Identify(Identify {
            anonymous: fields.required_id("anonymous")?,
            user: fields.required_id("user")?,
            time: self.required_time(time, false)?,
        }))
    }

    fn time(&self, fields: &mut Fields) -> Result<Option<Millis>, String> {
        let Some(time) = fields.time("time")? else { return Ok(None) };
        let ahead = time.saturating_sub(self.received_ms);
        if ahead > MOST_AHEAD {
            return Err(format!(
                "time: expected at most {MOST_AHEAD} ms ahead of the server's clock, found {ahead} ms ({})",
                time::format_rfc3339(time)
            ));
        }
        Ok(Some(time))
    }

    fn required_time(&self, time: Option<Millis>, has_id: bool) -> Result<Millis, String> {
        match time {
            Some(time) => Ok(time),
            None if has_id => Ok(self.received_ms),
            None => Err("time: required where there is no id; expected milliseconds or RFC 3339".to_owned()),
        }
    }

    fn known(&self, action: &str) -> Result<(), String> {
        match self.actions.id(action) {
            Some(_) => Ok(()),
            None => Err(format!("action: {}, found {action:?}", self.names())),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.actions.iter().map(|(_, name, _)| name).collect();
        format!("expected one of {} (as [actions] in weir.toml says)", names.join(", "))
    }
}

/// The erasure of a person, as an event.
#[must_use]
pub fn erase(person: Person, time: Millis) -> Event {
    Event::Erase(Erase { person, time })
}

fn in_range(value: f64) -> Result<(), String> {
    if value.is_finite() && value.abs() <= MOST_VALUE {
        return Ok(());
    }
    Err(format!("value: expected a number of at most {MOST_VALUE:e} in magnitude, found {value}"))
}

/// The log is JSON, which has no other numbers: one in it could never be read again.
fn finite(value: &Value, within: &str, name: &str) -> Result<(), String> {
    let finite = match value {
        Value::Float(f) => f.is_finite(),
        Value::Vector(v) => v.iter().all(|x| x.is_finite()),
        Value::Geo { lat, lon } => lat.is_finite() && lon.is_finite(),
        Value::Bool(_) | Value::Int(_) | Value::String(_) | Value::Strings(_) => true,
    };
    if finite { Ok(()) } else { Err(format!("{within}.{name}: expected finite numbers")) }
}

fn person(fields: &mut Fields) -> Result<Person, String> {
    let (user, anonymous, session) = (fields.id("user")?, fields.id("anonymous")?, fields.id("session_id")?);
    let known = user.map(Person::user).or(anonymous.map(Person::anonymous)).or(session.map(Person::session));
    known.ok_or_else(|| "user: required; expected one of user, anonymous, session_id".to_owned())
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

fn context(fields: &mut Fields) -> Result<BTreeMap<String, Value>, String> {
    let entries = fields.object("context")?;
    if entries.len() > MOST_CONTEXT {
        return Err(format!("context: expected at most {MOST_CONTEXT} entries, found {}", entries.len()));
    }
    let mut context = BTreeMap::new();
    for (name, value) in entries {
        if matches!(value, Json::Array(_) | Json::Object(_)) {
            return Err(format!("context.{name}: expected a bool, number or string, found {}", noun(&value)));
        }
        if let Some(value) = self::value(value).map_err(|detail| format!("context.{name}: {detail}"))? {
            context.insert(name, value);
        }
    }
    Ok(context)
}

fn attributes(
    fields: &mut Fields,
    reserved: &[(&str, ValueType)],
) -> Result<BTreeMap<String, Option<Value>>, String> {
    let entries = fields.object("attributes")?;
    if entries.len() > MOST_ATTRIBUTES {
        return Err(format!("attributes: expected at most {MOST_ATTRIBUTES}, found {}", entries.len()));
    }
    let mut attributes = BTreeMap::new();
    for (name, value) in entries {
        name_ok(&name)?;
        // The reserved integers are times, and times may be written in RFC 3339.
        let is_time = reserved.contains(&(name.as_str(), ValueType::Int));
        let value = match value {
            Json::String(text) if is_time => {
                let time = time::parse_rfc3339(&text).map_err(|d| format!("attributes.{name}: {d}"))?;
                Some(Value::Int(time))
            }
            other => self::value(other).map_err(|detail| format!("attributes.{name}: {detail}"))?,
        };
        attributes.insert(name, value);
    }
    Ok(attributes)
}

fn name_ok(name: &str) -> Result<(), String> {
    text_ok(name, 128)
        .map_err(|detail| format!("attributes: a name has 1 to 128 bytes, and {detail}: {name:?}"))
}

/// The typed form of an attribute value; `None` for null, which clears.
fn value(json: Json) -> Result<Option<Value>, String> {
    Ok(Some(match json {
        Json::Null => return Ok(None),
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(f)) if f.is_finite() && !n.is_u64() => Value::Float(f),
            _ => return Err(format!("expected a 64-bit signed integer or a finite float, found {n}")),
        },
        Json::String(text) => Value::String(bounded(text)?.into()),
        Json::Array(list) => return self::list(list).map(Some),
        Json::Object(map) => {
            let degrees = |name: &str, most: f64| {
                let number = map.get(name).and_then(Json::as_f64).filter(|d| d.abs() <= most);
                number.ok_or_else(|| {
                    format!("expected {{\"lat\": −90 to 90, \"lon\": −180 to 180}}; {name} is not")
                })
            };
            let place = Value::Geo { lat: degrees("lat", 90.0)?, lon: degrees("lon", 180.0)? };
            if map.len() != 2 {
                return Err("expected {\"lat\": …, \"lon\": …} and nothing else".to_owned());
            }
            place
        }
    }))
}

fn list(list: Vec<Json>) -> Result<Value, String> {
    if list.len() > MOST_LIST {
        return Err(format!("expected at most {MOST_LIST} elements, found {}", list.len()));
    }
    if list.first().is_some_and(Json::is_number) {
        let number = |json: &Json| {
            let number = json.as_f64().map(|f| f as f32).filter(|f| f.is_finite());
            number.ok_or_else(|| format!("expected a list of finite numbers, found {} in it", noun(json)))
        };
        return list.iter().map(number).collect::<Result<_, _>>().map(Value::Vector);
    }
    let text = |json: Json| match json {
        Json::String(text) => bounded(text).map(Into::into),
        other => Err(format!("expected a list of strings or of numbers, found {} in it", noun(&other))),
    };
    list.into_iter().map(text).collect::<Result<_, _>>().map(Value::Strings)
}

fn bounded(text: String) -> Result<String, String> {
    if text.len() > MOST_TEXT {
        return Err(format!("expected at most {MOST_TEXT} bytes of text, found {}", text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ingest::decode::{Form, decode};
    use crate::ingest::typing::settle;
    use crate::types::Schema;
    use crate::types::time::DAY;

    const NOW: Millis = 20_000 * DAY;

    /// What an event that is wrong is told.
    fn told(event: &str) -> String {
        let mut schema = Schema::reserved();
        schema.items.insert("price".into(), ValueType::Float);
        schema.items.insert("stock".into(), ValueType::Int);
        let checker = Checker { actions: &Actions::default(), received_ms: NOW };
        let decoded = decode(event.as_bytes(), Form::Json).unwrap().pop().unwrap();
        let checked = decoded.and_then(|event| checker.check(event));
        checked.and_then(|(mut event, _)| settle(&mut event, &schema, &schema)).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_with_field_expected_and_found() {
        let act =
            |rest: &str| format!(r#"{{"type":"interaction","user":"u","item":"i","action":"click",{rest}}}"#);
        let item = |rest: &str| format!(r#"{{"type":"item","id":"i","time":1,{rest}}}"#);
        let long = "x".repeat(257);
        let cases = [
            (r#"{"id":"i"}"#.into(), "type: required; expected one of item, user, interaction"),
            (
                r#"{"type":"purchase"}"#.into(),
                r#"type: expected one of item, user, interaction, impression, identify, found "purchase""#,
            ),
            (
                r#"{"type":"edge","from":"a","to":"b"}"#.into(),
                r#"type: "edge" is not supported by this version"#,
            ),
            (r#"{"type":"load"}"#.into(), r#"type: "load" is not supported by this version"#),
            (r#"{"type":3}"#.into(), "type: expected a string, found the number 3"),
            (r#"{"type":"item"}"#.into(), "id: required"),
            (
                r#"{"type":"item","id":12}"#.into(),
                r#"id: expected a string, found the number 12; write "12" (numbers above 2^53"#,
            ),
            (
                r#"{"type":"item","id":""}"#.into(),
                "id: an id must have 1 to 256 bytes, found an empty string",
            ),
            (format!(r#"{{"type":"item","id":"{long}"}}"#), "id: an id must have 1 to 256 bytes, found 257"),
            (r#"{"type":"item","id":"a\u0000"}"#.into(), "id: an id must not hold control characters"),
            (act(r#""value":1"#), "time: required where there is no id"),
            (act(r#""time":"yesterday""#), "time: expected a time in RFC 3339"),
            (
                act(r#""time":1.5"#),
                "time: expected whole milliseconds since 1970 or RFC 3339, found the number 1.5",
            ),
            (
                act(r#""time":true"#),
                "time: expected milliseconds since 1970 or RFC 3339, found the bool true",
            ),
            (act(r#""time":1e15"#), "time: expected a time in the years 1 to 9999"),
            (
                act(&format!(r#""time":{}"#, NOW + 5 * MINUTE + 1)),
                "time: expected at most 300000 ms ahead of the server's clock, found 300001 ms",
            ),
            (act(r#""time":1,"value":"x""#), r#"value: expected a number, found the string "x""#),
            (
                act(r#""time":1,"value":1e10"#),
                "value: expected a number of at most 1e9 in magnitude, found 10000000000",
            ),
            (act(r#""time":1,"retracted":true"#), "id: required; a retraction names the interaction"),
            (act(r#""time":1,"retracted":1"#), "retracted: expected true or false, found the number 1"),
            (
                act(r#""time":1,"context":{"a":[1]}"#),
                "context.a: expected a bool, number or string, found a list of 1",
            ),
            (act(r#""time":1,"session":7"#), "session: expected a string, found the number 7"),
            (
                r#"{"type":"interaction","item":"i","action":"click","time":1}"#.into(),
                "user: required; expected one of user, anonymous, session_id",
            ),
            (
                r#"{"type":"interaction","user":9007199254740993,"item":"i","action":"click","time":1}"#
                    .into(),
                "user: expected a string, found the number 9007199254740993",
            ),
            (
                r#"{"type":"interaction","user":"u","item":"i","action":"clik","time":1}"#.into(),
                r#"action: expected one of buy, click, dislike, like, rate, view (as [actions] in weir.toml says), found "clik""#,
            ),
            (
                r#"{"type":"interaction","user":"u","item":"i","time":1}"#.into(),
                "action: required; expected one of buy, click",
            ),
            (item(r#""attributes":[]"#), "attributes: expected an object, found a list of 0"),
            (
                item(r#""attributes":{"price":"cheap"}"#),
                "attributes.price: expected float, as the schema says, found string",
            ),
            (
                item(r#""attributes":{"stock":1.5}"#),
                "attributes.stock: expected int, as the schema says, found float",
            ),
            (
                item(r#""attributes":{"hidden":"yes"}"#),
                "attributes.hidden: expected bool, as the schema says, found string",
            ),
            (item(r#""attributes":{"created":"once"}"#), "attributes.created: expected a time in RFC 3339"),
            (
                item(r#""attributes":{"x":["a",1]}"#),
                "attributes.x: expected a list of strings or of numbers, found the number 1 in it",
            ),
            (
                item(r#""attributes":{"x":[1,"a"]}"#),
                r#"attributes.x: expected a list of finite numbers, found the string "a" in it"#,
            ),
            (item(r#""attributes":{"x":{"lat":91,"lon":0}}"#), "attributes.x: expected {\"lat\": −90 to 90"),
            (
                item(r#""attributes":{"x":18446744073709551615}"#),
                "attributes.x: expected a 64-bit signed integer or a finite float",
            ),
            (item(r#""attributes":{"":1}"#), "attributes: a name has 1 to 128 bytes"),
            (item(r#""deleted":"yes""#), r#"deleted: expected true or false, found the string "yes""#),
            (
                r#"{"type":"user","id":"u","time":1,"deleted":true}"#.into(),
                "deleted: users are removed with DELETE",
            ),
            (
                r#"{"type":"user","id":"u","time":1,"attributes":{"personalize":"no"}}"#.into(),
                "attributes.personalize: expected bool, as the schema says, found string",
            ),
            (
                r#"{"type":"impression","id":"a","retracted":true}"#.into(),
                "retracted: an interaction can be taken back",
            ),
            (
                r#"{"type":"impression","id":"a","retracted":true}"#.into(),
                "retracted: an interaction can be taken back",
            ),
            (r#"{"type":"impression","user":"u","time":1}"#.into(), "items: required"),
            (
                r#"{"type":"impression","user":"u","time":1,"items":[]}"#.into(),
                "items: expected 1 to 1000, found 0",
            ),
            (
                r#"{"type":"impression","user":"u","time":1,"items":[{"id":"a"},{"position":1}]}"#.into(),
                "items[1].id: required",
            ),
            (
                r#"{"type":"impression","user":"u","time":1,"items":[{"id":"a","position":-1}]}"#.into(),
                "items[0].position: expected a whole number from 0 on, found the number -1",
            ),
            (r#"{"type":"identify","anonymous":"a","user":"u"}"#.into(), "time: required"),
            (r#"{"type":"identify","user":"u","time":1}"#.into(), "anonymous: required"),
        ];
        for (event, said) in cases {
            let found = told(&event);
            assert!(found.contains(said), "{event}\n  said   {found}\n  wanted {said}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), at in any::<i64>()) {
            let actions = Actions::default();
            for form in [Form::Json, Form::Ndjson, Form::Auto] {
                for event in decode(&body, form).into_iter().flatten().flatten() {
                    let _ = Checker { actions: &actions, received_ms: at }.check(event);
                }
            }
        }

        #[test]
        fn no_mangled_event_makes_it_panic(at in any::<prop::sample::Index>(), with in "[0-9a-z\"{}\\[\\]:,.eE+-]{0,6}") {
            let actions = Actions::default();
            let mut body = format!(
                r#"{{"type":"impression","id":"e","user":"u","items":[{{"id":"i","position":1}}],"time":{NOW},"attributes":{{"x":[1.5]}}}}"#
            );
            let at = at.index(body.len());
            body.replace_range(at..(at + with.len()).min(body.len()), &with);
            for event in decode(body.as_bytes(), Form::Auto).into_iter().flatten().flatten() {
                let _ = Checker { actions: &actions, received_ms: NOW }.check(event);
            }
        }
    }
}
