//! Whatever is sent, nothing panics, and the log gives back what it took: the state after a restart is that before.

use std::sync::Arc;

use data_layer::config::Config;
use data_layer::ingest::{Form, Ingest};
use data_layer::live::{Items, Live};
use data_layer::types::{Id, Millis, Ordinal, Person};
use futures::executor::block_on;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const NOW: Millis = 1_770_000_000_000;

/// Values at the edges of what JSON, integers, floats, ids and times can be.
fn odd() -> impl Strategy<Value = Json> {
    let edges = [
        json!(null),
        json!(true),
        json!(0),
        json!(-0.0),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!(5e-324),
        json!(1e9),
        json!(20.5),
        json!(""),
        json!("a"),
        json!("\u{0}"),
        json!("é".repeat(200)),
        json!([]),
        json!([1, 2.5]),
        json!(["a", "b"]),
        json!([1, "a"]),
        json!([null]),
        json!({}),
        json!({"lat": 91, "lon": 0}),
        json!({"lat": 1, "lon": -180}),
        json!("2026-02-02T00:00:00Z"),
        json!("-009999-01-01T00:00:00Z"),
        json!(NOW),
        json!(NOW + 400_000),
        json!(-62_135_596_800_000i64),
    ];
    prop::sample::select(edges.to_vec())
}

/// An event that would be right, with some fields taken out or made odd.
fn event() -> impl Strategy<Value = Json> {
    let whole = [
        json!({"type": "item", "id": "a", "kind": "k", "time": NOW, "attributes": {"x": 1, "y": ["t"], "hidden": false}}),
        json!({"type": "item", "id": "b", "time": NOW, "deleted": true}),
        json!({"type": "user", "id": "u", "time": NOW, "attributes": {"x": 1, "personalize": true}}),
        json!({"type": "interaction", "id": "e", "user": "u", "item": "a", "action": "rate", "value": 2, "time": NOW, "context": {"c": 1}}),
        json!({"type": "interaction", "anonymous": "g", "item": "b", "action": "click", "time": NOW}),
        json!({"type": "interaction", "id": "e", "retracted": true, "time": NOW}),
        json!({"type": "impression", "id": "v", "user": "u", "items": [{"id": "a", "position": 1}], "time": NOW}),
        json!({"type": "identify", "anonymous": "g", "user": "u", "time": NOW}),
    ];
    let names = [
        "id",
        "kind",
        "time",
        "source",
        "attributes",
        "deleted",
        "user",
        "item",
        "action",
        "value",
        "items",
        "session_id",
        "request_id",
        "x",
        "y",
        "hidden",
        "created",
        "available_from",
        "personalize",
        "position",
        "c",
        "retracted",
    ];
    let change = (prop::sample::select(names.to_vec()), odd());
    (prop::sample::select(whole.to_vec()), prop::collection::vec(change, 0..3)).prop_map(
        |(mut event, changes)| {
            for (name, value) in changes {
                let inner = ["attributes", "context"].into_iter().find(|inner| event[inner].is_object());
                match inner.filter(|_| {
                    ["x", "y", "hidden", "created", "available_from", "personalize", "c"].contains(&name)
                }) {
                    Some(inner) => event[inner][name] = value,
                    None => event[name] = value,
                }
            }
            event
        },
    )
}

/// What can be read of the live side.
fn seen(live: &Live) -> Vec<String> {
    let items = live.items();
    let item = |at: Ordinal| {
        let said = (items.id(at), items.kind(at), items.attributes(at), items.counters(at), items.row(at));
        format!("{said:?} {} {}", items.can_serve(at, NOW), items.impressions(at))
    };
    let person = |id: &str, of: fn(Id) -> Person| {
        let state = live.person(&of(Id::new(id).unwrap()));
        state.map(|s| format!("{:?} {:?} {:?} {:?}", s.actions, s.seen, s.counters, s.attributes))
    };
    let people = [person("u", Person::user), person("a", Person::user), person("g", Person::anonymous)];
    (0..items.len() as Ordinal).map(item).chain(people.into_iter().flatten()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_is_sent_the_log_gives_back_what_it_took(calls in prop::collection::vec(prop::collection::vec(event(), 1..8), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::in_folder(folder.path()).unwrap();
        let ingest = Ingest::open(&config).unwrap();
        for events in calls {
            let count = events.len();
            let body = Json::Array(events).to_string();
            let receipt = block_on(ingest.submit(body.as_bytes(), Form::Auto, NOW).unwrap()).unwrap();
            prop_assert_eq!(receipt.accepted as usize + receipt.duplicates as usize + receipt.rejected.len(), count);
        }
        let live = Arc::clone(ingest.live());
        ingest.close().unwrap();
        let again = Ingest::open(&config).unwrap();
        prop_assert_eq!(seen(&live), seen(again.live()));
        prop_assert_eq!(live.applied(), again.live().applied());
    }
}
