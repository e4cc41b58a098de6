//! What is asked: the fields of `POST /v1/recommend`, read from JSON and checked all at once. Knows no HTTP.

use data_layer::types::{Id, Millis, Person, Position, id};
use serde_json::{Map, Value as Json};

use crate::error::{FieldError, Refusal};
use crate::hint::did_you_mean;

/// Most items of the session.
pub const MAX_SESSION: usize = 200;
/// Most anchors.
pub const MAX_ANCHORS: usize = 50;
/// Most given candidates, and most excluded items.
pub const MAX_LIST: usize = 5_000;
/// Most items of an answer.
pub const MAX_SIZE: usize = 500;
/// Longest filter, in bytes.
pub const MAX_FILTER_BYTES: usize = 4_096;
/// Most attributes returned with an item.
pub const MAX_FIELDS: usize = 64;

/// Most unknown fields that are told; a body may hold a million.
const MAX_WRONG: usize = 100;

/// Fields this version answers.
const FIELDS: [&str; 16] = [
    "scene",
    "user",
    "anonymous",
    "session_id",
    "session",
    "items",
    "candidates",
    "size",
    "exclude",
    "filter",
    "cursor",
    "fields",
    "explain",
    "seed",
    "now_ms",
    "min_position",
];

/// Fields of the contract that come with later versions.
const LATER: [&str; 5] = ["personalize", "pool", "context", "deadline_ms", "buckets"];

/// One request, understood: every id is an id, every number in its range.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// Which scene.
    pub scene: String,
    /// Who asks.
    pub user: Option<Id>,
    /// Who asks, unknown.
    pub anonymous: Option<Id>,
    /// Session of who asks.
    pub session_id: Option<Id>,
    /// Recent items of this session, newest first.
    pub session: Vec<Id>,
    /// Anchors: the page being read, the cart.
    pub items: Vec<Id>,
    /// Rank only these; no recall.
    pub candidates: Option<Vec<Id>>,
    /// How many; absent: the scene's.
    pub size: Option<usize>,
    /// Never return these.
    pub exclude: Vec<Id>,
    /// A rule that every item must pass.
    pub filter: Option<String>,
    /// The next page of an earlier answer.
    pub cursor: Option<String>,
    /// Attributes to return with each item.
    pub fields: Vec<String>,
    /// The whole story, please.
    pub explain: bool,
    /// Pins chance.
    pub seed: Option<u64>,
    /// Pins time.
    pub now_ms: Option<Millis>,
    /// Wait until this position counts.
    pub min_position: Option<Position>,
}

impl Request {
    /// Whose state is read: the user's, else the anonymous id's, else the session's.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        let user = self.user.clone().map(Person::user);
        user.or_else(|| self.anonymous.clone().map(Person::anonymous))
            .or_else(|| self.session_id.clone().map(Person::session))
    }

    /// Whether it asks for what needs the `debug` right.
    #[must_use]
    pub fn needs_debug(&self) -> bool {
        self.explain || self.seed.is_some() || self.now_ms.is_some()
    }

    /// The request as it was understood, for the decision log. Without `personal`, nothing of the person.
    #[must_use]
    pub fn as_json(&self, personal: bool) -> Json {
        let mut fields = Map::new();
        let ids = |list: &[Id]| Json::from(list.iter().map(Id::as_str).collect::<Vec<_>>());
        let lists = [("session", &self.session), ("items", &self.items), ("exclude", &self.exclude)];
        for (name, list) in
            lists.into_iter().filter(|(name, list)| !list.is_empty() && (personal || *name != "session"))
        {
            fields.insert(name.to_owned(), ids(list));
        }
        if let Some(list) = &self.candidates {
            fields.insert("candidates".to_owned(), ids(list));
        }
        if let Some(size) = self.size {
            fields.insert("size".to_owned(), size.into());
        }
        if let Some(filter) = &self.filter {
            fields.insert("filter".to_owned(), filter.as_str().into());
        }
        if let Some(position) = self.min_position {
            fields.insert("min_position".to_owned(), position.to_string().into());
        }
        Json::Object(fields)
    }

    /// Reads the scene's name alone, so that an unknown scene is told before what is wrong with other fields.
    #[must_use]
    pub fn scene_of(body: &Json) -> Option<&str> {
        body.get("scene").and_then(Json::as_str)
    }

    /// Reads and checks a request.
    ///
    /// # Errors
    /// 422 with every field that is wrong.
    pub fn read(body: &Json) -> Result<Self, Refusal> {
        let Json::Object(fields) = body else {
            return Err(Refusal::field("", format!("expected an object, found {}", kind(body))));
        };
        let mut reader = Reader { fields, errors: Vec::new() };
        reader.names();
        let request = Self {
            scene: reader.scene(),
            user: reader.id("user"),
            anonymous: reader.id("anonymous"),
            session_id: reader.id("session_id"),
            session: reader.ids("session", MAX_SESSION).unwrap_or_default(),
            items: reader.ids("items", MAX_ANCHORS).unwrap_or_default(),
            candidates: reader.ids("candidates", MAX_LIST),
            size: reader.whole("size", 1, MAX_SIZE as i64).map(|n| n as usize),
            exclude: reader.ids("exclude", MAX_LIST).unwrap_or_default(),
            filter: reader.text("filter", MAX_FILTER_BYTES),
            cursor: reader.text("cursor", 64 * 1024),
            fields: reader.texts("fields", MAX_FIELDS),
            explain: reader.flag("explain"),
            seed: reader.seed(),
            now_ms: reader.whole("now_ms", 0, MAX_TIME),
            min_position: reader.position("min_position"),
        };
        if reader.errors.is_empty() { Ok(request) } else { Err(Refusal::fields(reader.errors)) }
    }
}

/// The year 9999, in milliseconds.
const MAX_TIME: Millis = 253_402_300_799_999;

/// Takes fields out of one object and gathers what is wrong with them.
struct Reader<'a> {
    fields: &'a Map<String, Json>,
    errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn wrong(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    fn names(&mut self) {
        let unknown = self.fields.keys().filter(|name| !FIELDS.contains(&name.as_str()));
        for name in unknown.take(MAX_WRONG) {
            if LATER.contains(&name.as_str()) {
                self.wrong(pointer(name), "not supported yet; leave the field out");
            } else {
                let hint = did_you_mean(name, FIELDS);
                self.wrong(pointer(name), format!("unknown field {name:?}{hint}"));
            }
        }
    }

    /// The field, unless absent or of another type, which is noted.
    fn typed<T>(&mut self, name: &str, wanted: &str, read: impl FnOnce(&'a Json) -> Option<T>) -> Option<T> {
        let value = self.fields.get(name)?;
        let found = read(value);
        if found.is_none() {
            self.wrong(pointer(name), format!("expected {wanted}, found {}", show(value)));
        }
        found
    }

    fn scene(&mut self) -> String {
        if !self.fields.contains_key("scene") {
            self.wrong("/scene", "required: the name of a scene");
        }
        self.typed("scene", "the name of a scene", Json::as_str).unwrap_or_default().to_owned()
    }

    fn id(&mut self, name: &str) -> Option<Id> {
        let value = self.fields.get(name)?;
        self.one_id(&pointer(name), value)
    }

    fn one_id(&mut self, at: &str, value: &Json) -> Option<Id> {
        let read = match value {
            Json::String(text) => Id::new(text).map_err(|e: id::IdError| e.to_string()),
            Json::Number(n) => Err(format!(
                "expected an id as a string, found the number {n}; numbers beyond 2^53 lose digits, send \"{n}\""
            )),
            other => Err(format!("expected an id as a string, found {}", show(other))),
        };
        read.map_err(|detail| self.wrong(at, detail)).ok()
    }

    fn ids(&mut self, name: &str, at_most: usize) -> Option<Vec<Id>> {
        let list = self.typed(name, "a list of ids", Json::as_array)?;
        if list.len() > at_most {
            self.wrong(pointer(name), format!("expected at most {at_most} ids, found {}", list.len()));
            return None;
        }
        let at = pointer(name);
        Some(list.iter().enumerate().filter_map(|(i, v)| self.one_id(&format!("{at}/{i}"), v)).collect())
    }

    fn whole(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let wanted = format!("a whole number from {least} to {most}");
        self.typed(name, &wanted, |v| whole(v).filter(|n| (least..=most).contains(n)))
    }

    fn seed(&mut self) -> Option<u64> {
        self.typed("seed", "a whole number from 0 to 18446744073709551615", |v| {
            v.as_u64().or_else(|| whole(v).and_then(|n| u64::try_from(n).ok()))
        })
    }

    fn text(&mut self, name: &str, at_most: usize) -> Option<String> {
        let text = self.typed(name, "a string", Json::as_str)?;
        if text.len() > at_most {
            self.wrong(pointer(name), format!("expected at most {at_most} bytes, found {}", text.len()));
            return None;
        }
        Some(text.to_owned())
    }

    fn texts(&mut self, name: &str, at_most: usize) -> Vec<String> {
        let read = |v: &'a Json| v.as_array()?.iter().map(|t| t.as_str().map(str::to_owned)).collect();
        let list: Vec<String> = self.typed(name, "a list of strings", read).unwrap_or_default();
        if list.len() > at_most {
            self.wrong(pointer(name), format!("expected at most {at_most} names, found {}", list.len()));
        }
        list
    }

    fn flag(&mut self, name: &str) -> bool {
        self.typed(name, "true or false", Json::as_bool).unwrap_or_default()
    }

    fn position(&mut self, name: &str) -> Option<Position> {
        let text = self.typed(name, "a position as /v1/events gave it", Json::as_str)?;
        text.parse().map_err(|detail: String| self.wrong(pointer(name), detail)).ok()
    }
}

/// JSON knows one kind of number: `3.0` is the whole number 3.
fn whole(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64))
}

/// A JSON pointer to a top-level field (RFC 6901: `~` and `/` are escaped).
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// A value short enough for a message.
fn show(value: &Json) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { kind(value).to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(body: &Json) -> Vec<String> {
        Request::read(body).unwrap_err().errors.into_iter().map(|e| e.pointer).collect()
    }

    #[test]
    fn a_full_request_is_understood() {
        let request = Request::read(&json!({
            "scene": "home", "user": "u1", "anonymous": "a1", "session_id": "s1", "session": ["i1"], "items": ["i2"],
            "candidates": [], "size": 10.0, "exclude": ["i3"], "filter": "price < 3.0", "cursor": "c",
            "fields": ["price"], "explain": true, "seed": u64::MAX, "now_ms": 1, "min_position": "1.0000000000c0ffee.4"
        }))
        .unwrap();
        assert_eq!(request.size, Some(10));
        assert_eq!(request.candidates, Some(vec![]));
        assert_eq!(request.seed, Some(u64::MAX));
        assert!(request.needs_debug());
        assert_eq!(request.person(), Some(Person::user(Id::new("u1").unwrap())));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let body = json!({"scene": 3, "user": "", "session": ["a", 7], "size": 0, "szie": 1, "pool": "p", "a/b~": 1});
        let mut found = pointers(&body);
        found.sort();
        assert_eq!(found, ["/a~1b~0", "/pool", "/scene", "/session/1", "/size", "/szie", "/user"]);
        assert_eq!(pointers(&json!([1])), [""]);
        assert_eq!(pointers(&json!({})), ["/scene"]);
    }

    #[test]
    fn messages_say_how_to_mend() {
        let errors =
            Request::read(&json!({"scene": "s", "user": 9007199254740993_u64, "usr": "u", "pool": "x"}));
        let text = errors.unwrap_err().to_string();
        assert!(text.contains("send \"9007199254740993\""), "{text}");
        assert!(text.contains("did you mean \"user\"?"), "{text}");
        assert!(text.contains("not supported yet"), "{text}");
    }

    #[test]
    fn limits_are_inclusive() {
        let ids = |n: usize| (0..n).map(|i| json!(format!("i{i}"))).collect::<Vec<_>>();
        assert!(Request::read(&json!({"scene": "s", "items": ids(50), "size": 500})).is_ok());
        assert_eq!(pointers(&json!({"scene": "s", "items": ids(51)})), ["/items"]);
        assert_eq!(pointers(&json!({"scene": "s", "size": 501})), ["/size"]);
    }
}
