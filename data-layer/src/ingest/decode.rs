//! Bodies of events as bytes: one JSON object, a JSON array, one object per line, or an envelope around an array. Takes them apart
//! and hands over one event at a time, so that no body is ever in memory as a whole tree. Says what is not JSON; what a JSON object
//! means is `check/`'s, how much memory there is `admission.rs`'s.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::admission::Reservation;
use super::{split, tree};
use crate::{Error, Result};

pub use super::tree::MOST_VALUES;

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// One JSON object or a JSON array of them.
    Json,
    /// One JSON object per line; empty lines are skipped.
    Ndjson,
    /// JSON where the body is JSON, else one object per line.
    #[default]
    Auto,
}

/// Most events of one body: each rejected one is answered with a sentence, so they must be few beside the body.
pub const MOST_EVENTS: usize = 1 << 18;
/// Bytes that a value of an event may take while the event is read; the worst is an object of one entry.
const TREE_BYTES: usize = 224;
/// Texts up to this length are read without asking for room: a few of them at a time are in memory.
const SMALL: usize = 4 << 10;

/// One event as it came, or why it is none.
pub type Decoded = std::result::Result<Map<String, Value>, String>;

/// A body, taken apart and not yet read.
#[derive(Debug)]
pub struct Body<'a> {
    /// What an envelope says of the client's clock.
    pub sent_at: Option<Value>,
    /// Fields of the envelope that mean nothing.
    pub ignored: u64,
    texts: Texts<'a>,
}

/// Where the events of a body are.
#[derive(Debug, Clone, Copy)]
enum Texts<'a> {
    One(&'a [u8]),
    Lines(&'a [u8]),
    /// What stands between the brackets of an array.
    Elements(&'a [u8]),
}

/// What is wrong with the text of an event.
enum Wrong {
    Json(String),
    Form(String),
}

/// Takes a body apart.
///
/// # Errors
/// [`Error::Invalid`] where nothing could be read, or there are more than [`MOST_EVENTS`]; [`Error::Busy`] where there is no room.
pub fn open<'a>(body: &'a [u8], form: Form, room: &mut Reservation) -> Result<Body<'a>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let plain = |texts| Ok(Body { sent_at: None, ignored: 0, texts });
    let opened = match (body.first(), form) {
        (None, _) => {
            return Err(wrong("expected a JSON object, an array of them, or one per line; found nothing"));
        }
        (_, Form::Ndjson) => plain(Texts::Lines(body)),
        (Some(b'['), _) => {
            let inner = split::inside(body, b']').ok_or_else(|| not_json(body, room))?;
            plain(Texts::Elements(inner))
        }
        (Some(b'{'), _) => match split::inside(body, b'}') {
            Some(members) => {
                Ok(envelope(members)?.unwrap_or(Body { sent_at: None, ignored: 0, texts: Texts::One(body) }))
            }
            None if form == Form::Auto && body.contains(&b'\n') => plain(Texts::Lines(body)),
            None => Err(not_json(body, room)),
        },
        _ => plain(Texts::One(body)),
    }?;
    let found = opened.texts().take(MOST_EVENTS + 1).count();
    if found > MOST_EVENTS {
        return Err(wrong(&format!("expected at most {MOST_EVENTS} events, found more; send them in parts")));
    }
    Ok(opened)
}

/// The envelope whose members these are; `None` where they are those of an event.
fn envelope(members: &[u8]) -> Result<Option<Body<'_>>> {
    let (mut sent_at, mut events, mut ignored) = (None, None, 0);
    for member in split::parts(members) {
        match split::member(member) {
            // What has a type is an event, whatever else it has.
            Some(("type", _)) => return Ok(None),
            Some(("sent_at", text)) => {
                let value =
                    serde_json::from_slice(text).map_err(|e| wrong(&format!("sent_at: {}", what(&e))))?;
                sent_at = Some(value);
            }
            Some(("events", text)) => events = Some(text),
            Some(_) => ignored += 1,
            None => return Ok(None),
        }
    }
    let Some(events) = events else { return Ok(None) };
    let inner = split::inside(events, b']').filter(|_| events.first() == Some(&b'['));
    let inner = inner.ok_or_else(|| wrong("events: expected an array of events in the envelope"))?;
    Ok(Some(Body { sent_at, ignored, texts: Texts::Elements(inner) }))
}

impl<'a> Body<'a> {
    /// Reads one event after the other. `room` is asked for what reading takes before it is taken.
    ///
    /// # Errors
    /// [`Error::Invalid`] where nothing could be read; then what was handed over before is void. [`Error::Busy`] where there is no
    /// room; what `each` says.
    pub fn each(
        &self,
        room: &mut Reservation,
        mut each: impl FnMut(Decoded, Cost, &mut Reservation) -> Result<()>,
    ) -> Result<()> {
        let (mut sound, mut first) = (0usize, None);
        for (text, number) in self.texts() {
            let meanwhile = if text.len() > SMALL { tree::most(text.len()) * TREE_BYTES } else { 0 };
            room.grow(meanwhile)?;
            let mut cost = Cost { bytes: text.len(), values: 0 };
            let read = self.read(text, number, &mut cost.values);
            sound += usize::from(!matches!(read, Err(Wrong::Json(_))));
            let read = read.map_err(|wrong| match wrong {
                Wrong::Form(detail) => detail,
                Wrong::Json(detail) => {
                    first.get_or_insert_with(|| detail.clone());
                    detail
                }
            });
            each(read, cost, room)?;
            room.give_back(meanwhile);
        }
        match first {
            Some(detail) if sound == 0 => Err(wrong(&detail)),
            _ => Ok(()),
        }
    }

    /// The text of each event, and its number: of the line from 1, of the element from 0.
    fn texts(&self) -> Box<dyn Iterator<Item = (&'a [u8], usize)> + 'a> {
        match self.texts {
            Texts::One(text) => Box::new(std::iter::once((text, 0))),
            Texts::Elements(inner) if inner.trim_ascii().is_empty() => Box::new(std::iter::empty()),
            Texts::Elements(inner) => Box::new(split::parts(inner).zip(0..)),
            Texts::Lines(body) => Box::new(
                body.split(|b| *b == b'\n')
                    .zip(1..)
                    .filter(|(line, _)| !line.iter().all(u8::is_ascii_whitespace)),
            ),
        }
    }

    fn read(
        &self,
        text: &[u8],
        number: usize,
        values: &mut usize,
    ) -> std::result::Result<Map<String, Value>, Wrong> {
        match tree::read(text, values) {
            Ok(Value::Object(event)) => Ok(event),
            Ok(other) if matches!(self.texts, Texts::One(_)) => Err(Wrong::Json(format!(
                "expected a JSON object or an array of them, found {}",
                noun(&other)
            ))),
            Ok(other) => {
                Err(Wrong::Form(format!("expected an event (a JSON object), found {}", noun(&other))))
            }
            Err(error) if error.is_data() => Err(Wrong::Form(what(&error))),
            Err(error) => Err(Wrong::Json(match self.texts {
                Texts::One(_) => format!("expected JSON: {error}"),
                Texts::Elements(_) => format!("expected JSON: {} in element {number}", what(&error)),
                // serde counts lines within the line; ours is the one that helps.
                Texts::Lines(_) => {
                    format!("expected JSON: {} at line {number} column {}", what(&error), error.column())
                }
            })),
        }
    }
}

/// What an event took to be read.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Bytes of its text.
    pub bytes: usize,
    /// Values in it, itself and names of fields included.
    pub values: usize,
}

/// What is wrong, without the place, which counts within the text that was parsed.
fn what(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Where a body that can't be taken apart breaks off. The parser remembers every bracket that is open.
fn not_json(body: &[u8], room: &mut Reservation) -> Error {
    if let Err(error) = room.grow(2 * body.len()) {
        return error;
    }
    match serde_json::from_slice::<IgnoredAny>(body) {
        Err(error) => wrong(&format!("expected JSON: {error}")),
        Ok(_) => wrong("expected JSON: a bracket or a quote is left open"),
    }
}

fn wrong(detail: &str) -> Error {
    Error::invalid("body", detail)
}

/// What a JSON value is, for messages; short values are shown.
#[must_use]
pub fn noun(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => format!("the bool {b}"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) if s.len() <= 64 => format!("the string {s:?}"),
        Value::String(s) => format!("a string of {} bytes", s.len()),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::admission::{Admission, Lane};

    fn decode(body: &[u8], form: Form) -> Result<Vec<Decoded>> {
        let mut room = Admission::new(1 << 30).admit(Lane::Live, 0).unwrap();
        let mut events = Vec::new();
        open(body, form, &mut room)?.each(&mut room, |event, _, _| {
            events.push(event);
            Ok(())
        })?;
        Ok(events)
    }

    fn outcome(body: &str, form: Form) -> String {
        match decode(body.as_bytes(), form) {
            Ok(events) => events
                .into_iter()
                .map(|e| e.map_or_else(|detail| format!("!{detail}"), |e| Value::Object(e).to_string()))
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => format!("400 {error}"),
        }
    }

    #[test]
    fn objects_arrays_and_lines_are_told_apart() {
        for form in [Form::Json, Form::Auto] {
            assert_eq!(outcome(" {\"a\":1} ", form), "{\"a\":1}");
            assert_eq!(outcome("{\n\"a\":\n1}", form), "{\"a\":1}");
            assert_eq!(outcome("[{\"a\":1},{\"a\":2}]", form), "{\"a\":1} {\"a\":2}");
            assert_eq!(outcome("[]", form), "");
        }
        for form in [Form::Ndjson, Form::Auto] {
            assert_eq!(outcome("{\"a\":1}\r\n\n{\"a\":2}\n", form), "{\"a\":1} {\"a\":2}");
            assert_eq!(outcome("\u{feff}{\"a\":1}\n{\"a\":2}", form), "{\"a\":1} {\"a\":2}");
        }
        assert_eq!(
            outcome("[{},3,null]", Form::Auto),
            "{} !expected an event (a JSON object), found the number 3 \
             !expected an event (a JSON object), found null"
        );
    }

    #[test]
    fn one_bad_element_does_not_take_the_others_of_an_array_with_it() {
        assert_eq!(
            outcome(r#"[{"a":"\ud83d"},{"b":"],\"["},{"c":[1,{"d":2}]},{"e":1e999},,]"#, Form::Json),
            "!expected JSON: unexpected end of hex escape in element 0 {\"b\":\"],\\\"[\"} {\"c\":[1,{\"d\":2}]} \
             !expected JSON: number out of range in element 3 \
             !expected JSON: EOF while parsing a value in element 4 !expected JSON: EOF while parsing a value in element 5"
        );
        for body in [r#"[{"a":1},{"b"]"#, r#"[{"a":1},"b]"#, "[{}}]", "[x]", "[,]", r#"[{"a":1}] x"#, "[{]}"]
        {
            assert!(outcome(body, Form::Auto).starts_with("400 body: expected JSON"), "{body}");
        }
    }

    #[test]
    fn bad_lines_are_named_and_nothing_readable_is_refused() {
        assert_eq!(
            outcome("{\"a\":1}\n\n{\"a\":}\n", Form::Ndjson),
            "{\"a\":1} !expected JSON: expected value at line 3 column 6"
        );
        for body in ["", " \n ", "{", "{\"a\":1", "nonsense", "3", "\"x\"", "[{\"a\":1}", "\u{0}"] {
            assert!(outcome(body, Form::Auto).starts_with("400 body: expected "), "{body}");
        }
        assert!(outcome("x\ny", Form::Ndjson).starts_with("400 "));
        assert!(decode(&[b'[', 0xff, b']'], Form::Auto).is_err());
        assert!(decode("[".repeat(100_000).as_bytes(), Form::Auto).is_err());
    }
}
