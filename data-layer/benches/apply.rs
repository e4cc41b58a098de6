//! What the live side costs, without network: consumers over interactions and impressions, on one thread in batches and on two with all at
//! once, a start from a log of the same events and parts of it made anew beside a state, the merge of full loads field by field, the form in
//! which states are stored, and memory per item and person.
//!
//! Data: `EVENTS` events (default 1,000,000), nine of ten interactions with ids, the others impressions of five items, over 100,000 people and
//! 50,000 items, the low numbers more often; then `ITEMS` items (default 100,000) of 20 attributes, loaded three times: all new, one in ten
//! changed, and too late. `ONLY=events`, `rebuild` or `loads` runs one part. Plain baselines, in the same run on one thread: two `HashMap`s by text, to a person's items and to an item's count;
//! a `HashMap` by item and name of the field to its time and value; and reading and decoding the log on one thread and nothing else. With `MEMORY=1` instead: what 1,000,000 items
//! (`ITEMS`) of 20 attributes take, and 1,000,000 people (`PEOPLE`) of 100 actions on them: the people, the counters of the items, and the pairs, each in a process of its own,
//! by its resident memory.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::time::{Duration, Instant};

use data_layer::config::{Config, Keep, Part, Parts};
use data_layer::ingest::Ingest;
use data_layer::live::{Items, Live, codec};
use data_layer::log::{Entries, Stream, format};
use data_layer::types::event::{Impression, Interaction, ItemEvent, Seen};
use data_layer::types::{Event, Id, Person, Record, Schema, Value, ValueType};
use data_layer::{Actions, Error};
use futures::executor::block_on;

const NOW: i64 = 20_000 * 86_400_000;
const FIELDS: usize = 20;

fn asked(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A number below `n`, lower ones more often; the same for the same seed.
fn draw(seed: usize, n: usize) -> usize {
    let hash = xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes());
    let unit = (hash >> 11) as f64 / (1u64 << 53) as f64;
    ((unit * unit) * n as f64) as usize
}

fn id(text: String) -> Id {
    Id::new(&text).expect("an id")
}

fn event(n: usize, of: usize) -> Event {
    let person = Person::user(id(format!("user-{}", draw(3 * n, 100_000))));
    let item = |k: usize| id(format!("item-{}", draw(3 * n + 1 + 7_000_003 * k, 50_000)));
    let time = NOW - (of - n) as i64 * 50;
    if n.is_multiple_of(10) {
        let items = (0..5).map(|k| Seen { id: item(k), position: None, visible_ms: None }).collect();
        return Event::Impression(Impression {
            id: None,
            person,
            scene: None,
            request_id: None,
            items,
            time,
        });
    }
    let action = ["view", "click", "like"][n % 3].to_owned();
    Event::Interaction(Interaction {
        id: Some(id(format!("event-{n}"))),
        person,
        item: item(0),
        action,
        value: 1.0,
        time,
        request_id: None,
        session: None,
        context: BTreeMap::new(),
    })
}

fn named(n: usize, field: usize, version: usize) -> Value {
    match field % 4 {
        0 => Value::Float((n + version) as f64),
        1 => Value::Int((n * 7 + version) as i64),
        2 => Value::String(format!("word-{}", (n + field + version) % 1000).into()),
        _ => Value::Bool((n + version).is_multiple_of(2)),
    }
}

fn item(n: usize, time: i64, version: usize) -> Event {
    let attributes = (0..FIELDS).map(|f| (format!("field_{f:02}"), Some(named(n, f, version)))).collect();
    let id = id(format!("item-{n}"));
    Event::Item(ItemEvent { id, kind: None, time, source: None, attributes, deleted: None })
}

/// An item of which only its id is known.
fn bare(n: usize) -> Event {
    let id = id(format!("item-{n}"));
    Event::Item(ItemEvent {
        id,
        kind: None,
        time: NOW,
        source: None,
        attributes: BTreeMap::new(),
        deleted: None,
    })
}

fn schema() -> Schema {
    let types = [ValueType::Float, ValueType::Int, ValueType::String, ValueType::Bool];
    let mut schema = Schema::reserved();
    schema.items.extend((0..FIELDS).map(|f| (format!("field_{f:02}"), types[f % 4])));
    schema
}

fn records(from: u64, events: impl Iterator<Item = Event>) -> Vec<Record> {
    let record = |(sequence, event): (u64, Event)| {
        let partition = event.person().map_or(0, |p| p.partition());
        Record { sequence, received_ms: NOW, partition, past: false, event }
    };
    (from..).zip(events).map(record).collect()
}

/// Wall time, and processor time of all threads.
type Took = [Duration; 2];

fn timed(what: impl FnOnce()) -> Took {
    let (start, before) = (Instant::now(), processor());
    what();
    [start.elapsed(), processor() - before]
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let said = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    said.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Ratios are of processor time, which other programs disturb less.
fn say(name: &str, took: Took, n: usize, what: &str, plain: Option<Took>) {
    let [rate, core] = took.map(|time| n as f64 / time.as_secs_f64() / 1e6);
    let ratio = plain
        .map_or(String::new(), |p| format!("  {:.2} x plain", took[1].as_secs_f64() / p[1].as_secs_f64()));
    let wall = took[0];
    println!("{name:<34} {wall:>9.1?}  {rate:>6.2} M {what}/s, {core:.2} M a core{ratio}");
}

fn plain_events(records: &[Record]) {
    let mut people: HashMap<String, Vec<(String, i64)>> = HashMap::new();
    let mut items: HashMap<String, u64> = HashMap::new();
    for record in records {
        let (person, named): (_, Vec<&Id>) = match &record.event {
            Event::Interaction(e) => (&e.person, vec![&e.item]),
            Event::Impression(e) => (&e.person, e.items.iter().map(|seen| &seen.id).collect()),
            _ => continue,
        };
        for item in named {
            people.entry(person.id.to_string()).or_default().push((item.to_string(), NOW));
            *items.entry(item.to_string()).or_default() += 1;
        }
    }
    black_box((people.len(), items.len()));
}

fn plain_fields(loads: &[Vec<Record>]) {
    let mut fields: HashMap<(String, String), (i64, Value)> = HashMap::new();
    for record in loads.iter().flatten() {
        let Event::Item(event) = &record.event else { continue };
        for (name, value) in &event.attributes {
            let Some(value) = value else { continue };
            let key = (event.id.to_string(), name.clone());
            if fields.get(&key).is_none_or(|(time, _)| *time < event.time) {
                fields.insert(key, (event.time, value.clone()));
            }
        }
    }
    black_box(fields.len());
}

fn events() {
    let of = asked("EVENTS", 1_000_000);
    let all = records(1, (0..of).map(|n| event(n, of)));
    let plain = timed(|| plain_events(&all));
    let live = Live::new(Actions::default(), Schema::reserved());
    let whole = timed(|| live.apply(&all).expect("in order"));
    say("two maps by text", plain, of, "events", None);
    say("every consumer, all at once", whole, of, "events", Some(plain));
    for size in [2000, 100] {
        let live = Live::new(Actions::default(), Schema::reserved());
        let batches = timed(|| all.chunks(size).for_each(|batch| live.apply(batch).expect("in order")));
        say(&format!("every consumer, batches of {size}"), batches, of, "events", Some(plain));
    }
    let people: Vec<Person> = (0..100_000).map(|n| Person::user(id(format!("user-{n}")))).collect();
    let states: Vec<_> = people.iter().filter_map(|person| live.person(person)).collect();
    let items = live.items();
    let mut bytes = Vec::new();
    let encoded = timed(|| {
        bytes = states.iter().map(|state| codec::encode(state, items.ids(), live.actions())).collect();
    });
    let decoded = timed(|| {
        for bytes in &bytes {
            let known = &mut |id: &str| Ok(items.ordinal(id).unwrap_or(0));
            black_box(codec::decode(bytes, "state", live.actions(), known).expect("a state"));
        }
    });
    let total: usize = bytes.iter().map(Vec::len).sum();
    println!("states: {}, {} bytes each when stored", states.len(), total / states.len().max(1));
    say("states to bytes", encoded, states.len(), "states", None);
    say("bytes to states", decoded, states.len(), "states", None);
}

/// A log of the same events in a folder, then a start from it.
fn rebuild() {
    let of = asked("EVENTS", 1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("weir.toml");
    let config = |text: &str| {
        std::fs::write(&file, text).expect("a disk");
        Config::load_with(&file, []).expect("a configuration")
    };
    let without = config("[live.snapshots]\nevery = \"never\"\n");
    let ingest = Ingest::open(&without).expect("an empty log");
    for from in (0..of).step_by(1000) {
        let events: Vec<Event> = (from..of.min(from + 1000)).map(|n| event(n, of)).collect();
        let receipt = loop {
            match block_on(ingest.submit_events(events.clone(), NOW)) {
                Ok(receipt) => break receipt,
                Err(Error::Busy { .. }) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(receipt.rejected.len(), 0);
    }
    ingest.close().expect("a disk");
    let mut records = 0;
    let plain = timed(|| {
        let mut entries = Entries::open(&without.events_folder(), Stream::Events, 0).expect("the log");
        while let Some(entry) = entries.next_ref().expect("a record") {
            black_box(format::decode_event(entry.version, entry.kind, entry.payload).expect("an event"));
            records += 1;
        }
    });
    say("reading and decoding the log only", plain, records, "events", None);
    let mut live = None;
    let start = timed(|| live = Some(Ingest::read_only(&without).expect("the log")));
    say("live store from the log", start, records, "events", Some(plain));
    drop(live);
    let mut ingest = None;
    let start = timed(|| ingest = Some(Ingest::open(&config("")).expect("the log")));
    ingest.into_iter().for_each(|ingest: Ingest| ingest.close().expect("a disk"));
    say("a start, repeats known as well", start, records, "events", Some(plain));
    // Each is what has changed since the state before it.
    let changes = [
        ("points", "[levels.reader]\nthresholds = [100]\n[levels.reader.points]\nclick = 5\n"),
        ("what people met", "[live]\nmet = 3000\n"),
        ("together", "[live]\nmet = 3000\n[live.together]\nreach = 4\n"),
        (
            "all",
            "[live]\nmet = 3000\n[live.together]\nreach = 4\n[actions]\nview = 0.2\nclick = 1\nlike = 3\n",
        ),
    ];
    for (name, text) in changes {
        say(&format!("made anew beside: {name}"), made_anew(&config(text)), records, "events", Some(plain));
    }
}

/// What has changed, from the log, while the state that a snapshot had serves.
fn made_anew(config: &Config) -> Took {
    let ingest = Ingest::open(config).expect("the log");
    let rebuilding = ingest.rebuilding().expect("another configuration");
    let took = timed(|| {
        while rebuilding.at().is_some() {
            assert!(!rebuilding.failed(), "it was given up");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    ingest.close().expect("a disk");
    took
}

/// Processor time of this process, in ticks of 10 ms.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn loads() {
    let of = asked("ITEMS", 100_000);
    let load = |k: usize, time: i64, version: &dyn Fn(usize) -> usize| {
        records((k * of) as u64 + 1, (0..of).map(|n| item(n, time, version(n))))
    };
    let ten = |n: usize| usize::from(n.is_multiple_of(10));
    let all = [load(0, NOW, &|_| 0), load(1, NOW + 1, &ten), load(2, NOW - 1, &|_| 2)];
    let plain = timed(|| plain_fields(&all));
    let live = Live::new(Actions::default(), schema());
    let mut times = Vec::new();
    for records in &all {
        times.push(timed(|| live.apply(records).expect("in order")));
    }
    let fields = of * FIELDS;
    say("fields by item and name", plain, 3 * fields, "fields", None);
    let sum = |n: usize| times.iter().map(|took| took[n]).sum();
    say("three full loads", [sum(0), sum(1)], 3 * fields, "fields", Some(plain));
    for (name, time) in ["  the first", "  one item in ten changed", "  too late"].into_iter().zip(times) {
        say(name, time, fields, "fields", None);
    }
}

/// One part of what is kept, in a process of its own: what is freed elsewhere does not blur it.
fn memory(part: &str) {
    let (of, people) = (asked("ITEMS", 1_000_000), asked("PEOPLE", 1_000_000));
    let parts = match part {
        "people" => [Part::Users, Part::Recent, Part::Met, Part::Seen, Part::Counters, Part::Levels]
            .into_iter()
            .collect(),
        "counters" => [Part::Items, Part::Seen, Part::Counters, Part::Trending].into_iter().collect(),
        "pairs" => [Part::Recent, Part::Together].into_iter().collect(),
        _ => Parts::ALL,
    };
    let live = Live::with(Actions::default(), schema(), Keep { parts, deeds: 0, ..Keep::default() });
    let load = |live: &Live, fields: bool| {
        for from in (0..of).step_by(10_000) {
            let items = (from..from + 10_000).map(|n| match fields {
                true => item(n, NOW, 0),
                false => bare(n),
            });
            live.apply(&records(from as u64 + 1, items)).expect("in order");
        }
    };
    let before = resident();
    load(&live, part == "items");
    let items = resident();
    if part == "items" {
        return println!("{of} items of {FIELDS} attributes: {} bytes an item", (items - before) / of);
    }
    let act = |n: usize| {
        let person = Person::user(id(format!("user-{}", n % people)));
        let item = id(format!("item-{}", draw(n, of)));
        let (action, time) =
            (["view", "click", "like"][n % 3].to_owned(), NOW - (100 - n / people) as i64 * 3_600_000);
        let (request_id, session, context) = (None, None, BTreeMap::new());
        Event::Interaction(Interaction {
            id: None,
            person,
            item,
            action,
            value: 1.0,
            time,
            request_id,
            session,
            context,
        })
    };
    for from in (0..100 * people).step_by(10_000) {
        live.apply(&records((of + from) as u64 + 1, (from..from + 10_000).map(act))).expect("in order");
    }
    let grown = resident() - items;
    println!(
        "{people} people of 100 actions, an hour apart: {part}: {} bytes a person, {} an item",
        grown / people,
        grown / of
    );
}

fn in_its_own(part: &str) {
    let program = std::env::current_exe().expect("a program");
    let ended = std::process::Command::new(program).arg("--bench").env("MEMORY", part).status();
    assert!(ended.is_ok_and(|status| status.success()), "{part}");
}

fn main() {
    match std::env::var("MEMORY") {
        Ok(one) if one == "1" => {
            return ["items", "people", "counters", "pairs"].into_iter().for_each(in_its_own);
        }
        Ok(part) => return memory(&part),
        Err(_) => {}
    }
    let only = std::env::var("ONLY").unwrap_or_default();
    for (name, part) in [("events", events as fn()), ("rebuild", rebuild), ("loads", loads)] {
        if only.is_empty() || only == name {
            part();
        }
    }
}
