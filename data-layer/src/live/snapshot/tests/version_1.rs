//! A snapshot that a program of version 1 wrote of these events, in which all that is known of an item is in one section.

use std::path::Path;

use super::super::super::tests::impression;
use super::*;
use crate::types::event::{Edge, Load, Phase};

fn full(n: usize) -> Event {
    let attributes = [
        ("price".to_owned(), Some(Value::Float(n as f64 / 4.0))),
        ("title".to_owned(), (!n.is_multiple_of(3)).then(|| Value::String(format!("t{}", n % 5).into()))),
        ("tags".to_owned(), Some(Value::Strings(vec![format!("g{}", n % 4).into(), "all".into()]))),
        ("created".to_owned(), Some(Value::Int(NOW - n as i64 * 1000))),
    ];
    Event::Item(ItemEvent {
        id: id(&format!("i{n}")),
        kind: n.is_multiple_of(4).then(|| "k1".into()),
        deleted: (n == 9).then_some(true),
        time: NOW - 50,
        source: n.is_multiple_of(2).then(|| "shop".into()),
        attributes: attributes.into(),
    })
}

fn events() -> Vec<Event> {
    let who = Person::user(id("p0"));
    let act = |n: usize| {
        let (key, item) = (format!("e{n}"), format!("i{}", n * 13));
        interaction(Some(&key), &who, &item, ["click", "like", "view"][n % 3], NOW - 40 + n as i64)
    };
    let mut events: Vec<Event> = (0..600).map(full).collect();
    events.extend((0..40).map(act));
    events.push(impression(&who, "i5", NOW - 1));
    events.push(Event::Retraction(Retraction { id: id("e3"), person: None, time: NOW }));
    events.push(Event::Edge(Edge {
        from: id("p0"),
        to: id("p1"),
        relation: "follow".into(),
        time: NOW,
        source: None,
        deleted: false,
    }));
    for (id, phase) in [("1", Phase::Begin), ("1", Phase::End), ("2", Phase::Begin)] {
        events.push(Event::Load(Load { source: "shop".into(), id: id.into(), phase, time: NOW - 45 }));
    }
    events
}

#[test]
fn what_version_1_wrote_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-1.snapshot");
    assert_eq!(std::fs::read(&path).unwrap()[8..12], 1u32.to_le_bytes());
    let loaded = load(&path, &Actions::default(), &keep()).unwrap().live;
    let live = live(&events());
    assert_eq!(shown(&loaded, &people()), shown(&live, &people()));
    // And beside others, under other numbers.
    let other = empty();
    other.intern(["i599", "i7", "x", "i1"].into_iter()).unwrap();
    other.replace_items(load_beside(&path, &other).unwrap().live);
    assert_eq!(shown(&other, &[]), shown(&live, &[]));
    // What is open stays so.
    let end = Load { source: "shop".into(), id: "2".into(), phase: Phase::End, time: NOW };
    let end =
        records(&[Event::Load(end), interaction(Some("e4"), &Person::user(id("p0")), "i52", "like", NOW)]);
    [&loaded, &live].iter().for_each(|live| live.apply(&end).unwrap());
    assert_eq!(shown(&loaded, &people()), shown(&live, &people()));
}
