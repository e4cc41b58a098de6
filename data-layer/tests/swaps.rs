//! The law of swaps: 100 of them while readers run and items come and go, and every list that is read is, word for word, what its generation
//! says, all tables of a snapshot are of one generation, and none is ever missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use data_layer::Config;
use data_layer::access::{Access, ListSpec, Merge, Snapshot, Swap, Tables};
use data_layer::keylist::{Op, ScoreCodec, TableSpec, Writer};
use data_layer::live::{Items, Live};
use data_layer::publish::{Folder, Gate};
use data_layer::types::{Event, Id, ItemEvent, Millis, Record};

const SWAPS: i64 = 100;
const KEYS: usize = 60;
const TABLES: [&str; 3] = ["one", "two", "three"];

/// What a generation says of a key: nothing, or different items, some of which no other generation has.
fn says(table: usize, key: usize, generation: i64) -> Option<Vec<(String, f32)>> {
    let turn = generation as usize;
    if (key + turn + table).is_multiple_of(9) {
        return None;
    }
    let (first, length) = (key * 31 + turn * 17 + table * 5, 3 + (key + turn) % 5);
    let item = |place: usize| match place % 3 {
        0 => format!("only-{generation}-{}", (first + place) % 20),
        _ => format!("i{}", (first + place * 7) % 97),
    };
    // Whole parts say which generation it is.
    let score = |place: usize| generation as f32 + (length - place) as f32 / 16.0;
    Some((0..length).map(|place| (item(place), score(place))).collect())
}

/// Every other generation of the last table is a delta on the one before.
fn publish(config: &Config, generation: i64) {
    for (number, table) in TABLES.into_iter().enumerate() {
        let folder = Folder::of(config, table).unwrap();
        let watermark = generation * 1_000;
        let is_delta = number == TABLES.len() - 1 && generation % 2 == 1;
        let spec = match is_delta {
            true => folder.delta_spec(watermark).unwrap(),
            false => TableSpec { scores: ScoreCodec::Exact, ..folder.spec(watermark) },
        };
        let mut writer = Writer::new(spec).unwrap();
        for key in 0..KEYS {
            let list = says(number, key, generation);
            let op = if list.is_some() { Op::Replace } else { Op::Delete };
            let list = list.unwrap_or_default();
            let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
            if op == Op::Replace || is_delta {
                writer.push_entry(format!("k{key}").as_str(), op, &list, None).unwrap();
            }
        }
        folder.build(writer).unwrap();
        folder.publish(None, Gate::Sound).unwrap();
        folder.keep(2).unwrap();
    }
}

/// Reads every key of every table of a snapshot, holds each to what its generation says, and gives back which that is.
fn read(snapshot: &Snapshot, live: &Live, keys: &[&str]) -> i64 {
    let access = Access { snapshot, live: live.lists(), now_ms: 0 };
    let mut generation = None;
    for (number, table) in TABLES.into_iter().enumerate() {
        let spec = ListSpec {
            table: table.to_owned(),
            live: None,
            merge: Merge::Union,
            live_weight: 1.0,
            live_half_life: None,
        };
        let mut lists = Vec::new();
        access.lists(&spec, keys, 100, &|| false, &mut |at, found| {
            assert_eq!(at, lists.len());
            lists.push(found.unwrap_or_else(|e| panic!("{table} k{at}: {e}")).map(<[_]>::to_vec));
        });
        assert_eq!(lists.len(), KEYS);
        let first = lists.iter().flatten().flatten().next().unwrap().score as i64;
        assert_eq!(*generation.get_or_insert(first), first, "{table} is of another generation");
        let items = live.items();
        for (key, list) in lists.into_iter().enumerate() {
            let list =
                list.map(|list| list.iter().map(|s| (items.id(s.item).to_string(), s.score)).collect());
            assert_eq!(list, says(number, key, first), "{table} k{key} of generation {first}");
        }
    }
    generation.unwrap()
}

/// Items that come, go and come back, under every generation's feet.
fn come_and_go(live: &Live, done: &AtomicBool) -> u64 {
    let mut sequence = 0u64;
    while !done.load(Ordering::Relaxed) {
        let number = sequence / 3;
        for (id, deleted) in [
            (format!("new-{number}"), false),
            (format!("new-{}", number / 2), true),
            (format!("i{}", number % 97), number.is_multiple_of(2)),
        ] {
            sequence += 1;
            let event = Event::Item(ItemEvent {
                id: Id::new(&id).unwrap(),
                kind: None,
                time: sequence as Millis,
                source: None,
                attributes: BTreeMap::new(),
                deleted: Some(deleted),
            });
            live.apply(&[Record { sequence, received_ms: 0, partition: 0, past: false, event }]).unwrap();
        }
        // Often enough to meet every swap, seldom enough to keep the memory small.
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    sequence
}

#[test]
fn a_hundred_swaps_and_not_one_wrong_list() {
    let root = tempfile::tempdir().unwrap();
    let config = Config::in_folder(root.path()).unwrap();
    let live = Arc::new(Live::of(&config));
    publish(&config, 0);
    let tables = Tables::open(&config, Arc::clone(&live)).unwrap();
    let (done, reads, events) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (tables, live, done, reads, events) = (&tables, &live, &done, &reads, &events);
        for _ in 0..2 {
            scope.spawn(move || {
                let keys: Vec<String> = (0..KEYS).map(|key| format!("k{key}")).collect();
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let snapshot = tables.snapshot();
                    let generation = read(&snapshot, live, &keys);
                    // The same snapshot says the same for as long as it is held, whatever is swapped meanwhile.
                    assert_eq!(read(&snapshot, live, &keys[..]), generation);
                    assert!(generation >= last, "{generation} after {last}");
                    last = generation;
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(read(&tables.snapshot(), live, &keys), SWAPS);
            });
        }
        scope.spawn(move || events.store(come_and_go(live, done), Ordering::Relaxed));
        // Whatever fails here must end the others, or the scope waits for ever.
        let swapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for generation in 1..=SWAPS {
                publish(&config, generation);
                let swaps: Vec<Swap> = tables.poll();
                assert_eq!(swaps.len(), TABLES.len(), "all tables by one step: {swaps:?}");
            }
        }));
        done.store(true, Ordering::Relaxed);
        swapped.unwrap();
    });
    assert!(reads.into_inner() > 0 && events.into_inner() > 0);
    assert!(tables.errors().is_empty());
}
