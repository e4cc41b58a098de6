//! What is wrong with an event is said with the field, what was expected and what was found.

use proptest::prelude::*;

use super::*;
use crate::ingest::admission::{Admission, Lane};
use crate::ingest::decode::{self, Decoded, Form};
use crate::ingest::typing::settle;
use crate::types::event::Phase;
use crate::types::time::DAY;
use crate::types::{Schema, ValueType};

const NOW: Millis = 20_000 * DAY;

fn decode(body: &[u8], form: Form) -> crate::Result<Vec<Decoded>> {
    let mut room = Admission::new(1 << 30).admit(Lane::Live, 0).unwrap();
    let mut events = Vec::new();
    decode::open(body, form, &mut room)?.each(&mut room, |event, _, _| {
        events.push(event);
        Ok(())
    })?;
    Ok(events)
}

fn checked_at(event: &str, sent_at: Option<Millis>, received_ms: Millis) -> Result<Event, String> {
    let actions = Actions::default();
    let checker = Checker { sent_at, ..Checker::new(&actions, received_ms) };
    let decoded = decode(event.as_bytes(), Form::Json).unwrap().pop().unwrap();
    decoded.and_then(|event| checker.check(event)).map(|(event, _)| event)
}

/// What an event that is wrong is told.
fn told(event: &str) -> String {
    let mut schema = Schema::reserved();
    schema.items.insert("price".into(), ValueType::Float);
    schema.items.insert("stock".into(), ValueType::Int);
    let actions = Actions::default();
    let checker = Checker::new(&actions, NOW);
    let decoded = decode(event.as_bytes(), Form::Json).unwrap().pop().unwrap();
    let checked = decoded.and_then(|event| checker.check(event));
    checked.and_then(|(mut event, _)| settle(&mut event, &schema, &schema)).unwrap_err()
}

fn act(rest: &str) -> String {
    format!(r#"{{"type":"interaction","user":"u","item":"i","action":"click",{rest}}}"#)
}

fn item(rest: &str) -> String {
    format!(r#"{{"type":"item","id":"i","time":1,{rest}}}"#)
}

fn all_say(cases: &[(String, &str)]) {
    for (event, said) in cases {
        let found = told(event);
        assert!(found.contains(said), "{event}\n  said   {found}\n  wanted {said}");
    }
}

#[test]
fn what_is_wrong_with_types_edges_and_loads_is_said() {
    all_say(&[
        (r#"{"id":"i"}"#.into(), "type: required; expected one of item, user, edge, interaction"),
        (
            r#"{"type":"purchase"}"#.into(),
            r#"type: expected one of item, user, edge, interaction, impression, identify, load, found "purchase""#,
        ),
        (r#"{"type":"edge","from":"a","to":"b","time":1}"#.into(), "relation: required; expected a name"),
        (r#"{"type":"edge","from":"a","to":"b","relation":"follow"}"#.into(), "time: required; expected"),
        (r#"{"type":"edge","from":"a","relation":"follow","time":1}"#.into(), "to: required; expected an id"),
        (
            r#"{"type":"edge","from":"a","to":"a","relation":"follow","time":1}"#.into(),
            r#"to: expected another user than from, found "a" twice"#,
        ),
        (
            r#"{"type":"edge","from":"a","to":7,"relation":"follow","time":1}"#.into(),
            r#"to: expected a string, found the number 7; write "7""#,
        ),
        (
            r#"{"type":"edge","from":"a","to":"b","relation":"","time":1}"#.into(),
            "relation: expected 1 to 256 bytes, and this one has 0",
        ),
        (
            r#"{"type":"edge","from":"a","to":"b","relation":"r","time":1,"deleted":0}"#.into(),
            "deleted: expected true or false, found the number 0",
        ),
        (r#"{"type":"load","id":"l","phase":"begin"}"#.into(), "source: required; expected the name"),
        (
            r#"{"type":"load","source":"s","phase":"begin"}"#.into(),
            "id: required; expected the load's own id",
        ),
        (r#"{"type":"load","source":"s","id":"l"}"#.into(), r#"phase: required; expected "begin" or "end""#),
        (
            r#"{"type":"load","source":"s","id":"l","phase":"middle"}"#.into(),
            r#"phase: expected "begin" or "end", found "middle""#,
        ),
        (
            r#"{"type":"item","id":"i"}"#.into(),
            "time: required; expected milliseconds since 1970 or RFC 3339",
        ),
        (
            r#"{"type":"user","id":"u"}"#.into(),
            "time: required; expected milliseconds since 1970 or RFC 3339",
        ),
        (r#"{"type":"user","user":3,"time":1}"#.into(), "user: expected a string, found the number 3"),
        (r#"{"type":3}"#.into(), "type: expected a string, found the number 3"),
    ]);
}

#[test]
fn what_is_wrong_with_ids_times_and_interactions_is_said() {
    let long = "x".repeat(257);
    all_say(&[
        (r#"{"type":"item"}"#.into(), "id: required"),
        (
            r#"{"type":"item","id":12}"#.into(),
            r#"id: expected a string, found the number 12; write "12" (numbers above 2^53"#,
        ),
        (r#"{"type":"item","id":""}"#.into(), "id: an id must have 1 to 256 bytes, found an empty string"),
        (format!(r#"{{"type":"item","id":"{long}"}}"#), "id: an id must have 1 to 256 bytes, found 257"),
        (r#"{"type":"item","id":"a\u0000"}"#.into(), "id: an id must not hold control characters"),
        (act(r#""value":1"#), "time: required where there is no id"),
        (act(r#""time":"yesterday""#), "time: expected a time in RFC 3339"),
        (
            act(r#""time":1.5"#),
            "time: expected whole milliseconds since 1970 or RFC 3339, found the number 1.5",
        ),
        (act(r#""time":true"#), "time: expected milliseconds since 1970 or RFC 3339, found the bool true"),
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
            r#"{"type":"interaction","user":9007199254740993,"item":"i","action":"click","time":1}"#.into(),
            "user: expected a string, found the number 9007199254740993",
        ),
        (
            r#"{"type":"interaction","user":"u","item":"i","action":"clik","time":1}"#.into(),
            r#"action: expected one of buy, click, dislike, like, rate, view (as [actions] in weir.toml says), found "clik""#,
        ),
    ]);
}

#[test]
fn what_is_wrong_with_attributes_is_said() {
    all_say(&[
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
    ]);
}

#[test]
fn what_is_wrong_with_impressions_and_identities_is_said() {
    all_say(&[
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
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), at in any::<i64>()) {
        let actions = Actions::default();
        for form in [Form::Json, Form::Ndjson, Form::Auto] {
            for event in decode(&body, form).into_iter().flatten().flatten() {
                let _ = Checker::new(&actions, at).check(event);
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
            let _ = Checker::new(&actions, NOW).check(event);
        }
    }
}

#[test]
fn ties_and_loads_are_read() {
    let id = |text: &str| Id::new(text).unwrap();
    let read = |event: &str| checked_at(event, None, NOW).unwrap();
    let edge = Edge {
        from: id("u1"),
        to: id("u2"),
        relation: "follow".to_owned(),
        time: 5,
        source: Some("crm".to_owned()),
        deleted: false,
    };
    let sent = r#"{"type":"edge","from":"u1","to":"u2","relation":"follow","time":5,"source":"crm"}"#;
    assert_eq!(read(sent), Event::Edge(edge.clone()));
    let gone = sent.replace("\"time\":5", "\"time\":5,\"deleted\":true");
    assert_eq!(read(&gone), Event::Edge(Edge { deleted: true, ..edge }));
    let load = |phase, time| {
        Event::Load(Load { source: "catalogue".to_owned(), id: "2026-11-20".to_owned(), phase, time })
    };
    let sent = r#"{"type":"load","source":"catalogue","id":"2026-11-20","phase":"begin"}"#;
    assert_eq!(read(sent), load(Phase::Begin, NOW));
    let sent = sent.replace("\"begin\"", "\"end\",\"time\":7");
    assert_eq!(read(&sent), load(Phase::End, 7));
}

#[test]
fn a_retraction_keeps_who_it_is_about() {
    let read = |who: &str| {
        let event = format!(r#"{{"type":"interaction","id":"e","retracted":true,"time":3{who}}}"#);
        let Event::Retraction(event) = checked_at(&event, None, NOW).unwrap() else { panic!("{event}") };
        event.person
    };
    let id = |text: &str| Id::new(text).unwrap();
    assert_eq!(read(""), None);
    assert_eq!(read(r#","user":"u","item":"i","action":"gone""#), Some(Person::user(id("u"))));
    assert_eq!(read(r#","anonymous":"a""#), Some(Person::anonymous(id("a"))));
    assert_eq!(read(r#","session_id":"s""#), Some(Person::session(id("s"))));
}

/// A clock that is an hour behind, and a batch that is sent again 7 ms later than the first time.
#[test]
fn a_client_s_clock_is_corrected_and_the_event_stays_the_same() {
    let (sent_at, hour) = (NOW - 3_600_000, 3_600_000);
    let act = format!(
        r#"{{"type":"interaction","user":"u","item":"i","action":"click","time":{}}}"#,
        sent_at - 500
    );
    let read = |sent_at: Option<Millis>, received: Millis| match checked_at(&act, sent_at, received).unwrap()
    {
        Event::Interaction(event) => (event.time, event.id.map(|id| id.as_str().to_owned())),
        other => panic!("{other:?}"),
    };
    let (time, id) = read(Some(sent_at), NOW);
    assert_eq!(time, NOW - 500);
    let id = id.unwrap();
    assert!(id.starts_with('~') && id.len() == 33, "{id}");
    assert_eq!(read(Some(sent_at + 9_000), NOW + 9_007), (NOW - 493, Some(id.clone())));
    // A clock that is right is left alone; the id is the same all the same.
    assert_eq!(read(Some(NOW - 1_000), NOW), (sent_at - 500, Some(id)));
    assert_eq!(read(None, NOW), (sent_at - 500, None));
    // An id of the client's stays; what has no time is as of its receipt; what is ahead after the correction is refused.
    let named = r#"{"type":"impression","id":"v","user":"u","items":["i"]}"#;
    let Event::Impression(seen) = checked_at(named, Some(sent_at), NOW).unwrap() else { panic!("{named}") };
    assert_eq!((seen.time, seen.id.as_ref().map(Id::as_str)), (NOW, Some("v")));
    let item = |time: Millis| format!(r#"{{"type":"item","id":"i","time":{time}}}"#);
    assert!(checked_at(&item(sent_at + AHEAD), Some(sent_at), NOW).is_ok());
    let said = checked_at(&item(sent_at + AHEAD + 1), Some(sent_at), NOW).unwrap_err();
    assert!(said.contains("found 300001 ms") && said.contains("sent_at"), "{said}");
    assert!(checked_at(&item(NOW + hour), Some(NOW + hour), NOW).is_ok());
    let said = checked_at(&item(-62_135_596_800_000), Some(NOW + hour), NOW).unwrap_err();
    assert!(said.contains("years 1 to 9999"), "{said}");
}
