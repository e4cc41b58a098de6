//! Bodies of events as bytes: one JSON object, a JSON array, or one object per line. Says what is not JSON; what a JSON object
//! means is `check.rs`'s.

use serde_json::{Map, Value};

use crate::{Error, Result};

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

/// One event as it came, or why it is none.
pub type Decoded = std::result::Result<Map<String, Value>, String>;

/// Reads a body into its events, in order; an event that is no JSON object has its place, with why.
///
/// # Errors
/// [`Error::Invalid`] where nothing could be read.
pub fn decode(body: &[u8], form: Form) -> Result<Vec<Decoded>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(wrong("expected a JSON object, an array of them, or one per line; found nothing"));
    }
    let events = read(body, form)?;
    if events.len() > MOST_EVENTS {
        let found = events.len();
        return Err(wrong(&format!(
            "expected at most {MOST_EVENTS} events, found {found}; send them in parts"
        )));
    }
    Ok(events)
}

fn read(body: &[u8], form: Form) -> Result<Vec<Decoded>> {
    match form {
        Form::Ndjson => lines(body),
        Form::Json => json(body).or_else(|detail| elements(body).ok_or_else(|| wrong(&detail))),
        Form::Auto => {
            let first = body.iter().find(|b| !b.is_ascii_whitespace());
            let several = first == Some(&b'{') && body.trim_ascii().contains(&b'\n');
            match json(body) {
                Ok(events) => Ok(events),
                Err(_) if several => lines(body),
                Err(detail) => elements(body).ok_or_else(|| wrong(&detail)),
            }
        }
    }
}

fn json(body: &[u8]) -> std::result::Result<Vec<Decoded>, String> {
    match serde_json::from_slice(body) {
        Ok(Value::Array(events)) => Ok(events.into_iter().map(object).collect()),
        Ok(Value::Object(event)) => Ok(vec![Ok(event)]),
        Ok(other) => Err(format!("expected a JSON object or an array of them, found {}", noun(&other))),
        Err(error) => Err(format!("expected JSON: {error}")),
    }
}

/// The elements of an array of which some are no JSON, such as half a surrogate pair: the good ones are taken all the same. `None`
/// where the array does not end, or nothing in it can be read.
fn elements(body: &[u8]) -> Option<Vec<Decoded>> {
    let inner = body.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?;
    let (mut texts, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0u32, false, false);
    for (at, byte) in inner.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 && texts.len() <= MOST_EVENTS => {
                texts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    texts.push(&inner[start..]);
    let one = |(text, number): (&&[u8], usize)| match serde_json::from_slice(text) {
        Ok(value) => object(value),
        Err(error) => Err(format!("expected JSON: {} in element {number}", what(&error))),
    };
    let events: Vec<Decoded> = texts.iter().zip(0..).map(one).collect();
    (depth == 0 && !quoted && events.iter().any(Decoded::is_ok)).then_some(events)
}

/// What is wrong, without the place, which counts within the text that was parsed.
fn what(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

fn lines(body: &[u8]) -> Result<Vec<Decoded>> {
    let lines = body.split(|b| *b == b'\n').zip(1u64..);
    let lines = lines.filter(|(line, _)| !line.iter().all(u8::is_ascii_whitespace));
    // One more than are taken, so that too many are noticed and not many more.
    let events: Vec<Decoded> = lines
        .take(MOST_EVENTS + 1)
        .map(|(line, number)| match serde_json::from_slice(line) {
            Ok(value) => object(value),
            // serde counts lines within the line; ours is the one that helps.
            Err(error) => {
                let what = what(&error);
                Err(format!("expected JSON: {what} at line {number} column {}", error.column()))
            }
        })
        .collect();
    match events.iter().find_map(|e| e.as_ref().err()) {
        Some(first) if events.iter().all(Decoded::is_err) => Err(wrong(first)),
        _ => Ok(events),
    }
}

fn object(value: Value) -> Decoded {
    match value {
        Value::Object(event) => Ok(event),
        other => Err(format!("expected an event (a JSON object), found {}", noun(&other))),
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
