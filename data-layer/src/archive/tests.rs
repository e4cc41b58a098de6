//! What the archive promises: it is the log, record for record; cut off anywhere it becomes the same; what retention removes is in it,
//! and needed by nobody.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::sealer::{Known, Work, pass};
use super::*;
use crate::log::{Holds, Reader, Writer, codec, entries::segments, format};
use crate::publish::remote::{Address, Options};
use crate::types::time::{DAY, HOUR};
use crate::types::{Decision, DecisionItem, Event, Id, Interaction, Millis, Person, Record, Value};

const NOW: Millis = 20_000 * DAY;

struct World {
    folder: tempfile::TempDir,
}

fn event(n: u64) -> Event {
    Event::Interaction(Interaction {
        id: n.is_multiple_of(3).then(|| Id::new(&format!("e{n}")).unwrap()),
        person: Person::user(Id::new(&format!("u{}", n % 7)).unwrap()),
        item: Id::new("i").unwrap(),
        action: "click".to_owned(),
        value: n as f64 / 3.0,
        time: NOW,
        request_id: None,
        session: None,
        context: [("x".to_owned(), Value::Vector(vec![0.1, n as f32]))].into(),
    })
}

fn decision(n: u64) -> Decision {
    let item = DecisionItem {
        id: Id::new("i").unwrap(),
        position: 1,
        score: 0.1,
        sources: Vec::new(),
        propensity: Some(0.3),
        features: vec![0.7],
    };
    Decision {
        request_id: format!("r{n}"),
        time: NOW + n as Millis,
        seed: u64::MAX - n,
        user: n.is_multiple_of(2).then(|| Id::new("u").unwrap()),
        query: serde_json::json!({"user": "u", "n": n}),
        buckets: [("layer".to_owned(), "b".to_owned())].into(),
        items: vec![item],
        ..Decision::default()
    }
}

impl World {
    /// A log of 60 events over three days and 20 decisions, in segments of a few records.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log/main");
        let open = |stream: Stream| {
            Writer::open(&log.join(stream.folder()), stream, "main", 0xc0ffee)
                .unwrap()
                .with_segment_bytes(700)
        };
        let mut events = open(Stream::Events);
        for n in 0..60u64 {
            let mut payload = Vec::new();
            codec::encode(&event(n), &mut payload).unwrap();
            events.append(3, event(n).person().unwrap().partition(), NOW + n as Millis * HOUR, &payload);
            events.flush().and_then(|()| events.sync()).unwrap();
        }
        let mut decisions = open(Stream::Decisions);
        for n in 0..20 {
            decisions.append(format::DECISION, 0, NOW, &format::encode_decision(&decision(n)).unwrap());
            decisions.flush().unwrap();
        }
        Self { folder }
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    fn archive(&self) -> std::path::PathBuf {
        self.folder.path().join("archive")
    }

    fn work(&self, retention: Option<Millis>, holds: &[u64]) -> Work {
        #[derive(Debug)]
        struct Held(u64);
        impl Holds for Held {
            fn name(&self) -> &'static str {
                "a test"
            }
            fn needs_from(&self) -> u64 {
                self.0
            }
        }
        let holds: Vec<Arc<dyn Holds>> = holds.iter().map(|n| Arc::new(Held(*n)) as Arc<dyn Holds>).collect();
        Work {
            folder: self.log().join("main"),
            producer: 0xc0ffee,
            store: Store::open(&Address::Folder(self.archive()), &Options::default(), "main").unwrap(),
            retention,
            holds: Arc::new(Mutex::new(holds)),
            bell: Arc::default(),
            erasures: Arc::new(crate::erase::Erasures::open(&self.log().join("main"), 0xc0ffee).unwrap()),
            archiving: Arc::default(),
        }
    }

    fn sealed(&self, stream: Stream) -> Vec<u64> {
        let mut all = segments(&self.log().join("main").join(stream.folder())).unwrap();
        all.pop();
        all.into_iter().map(|(first, _)| first).collect()
    }
}

fn all(dir: &Path) -> (Vec<Record>, Vec<Decision>) {
    let events = read::events(dir, "main").unwrap().map(Result::unwrap).collect();
    (events, read::decisions(dir, "main").unwrap().map(Result::unwrap).collect())
}

#[test]
fn the_archive_is_the_log_up_to_its_newest_segment() {
    let world = World::new();
    let standing = Standing::default();
    pass(&world.work(None, &[]), &mut Known::new(), &standing, NOW).unwrap();
    let (events, decisions) = all(&world.log());
    let (archived, judged) = all(&world.archive());
    assert!(archived.len() > 50 && judged.len() > 15, "{} {}", archived.len(), judged.len());
    assert_eq!(archived, events[..archived.len()]);
    assert_eq!(judged, decisions[..judged.len()]);
    // A file for each day and segment; the manifests are beside the days.
    let days: Vec<String> = std::fs::read_dir(world.archive().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(days.iter().filter(|name| name.starts_with("date=2024-10-0")).count(), 3, "{days:?}");
    // Looking again finds nothing to do.
    let before = standing.segments.load(Ordering::Relaxed);
    pass(&world.work(None, &[]), &mut Known::new(), &standing, NOW).unwrap();
    assert_eq!(standing.segments.load(Ordering::Relaxed), before);
    assert_eq!(world.sealed(Stream::Events)[0], 1, "nothing is removed without retention");
}

/// A process that dies between the files of a segment leaves no manifest: all of it is written again, to the same bytes.
#[test]
fn a_segment_without_its_manifest_is_written_again() {
    let world = World::new();
    pass(&world.work(None, &[]), &mut Known::new(), &Standing::default(), NOW).unwrap();
    let (whole, _) = all(&world.archive());
    let name =
        world.archive().join(Manifest::name(Stream::Events, 0xc0ffee, world.sealed(Stream::Events)[2]));
    let manifest = std::fs::read(&name).unwrap();
    std::fs::remove_file(&name).unwrap();
    assert!(
        read::events(&world.archive(), "main")
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("expected a segment from")
    );
    pass(&world.work(None, &[]), &mut Known::new(), &Standing::default(), NOW).unwrap();
    assert_eq!(std::fs::read(&name).unwrap(), manifest);
    assert_eq!(all(&world.archive()).0, whole);
}

#[test]
fn damage_and_newer_manifests_are_named() {
    let world = World::new();
    pass(&world.work(None, &[]), &mut Known::new(), &Standing::default(), NOW).unwrap();
    let name = world.archive().join(Manifest::name(Stream::Events, 0xc0ffee, 1));
    let manifest = Manifest::parse(&std::fs::read(&name).unwrap(), "").unwrap();
    let day = world.archive().join("events").join(&manifest.files[0].name);
    let mut bytes = std::fs::read(&day).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&day, bytes).unwrap();
    let error = read::events(&world.archive(), "main").unwrap().next().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Corrupt { path, .. } if *path == day), "{error}");
    std::fs::write(&name, r#"{"version":3}"#).unwrap();
    let error = read::events(&world.archive(), "main").map(drop).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 3, known: 2, .. }), "{error}");
}

#[test]
fn retention_removes_what_is_archived_old_and_needed_by_nobody() {
    let world = World::new();
    let (whole, _) = all(&world.log());
    let sealed = world.sealed(Stream::Events);
    let now = NOW + 60 * HOUR;
    // Nobody keeps the live state: a start needs all of it.
    pass(&world.work(Some(HOUR), &[]), &mut Known::new(), &Standing::default(), now).unwrap();
    assert_eq!(world.sealed(Stream::Events), sealed);
    // Two need it: the one that is further behind counts.
    pass(&world.work(Some(HOUR), &[30, 50]), &mut Known::new(), &Standing::default(), now).unwrap();
    let kept = world.sealed(Stream::Events);
    assert!(kept[0] <= 30 && kept[0] > 20, "{kept:?}");
    // Younger than retention.
    pass(&world.work(Some(30 * HOUR), &[1000]), &mut Known::new(), &Standing::default(), now).unwrap();
    assert!(world.sealed(Stream::Events)[0] <= 31);
    pass(&world.work(Some(HOUR), &[1000]), &mut Known::new(), &Standing::default(), now).unwrap();
    assert!(world.sealed(Stream::Events).is_empty());
    // What the log has lost the archive has, and where it begins is said.
    let archived = all(&world.archive()).0;
    let rest: Vec<Record> = Reader::events(&world.log(), "main").unwrap().map(Result::unwrap).collect();
    assert_eq!([archived, rest].concat(), whole);
}

/// Half of a log that came by the lane of the past, out of order and of several days.
#[test]
fn the_past_is_archived_by_when_it_happened() {
    let world = World::new();
    let folder = world.log().join("main/events");
    let mut writer = Writer::open(&folder, Stream::Events, "main", 0).unwrap().with_segment_bytes(4000);
    for n in 0..120u64 {
        let Event::Interaction(click) = event(n) else { continue };
        let past = n % 2 == 0;
        let time = if past { NOW - (n * 7919 % 23) as Millis * 6 * HOUR } else { NOW };
        let event = Event::Interaction(Interaction { time, ..click });
        let kind = 3 | if past { format::PAST } else { 0 };
        writer.append(kind, 0, NOW + 61 * HOUR, &format::encode_event(&event).unwrap());
        writer.flush().and_then(|()| writer.sync()).unwrap();
    }
    writer.seal().unwrap();
    pass(&world.work(None, &[]), &mut Known::new(), &Standing::default(), NOW).unwrap();
    // Who reads it as a log gets the log.
    let (events, archived) = (all(&world.log()).0, all(&world.archive()).0);
    assert_eq!((events.len(), events), (180, archived));
    let (mut files, mut rows) = (0, 0);
    for name in world.work(None, &[]).store.below("events").unwrap() {
        let Some(date) = name.strip_suffix(".past.parquet").map(|name| &name["events/date=".len()..][..10])
        else {
            continue;
        };
        let read = rows::events(&world.archive().join(&name)).unwrap().map(Result::unwrap);
        let places: Vec<(Millis, u64)> =
            read.inspect(|record| assert!(record.past)).map(|r| (rows::time_of(&r), r.sequence)).collect();
        assert!(places.is_sorted(), "{places:?}");
        let day = crate::types::time::parse_rfc3339(&format!("{date}T00:00:00Z")).unwrap();
        assert!(places.iter().all(|(time, _)| time.div_euclid(DAY) * DAY == day), "{date} {places:?}");
        (files, rows) = (files + 1, rows + places.len());
    }
    assert!(files > 6 && rows == 60, "{files} {rows}");
}

/// Longer than one part, and whole.
#[test]
fn a_long_file_goes_there_in_parts() {
    let world = World::new();
    let store = world.work(None, &[]).store;
    let path = world.folder.path().join("long");
    let bytes: Vec<u8> = (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for len in [0, 5, 8 << 20, (8 << 20) + 1, bytes.len()] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        store.put_file("some/long", &path).unwrap();
        assert!(store.get("some/long").unwrap().unwrap() == bytes[..len], "{len}");
    }
    assert_eq!(store.below("some").unwrap(), ["some/long"]);
}

#[test]
fn a_store_that_is_stopped_answers_at_once() {
    let store = World::new().work(None, &[]).store;
    assert_eq!(store.get("nothing").unwrap(), None);
    store.stop().send_replace(true);
    assert!(store.get("nothing").unwrap_err().to_string().contains("stopped"));
}
