//! What a client may rely on: each form of event, what is rejected and how it is said, durability, and that nothing counts twice.

use std::time::Duration;

use futures::executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::live::{Counters, Items};
use crate::types::time::{DAY, MINUTE};
use crate::types::{Id, Person, Value};

const NOW: Millis = 20_000 * DAY;

struct World {
    folder: tempfile::TempDir,
    config: Config,
}

impl World {
    fn new() -> Self {
        Self::with("")
    }

    fn with(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        std::fs::write(&file, toml).unwrap();
        let config = Config::load_with(&file, []).unwrap();
        Self { folder, config }
    }

    fn open(&self) -> Ingest {
        Ingest::open(&self.config).unwrap()
    }
}

fn send_at(ingest: &Ingest, body: &str, at: Millis) -> Receipt {
    let receipt = block_on(ingest.submit(body.as_bytes(), Form::Auto, at).unwrap()).unwrap();
    while ingest.live().applied().sequence < receipt.position.sequence {
        std::thread::sleep(Duration::from_micros(200));
    }
    receipt
}

fn send(ingest: &Ingest, body: &str) -> Receipt {
    send_at(ingest, body, NOW)
}

/// What one bad event is told.
fn told(ingest: &Ingest, event: &str) -> String {
    let receipt = send(ingest, &format!("[{event}]"));
    assert_eq!((receipt.accepted, receipt.duplicates, receipt.rejected.len()), (0, 0, 1), "{event}");
    assert_eq!(receipt.rejected[0].index, 0);
    receipt.rejected[0].detail.clone()
}

fn clicks(live: &Live, item: &str) -> u64 {
    let items = live.items();
    let of = |c: &Counters| c.total(live.actions().id("click").unwrap());
    items.ordinal(item).map_or(0, |item| of(items.counters(item)))
}

fn value(live: &Live, item: &str, field: &str) -> Option<Value> {
    let items = live.items();
    items.value(items.field(field)?, items.ordinal(item)?)
}

fn click(id: &str) -> String {
    format!(r#"{{"type":"interaction","id":"{id}","user":"u1","item":"i1","action":"click","time":{NOW}}}"#)
}

#[test]
fn every_form_of_the_contract_is_taken() {
    let world = World::new();
    let ingest = world.open();
    let body = format!(
        r#"[
        {{"type":"item","id":"i1","kind":"content","time":{NOW},"source":"catalogue","attributes":{{"price":20.0,"category":"book","tags":["a","b"],"title":"…","seller":"u7","location":{{"lat":31.2,"lon":121.5}},"embedding":[1,2.5]}}}},
        {{"type":"item","id":"i1","time":{NOW},"attributes":{{"price":null}}}},
        {{"type":"item","id":"i2","time":{NOW},"deleted":true}},
        {{"type":"user","id":"u1","time":{NOW},"attributes":{{"city":"Shanghai","personalize":true}}}},
        {{"type":"interaction","id":"e-77","user":"u1","item":"i1","action":"click","value":1.0,"time":{NOW},"request_id":"01J","session":"s9","context":{{"page":"home","hour":3}}}},
        {{"type":"interaction","anonymous":"a1","item":"i1","action":"click","time":"2024-10-04T00:00:00+08:00"}},
        {{"type":"interaction","session_id":"s1","id":"e-1","item":"i1","action":"like"}},
        {{"type":"interaction","id":"e-77","retracted":true,"time":{NOW}}},
        {{"type":"impression","id":"e-78","user":"u1","scene":"home","request_id":"01J","items":[{{"id":"i1","position":0,"visible_ms":900}},{{"id":"i2","position":1}},"i3"],"time":{NOW}}},
        {{"type":"identify","anonymous":"a1","user":"u1","time":{NOW},"brand_new_field":1}}
        ]"#
    );
    let receipt = send(&ingest, &body);
    assert_eq!((receipt.accepted, receipt.duplicates, &receipt.rejected), (10, 0, &Vec::new()));
    let live = ingest.live();
    assert_eq!(clicks(live, "i1"), 1);
    assert_eq!(value(live, "i1", "price"), Some(Value::Float(20.0)));
    assert_eq!(value(live, "i1", "location"), Some(Value::Geo { lat: 31.2, lon: 121.5 }));
    assert_eq!(value(live, "i1", "embedding"), Some(Value::Vector(vec![1.0, 2.5])));
    let items = live.items();
    assert_eq!(items.kind(items.ordinal("i1").unwrap()), "content");
    assert!(!items.can_serve(items.ordinal("i2").unwrap(), NOW));
    assert_eq!(items.impressions(items.ordinal("i3").unwrap()), 1);
    let user = live.person(&Person::user(Id::new("u1").unwrap())).unwrap();
    assert_eq!((user.actions.len(), user.seen.len()), (1, 3));
    assert_eq!(ingest.stats().ignored_fields.load(Ordering::Relaxed), 1);
    assert_eq!(ingest.stats().accepted.load(Ordering::Relaxed), 10);
}

#[test]
fn what_is_wrong_is_said_with_field_expected_and_found() {
    let world = World::with("[schema]\nprice = \"float\"\nstock = \"int\"\n");
    let ingest = world.open();
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
        (r#"{"type":"edge","from":"a","to":"b"}"#.into(), r#"type: "edge" is not supported by this version"#),
        (r#"{"type":"load"}"#.into(), r#"type: "load" is not supported by this version"#),
        (r#"{"type":3}"#.into(), "type: expected a string, found the number 3"),
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
        let found = told(&ingest, &event);
        assert!(found.contains(said), "{event}\n  said   {found}\n  wanted {said}");
    }
}

#[test]
fn good_events_of_a_batch_are_taken_and_bad_ones_named() {
    let world = World::new();
    let ingest = world.open();
    let body = format!("{}\nnonsense\n{}\n3\n{}\n", click("a"), click("b"), r#"{"type":"x"}"#);
    let receipt = send(&ingest, &body);
    assert_eq!(receipt.accepted, 2);
    assert_eq!(receipt.rejected.iter().map(|r| r.index).collect::<Vec<_>>(), [1, 3, 4]);
    assert!(receipt.rejected[0].detail.contains("line 2"), "{}", receipt.rejected[0].detail);
    assert!(ingest.submit(b"nonsense", Form::Auto, NOW).is_err());
    let json = serde_json::to_value(&receipt).unwrap();
    assert_eq!(json["position"], receipt.position.to_string());
}

#[test]
fn types_are_inferred_once_logged_and_kept() {
    let world = World::new();
    let ingest = world.open();
    let item =
        |value: &str| format!(r#"{{"type":"item","id":"i","time":{NOW},"attributes":{{"stars":{value}}}}}"#);
    // The null before names no type; the schema record stands before the first value.
    assert_eq!(send(&ingest, &item("null")).position.sequence, 1);
    assert_eq!(send(&ingest, &item("4.5")).position.sequence, 3);
    assert_eq!(send(&ingest, &item("5")).position.sequence, 4);
    assert_eq!(
        told(&ingest, &item("\"five\"")),
        "attributes.stars: expected float, as the schema says, found string"
    );
    assert_eq!(value(ingest.live(), "i", "stars"), Some(Value::Float(5.0)));
    ingest.close().unwrap();
    let ingest = world.open();
    assert_eq!(ingest.live().schema().version, 1);
    assert_eq!(
        told(&ingest, &item("true")),
        "attributes.stars: expected float, as the schema says, found bool"
    );
}

#[test]
fn unknown_attributes_are_ignored_or_rejected_where_the_schema_says_so() {
    let item = r#"{"type":"item","id":"i","time":1,"attributes":{"colour":"red","price":1}}"#;
    let world = World::with("[schema]\nprice = \"float\"\nunknown = \"ignore\"\n");
    let ingest = world.open();
    assert_eq!(send(&ingest, item).accepted, 1);
    assert_eq!(ingest.live().items().field("colour"), None);
    assert_eq!(value(ingest.live(), "i", "price"), Some(Value::Float(1.0)));
    let world = World::with("[schema]\nprice = \"float\"\nunknown = \"reject\"\n");
    assert!(told(&world.open(), item).starts_with("attributes.colour: not in the schema"));
}

#[test]
fn a_changed_configuration_retypes_what_was_inferred() {
    let world = World::new();
    let ingest = world.open();
    send(&ingest, r#"{"type":"item","id":"i","time":1,"attributes":{"price":2}}"#);
    ingest.close().unwrap();
    std::fs::write(world.folder.path().join("weir.toml"), "[schema]\nprice = \"float\"\n").unwrap();
    let config = Config::load_with(world.folder.path().join("weir.toml"), []).unwrap();
    assert_eq!(value(&Ingest::read_only(&config).unwrap(), "i", "price"), Some(Value::Float(2.0)));
    let ingest = Ingest::open(&config).unwrap();
    assert_eq!(value(ingest.live(), "i", "price"), Some(Value::Float(2.0)));
    let version = ingest.live().schema().version;
    drop(ingest);
    assert_eq!(Ingest::open(&config).unwrap().live().schema().version, version);
}

#[test]
fn nothing_counts_twice_within_the_window_across_restarts() {
    let world = World::new();
    let bare = format!(r#"{{"type":"interaction","user":"u1","item":"i1","action":"click","time":{NOW}}}"#);
    let retract = format!(r#"{{"type":"interaction","id":"b","retracted":true,"time":{NOW}}}"#);
    let seen = format!(r#"{{"type":"impression","id":"a","user":"u1","items":["i1"],"time":{NOW}}}"#);
    let body = format!("[{},{},{bare},{},{retract},{seen}]", click("a"), click("b"), click("a"));
    let ingest = world.open();
    let first = send(&ingest, &body);
    assert_eq!((first.accepted, first.duplicates), (5, 1));
    assert_eq!(clicks(ingest.live(), "i1"), 2);
    ingest.close().unwrap();
    for minutes in [1, 9] {
        let ingest = world.open();
        let again = send_at(&ingest, &body, NOW + minutes * MINUTE);
        assert_eq!((again.accepted, again.duplicates, again.position), (0, 6, first.position));
        assert_eq!(clicks(ingest.live(), "i1"), 2);
    }
    // After the window content counts again; ids still act once.
    let ingest = world.open();
    assert_eq!(send_at(&ingest, &body, NOW + 11 * MINUTE).accepted, 5);
    assert_eq!(clicks(ingest.live(), "i1"), 3);
}

#[test]
fn the_log_is_locked_and_can_be_read_beside_its_writer() {
    let world = World::new();
    assert_eq!(Ingest::read_only(&world.config).unwrap().applied().sequence, 0);
    let ingest = world.open();
    assert!(matches!(Ingest::open(&world.config).unwrap_err(), Error::Locked { .. }));
    let receipt = send(&ingest, &click("a"));
    let beside = Ingest::read_only(&world.config).unwrap();
    assert_eq!(beside.applied(), receipt.position);
    assert_eq!(clicks(&beside, "i1"), 1);
    let clone = ingest.clone();
    ingest.close().unwrap();
    assert!(block_on(clone.submit(b"{}", Form::Auto, NOW).unwrap()).is_err());
    assert_eq!(clicks(world.open().live(), "i1"), 1);
}

#[test]
fn many_senders_share_syncs_and_none_is_lost() {
    let world = World::new();
    let ingest = world.open();
    let senders: Vec<_> = (0..8)
        .map(|t| {
            let ingest = ingest.clone();
            std::thread::spawn(move || {
                let send = |n: i32| ingest.submit(click(&format!("{t}-{n}")).as_bytes(), Form::Json, NOW);
                let all: Vec<_> = (0..50).map(|n| send(n).unwrap()).collect();
                all.into_iter().map(|sent| block_on(sent).unwrap().accepted).sum::<u32>()
            })
        })
        .collect();
    assert_eq!(senders.into_iter().map(|s| s.join().unwrap()).sum::<u32>(), 400);
    ingest.close().unwrap();
    assert_eq!(clicks(world.open().live(), "i1"), 400);
}

#[test]
fn decisions_are_kept_and_never_in_the_way() {
    let world = World::new();
    let ingest = world.open();
    for n in 0..20 {
        ingest.decide(Decision { request_id: format!("r{n}"), ..Decision::default() });
    }
    ingest.close().unwrap();
    let ids: Vec<String> = crate::log::Reader::decisions(&world.config.log.dir, "main")
        .unwrap()
        .map(|d| d.unwrap().request_id)
        .collect();
    assert_eq!(ids, (0..20).map(|n| format!("r{n}")).collect::<Vec<_>>());
}

#[test]
fn typed_events_are_checked_too() {
    let world = World::new();
    let ingest = world.open();
    let user = Person::user(Id::new("u1").unwrap());
    send(&ingest, &click("a"));
    let receipt = block_on(
        ingest.submit_events(vec![check::erase(user.clone(), NOW), Event::Schema(Schema::reserved())], NOW),
    )
    .unwrap();
    assert_eq!((receipt.accepted, receipt.rejected[0].index), (1, 1));
    ingest.close().unwrap();
    let ingest = world.open();
    assert!(ingest.live().person(&user).is_none());
    assert_eq!(clicks(ingest.live(), "i1"), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), at in any::<i64>()) {
        let actions = Actions::default();
        for form in [Form::Json, Form::Ndjson, Form::Auto] {
            for event in decode::decode(&body, form).into_iter().flatten().flatten() {
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
        for event in decode::decode(body.as_bytes(), Form::Auto).into_iter().flatten().flatten() {
            let _ = Checker { actions: &actions, received_ms: NOW }.check(event);
        }
    }
}
