//! Laws of snapshots: a snapshot and the rest of the log is the whole log; what is broken is named; what goes on meanwhile is not in it.

mod meanwhile;
mod version_1;

use std::path::PathBuf;

use proptest::prelude::*;

use super::super::Items;
use super::super::tests::any_event;
use super::super::tests::{
    NOW, attribute_events, id, interaction, keep, live, people, records, schema, shown,
};
use super::*;
use crate::config::{Calendar, Weight};
use crate::types::event::{ItemEvent, Retraction};
use crate::types::{Event, Id, Person, Record, Value};
use crate::{Error, Result};

fn maker() -> Maker {
    Maker { consumers: vec![("items".into(), 1)], configured: "x".into(), parts: Vec::new() }
}

fn written(live: &Live) -> Vec<u8> {
    let mut bytes = Vec::new();
    let carried = || Ok(vec![Carried { name: "other".into(), bytes: vec![1, 2, 3] }]);
    write(live, &maker(), carried, &mut bytes, "snapshot".as_ref(), Limits::default()).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<Loaded> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("snapshot");
    std::fs::write(&path, bytes).unwrap();
    load(&path, &Actions::default(), &keep())
}

fn empty() -> Live {
    Live::with(Actions::default(), schema(), keep())
}

fn cut(all: &[Record], at: usize) -> Live {
    let first = empty();
    first.follow(9);
    first.apply(&all[..at]).unwrap();
    let loaded = read(&written(&first)).unwrap();
    assert_eq!((loaded.head.position(), loaded.live.applied()), (first.applied(), first.applied()));
    assert_eq!(loaded.carried, [Carried { name: "other".into(), bytes: vec![1, 2, 3] }]);
    loaded.live.apply(&all[at..]).unwrap();
    loaded.live
}

proptest! {
    #[test]
    fn a_snapshot_and_the_rest_of_the_log_is_the_whole_log(
        events in (prop::collection::vec(any_event(), 1..60), attribute_events())
            .prop_map(|(one, two)| [one, two].concat())
            .prop_shuffle(),
        at in any::<prop::sample::Index>(),
    ) {
        let (whole, all) = (live(&events), records(&events));
        let cut = cut(&all, at.index(all.len() + 1));
        prop_assert_eq!(shown(&whole, &people()), shown(&cut, &people()));
    }

    #[test]
    fn what_is_broken_is_an_error_and_never_a_panic(
        events in prop::collection::vec(any_event(), 1..20),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = written(&live(&events));
        let cut = at.index(bytes.len());
        let broken = |result: Result<Loaded>| matches!(result, Err(Error::Corrupt { .. } | Error::Newer { .. }));
        prop_assert!(broken(read(&bytes[..cut])));
        // Four bytes of the header mean nothing yet.
        if bytes[cut] != to && !(12..16).contains(&cut) {
            bytes[cut] = to;
            prop_assert!(broken(read(&bytes)));
        }
    }
}

fn item(n: usize, price: f64, time: i64) -> Event {
    let attributes = [("price".to_owned(), Some(Value::Float(price)))].into();
    let id = Id::new(&format!("i{n}")).unwrap();
    Event::Item(ItemEvent { id, kind: None, deleted: None, time, source: None, attributes })
}

#[test]
fn what_is_applied_while_it_is_written_is_not_in_it() {
    let who = Person::user(id("p0"));
    let mut events: Vec<Event> = (0..5 * piece::BLOCK).map(|n| item(n, 1.0, NOW - 5)).collect();
    events.push(interaction(Some("a"), &who, "i3", "click", NOW - 4));
    let all = records(&events);
    let live = live(&events);
    let before = shown(&live, &people());
    let more = [
        item(3, 2.0, NOW),
        item(4 * piece::BLOCK, 3.0, NOW),
        item(9 * piece::BLOCK, 3.0, NOW),
        interaction(Some("b"), &who, "i700", "like", NOW),
        Event::Retraction(Retraction { id: id("a"), person: None, time: NOW }),
    ];
    let more: Vec<Record> = (all.len() as u64 + 1..)
        .zip(records(&more))
        .map(|(sequence, record)| Record { sequence, ..record })
        .collect();
    // The first thing that is asked for once the moment is fixed.
    let mut bytes = Vec::new();
    let meanwhile = || {
        live.apply(&more).unwrap();
        Ok(Vec::new())
    };
    write(&live, &maker(), meanwhile, &mut bytes, "snapshot".as_ref(), Limits::default()).unwrap();
    let loaded = read(&bytes).unwrap().live;
    assert_eq!(shown(&loaded, &people()), before);
    assert_ne!(shown(&live, &people()), before);
    loaded.apply(&more).unwrap();
    assert_eq!(shown(&loaded, &people()), shown(&live, &people()));
}

#[test]
fn damage_is_named_by_its_section_and_what_is_newer_is_refused() {
    let mut bytes = written(&live(&[item(1, 1.0, NOW)]));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let said = read(&bytes).unwrap_err().to_string();
    assert!(said.contains("snapshot: corrupt section ") && said.contains("sum"), "{said}");
    bytes[8] = VERSION as u8 + 1;
    let said = read(&bytes).unwrap_err().to_string();
    assert!(said.contains("version 3 is newer than 2"), "{said}");
}

#[test]
fn other_numbers_of_actions_are_translated_and_move_the_hash() {
    let who = Person::user(id("p0"));
    let live = live(&[interaction(Some("a"), &who, "x", "like", NOW)]);
    let bytes = written(&live);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    std::fs::write(&path, bytes).unwrap();
    let more = Actions::over_defaults(&[("aaa".to_owned(), Weight::Fixed(1.0))].into()).unwrap();
    let other = load(&path, &more, &keep()).unwrap().live;
    let like = more.id("like").unwrap();
    assert_ne!(Some(like), Actions::default().id("like"));
    assert_eq!(other.items().counters(0).total(like), 1);
    assert_eq!(other.person(&who).unwrap().counters.total(like), 1);
    assert_ne!(other.configured(), live.configured());
    assert_eq!(configured(&Actions::default(), &keep()), live.configured());
    let utc = Keep { calendar: Calendar::default(), ..keep() };
    assert_ne!(configured(&Actions::default(), &utc), live.configured());
}
