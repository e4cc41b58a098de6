//! What a start from a snapshot costs: writing the whole live side down while events go on being applied and items read, how long groups of events
//! and reads take meanwhile and without, and reading it back on all cores. The claims: ready in less than 30 s with 10,000,000 items; nobody waits
//! more than about a millisecond for a snapshot.
//!
//! Data: `ITEMS` items (default 1,000,000) of `FIELDS` attributes (default 20: numbers, texts, a tag list), one in five with counters, and
//! `PEOPLE` people (default 100,000) of 20 actions with ids. The limit beside it, in the same run: reading the bytes of the file, and
//! applying the same item events again (what a replay does besides decoding).

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use data_layer::Actions;
use data_layer::config::Keep;
use data_layer::live::snapshot::{Limits, Maker, load, verify, write};
use data_layer::live::{Items, Live};
use data_layer::types::event::{Interaction, ItemEvent};
use data_layer::types::{Event, Id, Person, Record, Schema, Value, ValueType};

const NOW: i64 = 20_000 * 86_400_000;

fn asked(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn id(text: String) -> Id {
    Id::new(&text).expect("an id")
}

fn item(n: usize, fields: usize) -> Event {
    let value = |field: usize| match field % 4 {
        0 => Value::Float((n * 7 + field) as f64 / 100.0),
        1 => Value::Int((n % 1000) as i64),
        2 => Value::String(format!("word-{}", (n + field) % 5000).into()),
        _ => Value::Strings(vec![format!("tag-{}", n % 300).into(), format!("tag-{}", n % 7).into()]),
    };
    let attributes = (0..fields).map(|field| (format!("field{field:02}"), Some(value(field)))).collect();
    let id = id(format!("item-{n:08}"));
    Event::Item(ItemEvent {
        id,
        kind: None,
        deleted: None,
        time: NOW,
        source: Some("shop".into()),
        attributes,
    })
}

fn act(n: usize, items: usize, people: usize) -> Event {
    Event::Interaction(Interaction {
        id: Some(id(format!("event-{n}"))),
        person: Person::user(id(format!("user-{:07}", n % people.max(1)))),
        item: id(format!("item-{:08}", n.wrapping_mul(7919) % items)),
        action: ["view", "click", "like"][n % 3].to_owned(),
        value: 1.0,
        time: NOW + n as i64,
        request_id: None,
        session: None,
        context: Default::default(),
    })
}

fn apply(live: &Live, from: &mut u64, events: impl Iterator<Item = Event>) {
    let mut chunk = Vec::with_capacity(1024);
    for event in events {
        *from += 1;
        let partition = event.person().map_or(0, |person| person.partition());
        chunk.push(Record { sequence: *from, received_ms: NOW, partition, past: false, event });
        if chunk.len() == 1024 {
            live.apply(&chunk).expect("applied");
            chunk.clear();
        }
    }
    live.apply(&chunk).expect("applied");
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let made = work();
    (start.elapsed(), made)
}

/// What one thread that applies a group of 100 events on random items every 5 ms waited for each, and one that reads as a request does, every 0.3 ms,
/// while something else is done.
fn beside<T>(
    live: &Live,
    last: &mut u64,
    (items, people): (usize, usize),
    work: impl FnOnce() -> T,
) -> ([Vec<Duration>; 2], T) {
    let done = AtomicBool::new(false);
    let ended = || done.load(Ordering::Acquire);
    std::thread::scope(|scope| {
        let groups = scope.spawn(|| {
            let mut took = Vec::new();
            while !ended() {
                let first = *last as usize * 31;
                let group: Vec<Event> = (first..first + 100).map(|n| act(n, items, people)).collect();
                took.push(timed(|| apply(live, last, group.into_iter())).0);
                std::thread::sleep(Duration::from_millis(5));
            }
            took
        });
        let reads = scope.spawn(|| {
            let (mut took, mut n) = (Vec::new(), 0usize);
            while !ended() {
                n = n.wrapping_add(7919);
                let who = Person::user(id(format!("user-{:07}", n % people.max(1))));
                let read = || {
                    black_box(live.person(&who));
                    let items = live.items();
                    (n..n + 20).for_each(|n| _ = black_box(items.row((n % items.len()) as u32)));
                };
                took.push(timed(read).0);
                std::thread::sleep(Duration::from_micros(300));
            }
            took
        });
        let made = work();
        done.store(true, Ordering::Release);
        ([groups.join().expect("applied"), reads.join().expect("read")], made)
    })
}

/// Middle, far and longest of what was measured.
fn spread(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).or(took.last());
    let ms = |share| at(share).map_or(0.0, |took| took.as_secs_f64() * 1e3);
    format!(
        "{:.3} ms, p99 {:.3}, p99.9 {:.3}, longest {:.3} (of {})",
        ms(0.5),
        ms(0.99),
        ms(0.999),
        ms(1.0),
        took.len()
    )
}

fn main() {
    // `cargo test --benches` only makes sure that it runs.
    let small = std::env::args().any(|arg| arg == "--test");
    let (items, people) = match small {
        true => (2_000, 100),
        false => (asked("ITEMS", 1_000_000), asked("PEOPLE", 100_000)),
    };
    let fields = asked("FIELDS", 20);
    let mut schema = Schema::reserved();
    for field in 0..fields {
        let of = [ValueType::Float, ValueType::Int, ValueType::String, ValueType::Strings][field % 4];
        schema.items.insert(format!("field{field:02}"), of);
    }
    let live = Live::with(Actions::default(), schema, Keep::default());
    let mut last = 0;
    let (merging, ()) = timed(|| apply(&live, &mut last, (0..items).map(|n| item(n, fields))));
    apply(&live, &mut last, (0..people * 20).map(|n| act(n, items, people)));
    println!("{items} items of {fields} attributes, {people} people of 20 actions, {} deeds", people * 20);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("start.snapshot");
    let maker = Maker::default();
    let size = (items, people);
    let quiet_for = Duration::from_secs(if small { 0 } else { asked("QUIET", 4) as u64 });
    let (quiet, ()) = beside(&live, &mut last, size, || std::thread::sleep(quiet_for));
    let (taking, written) = beside(&live, &mut last, size, || {
        let mut to = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a file"));
        write(&live, &maker, || Ok(Vec::new()), &mut to, &path, Limits::default()).expect("written")
    });
    println!(
        "written in {:.1} s, {:.0} MB, {:.0} bytes an item; applying was held up for {:.2} ms at once at the longest",
        written.took.as_secs_f64(),
        written.bytes as f64 / 1e6,
        written.bytes as f64 / items as f64,
        written.longest_pause.as_secs_f64() * 1e3,
    );
    for (name, [mut groups, mut reads]) in [("without a snapshot", quiet), ("while it is written", taking)] {
        println!(
            "{name}: groups of 100 events took {}; reads of 20 items and a person took {}",
            spread(&mut groups),
            spread(&mut reads)
        );
    }
    drop(live);
    let (raw, _) = timed(|| black_box(std::fs::read(&path).expect("read").len()));
    let (sums, _) = timed(|| black_box(verify(&path).expect("sound")));
    let (loading, loaded) = timed(|| load(&path, &Actions::default(), &Keep::default()).expect("loaded"));
    assert_eq!(loaded.live.items().len(), items);
    println!(
        "loaded in {:.1} s: {:.2} M items/s, {:.1} times what reading its bytes takes, {:.1} times unpacking them on one core; merging the items again took {:.1} times as long",
        loading.as_secs_f64(),
        items as f64 / 1e6 / loading.as_secs_f64(),
        loading.as_secs_f64() / raw.as_secs_f64(),
        loading.as_secs_f64() / sums.as_secs_f64(),
        merging.as_secs_f64() / loading.as_secs_f64(),
    );
}
