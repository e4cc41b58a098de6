//! What compaction promises: whatever was said in whatever order, and whichever of the segments have been written again, a replay comes to the
//! state that it came to before, and goes on from there as before; sequences stay; what somebody needs whole stays whole.

mod folder;

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::plan::{Sealed, find};
use super::segments::{Rewritten, rewrite};
use crate::config::{Actions, Keep, Priorities};
use crate::live::tests::{any_event, keep, people, schema, shown};
use crate::live::{Items, Live, tests};
use crate::log::{Reader, Stream, Writer, entries::segments, format};
use crate::types::event::{Load, Phase, UserEvent};
use crate::types::time::DAY;
use crate::types::{Event, Id, ItemEvent, Millis, Person, Record, Schema, Value, ValueType};

pub(super) const NOW: Millis = 20_000 * DAY;

pub(super) fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// Writes events into a log of short segments, all of them sealed.
pub(super) fn write(dir: &Path, events: &[Event], bytes: u64) {
    let folder = dir.join("main/events");
    let mut writer =
        Writer::open(&folder, Stream::Events, "main", 0xc0ffee).unwrap().with_segment_bytes(bytes);
    for event in events {
        let partition = event.person().map_or(0, |p| p.partition());
        writer.append(format::kind_of(event), partition, NOW, &format::encode_event(event).unwrap());
        writer.flush().and_then(|()| writer.sync()).unwrap();
    }
    writer.seal().unwrap();
}

pub(super) fn read(dir: &Path) -> Vec<Record> {
    Reader::events(dir, "main").unwrap().map(Result::unwrap).collect()
}

fn settings() -> Keep {
    let sources = Priorities::new(BTreeMap::from([("s1".to_owned(), 7)])).unwrap();
    Keep { sources, ..keep() }
}

/// Writes those of the sealed segments again that `which` has a bit for.
fn compact(dir: &Path, most: usize, which: u64) -> Vec<Rewritten> {
    let folder = dir.join("main/events");
    let mut all: Vec<Sealed> = segments(&folder).unwrap().into_iter().map(Sealed::new).collect();
    all.pop();
    let candidates = all.len();
    let marks =
        find(&folder, &mut all, candidates, &settings().sources, most, &mut || false).unwrap().unwrap();
    let wanted = (0..candidates).filter(|n| which >> (n % 64) & 1 == 1 && marks.any(*n));
    wanted.filter_map(|n| rewrite(&folder, n, &all[n], &marks, &|| false).unwrap()).collect()
}

fn replayed(records: &[Record]) -> Live {
    let live = Live::with(Actions::default(), Schema::reserved(), settings());
    live.apply(records).unwrap();
    live
}

/// All that can be read of a store, and more of what is fresh.
fn picture(live: &Live) -> BTreeMap<String, String> {
    let mut all = shown(live, &people());
    let items = live.items();
    for kind in ["item", "k1", "k2"] {
        let mut fresh = Vec::new();
        let any = live.lists().at("fresh", kind, NOW, 500, &mut fresh, None);
        let fresh: Vec<_> = fresh.iter().map(|s| (items.id(s.item), s.score.to_bits())).collect();
        all.insert(format!("fresh {kind}"), format!("{any} {fresh:?}"));
    }
    for item in 0..items.len() as u32 {
        let said = (items.said_deleted(item), items.deleted(item), items.deleted_time(item));
        all.insert(format!("deleted {}", items.id(item)), format!("{said:?}"));
    }
    all
}

fn value(name: &'static str) -> BoxedStrategy<Option<Value>> {
    let some = match name {
        "price" => (0..3i32).prop_map(|p| Value::Float(f64::from(p))).boxed(),
        "title" | "city" => (0..3u8).prop_map(|t| Value::String(format!("t{t}").into())).boxed(),
        "timezone" => prop::sample::select(vec!["Asia/Tokyo", "UTC", "America/Lima"])
            .prop_map(|zone| Value::String(zone.into()))
            .boxed(),
        "hidden" | "personalize" => any::<bool>().prop_map(Value::Bool).boxed(),
        _ => (-1..2i64).prop_map(|d| Value::Int(NOW + d * DAY)).boxed(),
    };
    prop_oneof![5 => some.prop_map(Some), 1 => Just(None)].boxed()
}

fn attributes(names: &'static [&'static str]) -> impl Strategy<Value = BTreeMap<String, Option<Value>>> {
    let name = prop::sample::select(names);
    let one = name.prop_flat_map(|name| value(name).prop_map(move |value| (name.to_owned(), value)));
    prop::collection::vec(one, 0..4).prop_map(|all| all.into_iter().collect())
}

const TIMES: std::ops::Range<Millis> = NOW - 6..NOW;

fn item() -> impl Strategy<Value = Event> {
    let said = attributes(&["price", "title", "hidden", "created", "available_from"]);
    let others = (prop::option::of(1..3u8), prop::option::weighted(0.2, any::<bool>()), 0..4u8);
    (0..3u8, TIMES, said, others).prop_map(|(item, time, attributes, (kind, deleted, source))| {
        let (kind, source) = (kind.map(|k| format!("k{k}")), (source < 3).then(|| format!("s{source}")));
        Event::Item(ItemEvent { id: id(&format!("i{item}")), kind, time, source, attributes, deleted })
    })
}

fn user() -> impl Strategy<Value = Event> {
    let said = attributes(&["city", "timezone", "personalize"]);
    (0..6usize, TIMES, said, 0..3u8).prop_map(|(who, time, attributes, source)| {
        let source = (source < 2).then(|| format!("s{source}"));
        Event::User(UserEvent { person: people()[who].clone(), time, source, attributes })
    })
}

/// Every type that an attribute had, and some that come late or go.
fn retyped() -> impl Strategy<Value = Event> {
    (0..4u8, 1..9u32).prop_map(|(what, version)| {
        let mut schema = Schema { version, ..schema() };
        match what {
            0 => drop(schema.items.remove("title")),
            1 => drop(schema.items.insert("title".into(), ValueType::Strings)),
            2 => drop(schema.items.insert("price".into(), ValueType::String)),
            _ => {}
        }
        Event::Schema(schema)
    })
}

fn load() -> impl Strategy<Value = Event> {
    (0..3u8, 0..2u8, any::<bool>(), TIMES).prop_map(|(source, id, begin, time)| {
        let phase = if begin { Phase::Begin } else { Phase::End };
        Event::Load(Load { source: format!("s{source}"), id: id.to_string(), phase, time })
    })
}

fn again(event: &Event, later: Millis) -> Event {
    let mut event = event.clone();
    match &mut event {
        Event::Item(item) => item.time += later,
        Event::User(user) => user.time += later,
        _ => {}
    }
    event
}

/// Events of all kinds, of which many say again what others said, at the same time or later.
fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    let one = prop_oneof![6 => item(), 4 => user(), 6 => any_event(), 1 => retyped(), 1 => load()];
    let with = (one, prop::option::of((any::<prop::sample::Index>(), 0..2i64)));
    prop::collection::vec(with, 1..most).prop_map(|drawn| {
        let mut all = vec![Event::Schema(Schema { version: 1, ..schema() })];
        for (event, repeated) in drawn {
            if let Some((index, later)) = repeated {
                all.push(again(&all[index.index(all.len())], later));
            }
            all.push(event);
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn replay_of_what_stays_is_replay_of_all(
        events in events(60),
        after in events(12),
        most in prop::sample::select(vec![2usize, 1000]),
        which in prop::collection::vec(any::<u64>(), 2),
    ) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &events, 400);
        let whole = read(dir.path());
        let (first, last) = (replayed(&whole), whole.len() as u64);
        let mut more = tests::records(&after);
        more.iter_mut().for_each(|record| record.sequence += last);
        // Some segments now, some in another run, as if a process had died between them.
        for which in which.into_iter().chain([u64::MAX]) {
            compact(dir.path(), most, which);
            let left = read(dir.path());
            prop_assert!(left.iter().all(|record| whole[record.sequence as usize - 1] == *record));
            let second = replayed(&left);
            prop_assert_eq!(picture(&first), picture(&second));
            second.apply(&more).unwrap();
            let first = replayed(&whole);
            first.apply(&more).unwrap();
            prop_assert_eq!(picture(&first), picture(&second));
        }
    }
}

/// More items begin than the list `fresh` holds of a partition: what it left out comes back where something is said again, and only there.
#[test]
fn what_fresh_left_out_comes_back_as_before() {
    let ids: Vec<Id> =
        (0..).map(|n| id(&format!("i{n}"))).filter(|id| id.tie() % 64 == 0).take(1700).collect();
    let said = |n: usize, time: Millis, begins: Millis, deleted: Option<bool>| {
        let attributes = BTreeMap::from([("created".to_owned(), Some(Value::Int(begins)))]);
        Event::Item(ItemEvent { id: ids[n].clone(), kind: None, time, source: None, attributes, deleted })
    };
    let mut events: Vec<Event> = (0..1700).map(|n| said(n, 1, n as Millis, None)).collect();
    events.extend((0..200).map(|n| said(1000 + n, 2, 1000 + n as Millis, Some(true))));
    events.extend((0..1700).filter(|n| n % 3 == 0).map(|n| said(n, 3, n as Millis, None)));
    events.extend((0..60).map(|n| said(300 + n, 4, 5, None)));
    events.extend((0..1700).map(|n| said(n, 5, if (300..360).contains(&n) { 5 } else { n as Millis }, None)));
    events.extend((0..40).map(|n| said(1000 + n, 6, 1000 + n as Millis, Some(false))));
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &events, 20_000);
    let first = replayed(&read(dir.path()));
    let done = compact(dir.path(), 10_000, u64::MAX);
    let gone: u64 = done.iter().map(|done| done.records).sum();
    assert!(gone > 300, "{gone}");
    let second = replayed(&read(dir.path()));
    let listed = |live: &Live| {
        let (items, lists) = (live.items(), live.lists());
        let mut out = Vec::new();
        for now in (0..2000).step_by(100) {
            lists.at("fresh", "", now, 500, &mut out, None);
        }
        out.iter().map(|s| (items.id(s.item).clone(), s.score.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(listed(&first), listed(&second));
    assert_eq!(picture(&first), picture(&second));
}

#[test]
fn a_person_who_was_erased_or_known_by_another_name_is_told_apart() {
    let said = |person: &Person, time: Millis, city: &str| {
        let attributes = BTreeMap::from([("city".to_owned(), Some(Value::String(city.into())))]);
        Event::User(UserEvent { person: person.clone(), time, source: None, attributes })
    };
    let (user, guest) = (Person::user(id("p0")), Person::anonymous(id("p1")));
    let identify = crate::types::event::Identify { anonymous: id("p1"), user: id("p0"), time: NOW };
    let events = [
        said(&guest, 5, "guest"),
        said(&user, 1, "user"),
        Event::Identify(identify),
        said(&guest, 6, "other"),
        said(&user, 3, "user"),
        Event::Erase(crate::types::event::Erase { person: user.clone(), time: NOW }),
        said(&user, 2, "new"),
    ];
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &events, 1);
    let first = replayed(&read(dir.path()));
    compact(dir.path(), 1000, u64::MAX);
    let left: Vec<u64> = read(dir.path()).iter().map(|record| record.sequence).collect();
    assert_eq!(left, [1, 3, 4, 5, 6, 7], "only what the same person said again within one life goes");
    assert_eq!(picture(&first), picture(&replayed(&read(dir.path()))));
}
