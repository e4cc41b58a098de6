//! What a client may rely on: each form of event, what is rejected and how it is said, durability, and that nothing counts twice.

mod limits;
mod past;
mod unsynced;

use std::time::Duration;

use super::*;
use crate::live::{Counters, Items};
use crate::log::Reader;
use crate::types::time::{DAY, MINUTE};
use crate::types::{DecisionItem, Id, Interaction, Person, Value};
use futures::executor::block_on;
use std::sync::atomic::AtomicU64;

pub(super) const NOW: Millis = 20_000 * DAY;

pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) config: Config,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with("")
    }

    pub(super) fn with(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weir.toml");
        std::fs::write(&file, toml).unwrap();
        let config = Config::load_with(&file, []).unwrap();
        Self { folder, config }
    }

    pub(super) fn open(&self) -> Ingest {
        Ingest::open(&self.config).unwrap()
    }
}

pub(super) fn send_at(ingest: &Ingest, body: &str, at: Millis) -> Receipt {
    let receipt = block_on(ingest.submit(body.as_bytes(), Form::Auto, at).unwrap()).unwrap();
    while ingest.live().applied().sequence < receipt.position.sequence {
        std::thread::sleep(Duration::from_micros(200));
    }
    receipt
}

pub(super) fn send(ingest: &Ingest, body: &str) -> Receipt {
    send_at(ingest, body, NOW)
}

/// What one bad event is told.
fn told(ingest: &Ingest, event: &str) -> String {
    let receipt = send(ingest, &format!("[{event}]"));
    assert_eq!((receipt.accepted, receipt.duplicates, receipt.rejected.len()), (0, 0, 1), "{event}");
    assert_eq!(receipt.rejected[0].index, 0);
    receipt.rejected[0].detail.clone()
}

pub(super) fn clicks(live: &Live, item: &str) -> u64 {
    let items = live.items();
    let of = |c: &Counters| c.total(live.actions().id("click").unwrap());
    items.ordinal(item).map_or(0, |item| of(items.counters(item)))
}

fn value(live: &Live, item: &str, field: &str) -> Option<Value> {
    let items = live.items();
    items.value(items.field(field)?, items.ordinal(item)?)
}

pub(super) fn click(id: &str) -> String {
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
        {{"type":"identify","anonymous":"a1","user":"u1","time":{NOW},"brand_new_field":1}},
        {{"type":"edge","from":"u1","to":"u2","relation":"follow","time":{NOW},"deleted":false}},
        {{"type":"load","source":"catalogue","id":"2026-11-20","phase":"begin"}}
        ]"#
    );
    let receipt = send(&ingest, &body);
    assert_eq!((receipt.accepted, receipt.duplicates, &receipt.rejected), (12, 0, &Vec::new()));
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
    assert_eq!(ingest.stats().accepted.load(Ordering::Relaxed), 12);
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
fn an_inferred_integer_widens_and_a_chosen_one_does_not() {
    let world = World::with("[schema]\nstock = \"int\"\n");
    let ingest = world.open();
    let item = |name: &str, id: &str, value: &str| {
        format!(r#"{{"type":"item","id":"{id}","time":1,"attributes":{{"{name}":{value}}}}}"#)
    };
    for (id, price) in [("a", "20"), ("b", "19.5"), ("c", "18")] {
        assert_eq!(send(&ingest, &item("price", id, price)).accepted, 1, "{price}");
    }
    let prices = |ingest: &Ingest| ["a", "b", "c"].map(|id| value(ingest.live(), id, "price"));
    assert_eq!(prices(&ingest), [20.0, 19.5, 18.0].map(|p| Some(Value::Float(p))));
    for (name, value) in [("stock", "1.5"), ("created", "1.5")] {
        let said = told(&ingest, &item(name, "a", value));
        assert!(said.contains("expected int, as the schema says, found float"), "{said}");
    }
    let before = ingest.live().schema();
    ingest.close().unwrap();
    let ingest = world.open();
    assert_eq!((prices(&ingest)[0].clone(), ingest.live().schema()), (Some(Value::Float(20.0)), before));
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
    assert_eq!(send_at(&ingest, &body, NOW + 13 * MINUTE).accepted, 5);
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
    // Sent is sent: it shares a sync with what else is under way, before anybody waits for it.
    drop(ingest.submit(click("nobody waits").as_bytes(), Form::Json, NOW).unwrap());
    ingest.close().unwrap();
    assert_eq!(clicks(world.open().live(), "i1"), 401);
}

#[test]
fn decisions_are_kept_and_never_in_the_way() {
    let world = World::new();
    let ingest = world.open();
    for n in 0..20 {
        ingest.decide(Decision { request_id: format!("r{n}"), ..Decision::default() });
    }
    ingest.close().unwrap();
    let ids: Vec<String> =
        Reader::decisions(&world.config.log.dir, "main").unwrap().map(|d| d.unwrap().request_id).collect();
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

/// One number that JSON can't hold would make a log unreadable from there on; one time beyond all calendars would overflow sums.
#[test]
fn what_a_log_could_not_give_back_never_enters_it() {
    let world = World::new();
    let ingest = world.open();
    let id = |text: &str| Id::new(text).unwrap();
    let act = |time: Millis, hour: f64| {
        Event::Interaction(Interaction {
            id: None,
            person: Person::user(id("u")),
            item: id("i"),
            action: "click".to_owned(),
            value: 1.0,
            time,
            request_id: None,
            session: None,
            context: [("hour".to_owned(), Value::Float(hour))].into(),
        })
    };
    let events = vec![
        act(NOW, f64::NAN),
        act(Millis::MIN, 1.0),
        act(NOW, 1.0),
        check::erase(Person::user(id("v")), -1 << 60),
    ];
    let receipt = block_on(ingest.submit_events(events, NOW)).unwrap();
    assert_eq!(receipt.rejected.iter().map(|r| r.index).collect::<Vec<_>>(), [0, 1, 3]);
    let shown = |score: f32| DecisionItem {
        id: id("i"),
        position: 0,
        score,
        sources: Vec::new(),
        propensity: None,
        features: vec![score],
    };
    for score in [1.0, f32::NAN, 2.0] {
        ingest.decide(Decision { items: vec![shown(score)], ..Decision::default() });
    }
    let stats = Arc::clone(&ingest.inner.stats);
    ingest.close().unwrap();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((count(&stats.decisions), count(&stats.decisions_dropped)), (2, 1));
    let events = Reader::events(&world.config.log.dir, "main").unwrap();
    assert_eq!(events.map(Result::unwrap).count(), 1);
    let decisions = Reader::decisions(&world.config.log.dir, "main").unwrap();
    assert_eq!(decisions.map(|d| d.unwrap().items[0].score).collect::<Vec<_>>(), [1.0, 2.0]);
}
