//! The bytes of the log, as one file for each version of its records that never changes: each is read to the same events, and the
//! same events are written to the bytes of the newest. A change of format is a new version with a new file beside these.

use std::path::{Path, PathBuf};

use data_layer::log::{Entries, Stream, Writer, format, record};
use data_layer::types::{Event, Record};

const NOW: i64 = 1_770_000_000_000;

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/events-v{version}.seg"))
}

/// What version 1 could say: one event of each kind, with every form of value.
fn first_events() -> Vec<Event> {
    [
        r#"{"type":"schema","version":1,"items":{"price":"float"},"users":{"city":"string"},"unknown":"store"}"#,
        r#"{"type":"item","id":"i1","kind":"content","time":1770000000000,"source":"catalogue","attributes":
            {"b":true,"f":20.0,"geo":{"lat":31.2,"lon":121.5},"i":-3,"none":null,"s":"书","tags":["a","b"],"v":[1.0,0.1]}}"#,
        r#"{"type":"item","id":"i2","time":1,"deleted":true}"#,
        r#"{"type":"user","person":{"kind":"user","id":"u1"},"time":2,"attributes":{"personalize":false}}"#,
        r#"{"type":"interaction","id":"e1","person":{"kind":"anonymous","id":"a1"},"item":"i1","action":"click","value":1.0,
            "time":3,"request_id":"r","session":"s","context":{"hour":3}}"#,
        r#"{"type":"interaction","person":{"kind":"session","id":"s1"},"item":"i1","action":"rate","value":4.5,"time":4}"#,
        r#"{"type":"retraction","id":"e1","time":5}"#,
        r#"{"type":"impression","id":"v1","person":{"kind":"user","id":"u1"},"scene":"home","request_id":"r",
            "items":[{"id":"i1","position":0,"visible_ms":900},{"id":"i2"}],"time":6}"#,
        r#"{"type":"identify","anonymous":"a1","user":"u1","time":7}"#,
        r#"{"type":"erase","person":{"kind":"user","id":"u1"},"time":8}"#,
    ]
    .iter()
    .map(|json| serde_json::from_str(json).unwrap())
    .collect()
}

/// The same, and what was added since.
fn events() -> Vec<Event> {
    let more = [
        r#"{"type":"retraction","id":"e1","person":{"kind":"session","id":"s1"},"time":9}"#,
        r#"{"type":"edge","from":"u1","to":"u2","relation":"follow","time":10,"source":"app"}"#,
        r#"{"type":"edge","from":"u1","to":"u2","relation":"follow","time":-11,"deleted":true}"#,
        r#"{"type":"load","source":"catalogue","id":"2026-11-20","phase":"begin","time":12}"#,
        r#"{"type":"load","source":"catalogue","id":"2026-11-20","phase":"end","time":13}"#,
        r#"{"type":"item","id":"i2","kind":"ad","time":14,"deleted":false}"#,
    ];
    first_events().into_iter().chain(more.iter().map(|json| serde_json::from_str(json).unwrap())).collect()
}

/// The bytes of a segment with these events.
fn written() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(folder.path(), Stream::Events, "main", 0xc0ffee).unwrap();
    for (event, n) in events().iter().zip(0..) {
        let partition = event.person().map_or(0, |person| person.partition());
        let payload = format::encode_event(event).unwrap();
        writer.append(format::kind_of(event), partition, NOW + n, &payload);
    }
    writer.flush().unwrap();
    std::fs::read(folder.path().join("00000000000000000001.seg")).unwrap()
}

/// The same with gaps in the place of two and of a million records.
fn with_gaps() -> Vec<u8> {
    let mut bytes = written();
    let (first, mut next) = (events().len() as u64 + 1, Vec::new());
    format::encode_gap(&mut next, first, 2, NOW);
    let payload = format::encode_event(&events()[2]).unwrap();
    format::encode_record(&mut next, 1, 0, first + 2, NOW, &payload);
    format::encode_gap(&mut next, first + 3, 1_000_000, NOW + 7);
    bytes.extend(next);
    bytes
}

#[test]
fn the_same_events_are_the_same_bytes() {
    if std::env::var_os("WEIR_WRITE_GOLDEN").is_some() {
        std::fs::write(golden(2), written()).unwrap();
        std::fs::write(golden(3), with_gaps()).unwrap();
    }
    assert_eq!(written(), std::fs::read(golden(2)).unwrap());
    assert_eq!(with_gaps(), std::fs::read(golden(3)).unwrap());
}

#[test]
fn gaps_are_read_as_what_they_stand_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden(3), folder.path().join("00000000000000000001.seg")).unwrap();
    let mut entries = Entries::open(folder.path(), Stream::Events, 0).unwrap();
    let read: Vec<(u64, u64, u8)> = entries
        .by_ref()
        .skip(events().len())
        .map(|entry| entry.map(|entry| (entry.sequence, entry.span, entry.kind)).unwrap())
        .collect();
    let first = events().len() as u64 + 1;
    let last = first + 1_000_002;
    assert_eq!(read, [(first + 1, 2, format::VOID), (first + 2, 1, 1), (last, 1_000_000, format::VOID)]);
    assert_eq!(entries.last_sequence(), last);
    // Appending goes on behind them.
    let mut writer = Writer::open(folder.path(), Stream::Events, "main", 0).unwrap();
    assert_eq!(writer.append(1, 0, NOW, b""), last + 1);
}

#[test]
fn the_bytes_of_every_version_are_read() {
    for (version, expected) in [(1, first_events()), (2, events())] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(golden(version), folder.path().join("00000000000000000001.seg")).unwrap();
        let mut entries = Entries::open(folder.path(), Stream::Events, 0).unwrap();
        let read: Vec<Record> = entries
            .by_ref()
            .map(|entry| {
                let entry = entry.unwrap();
                assert_eq!(u32::from(entry.version), version);
                record(entry.as_ref(), folder.path()).unwrap()
            })
            .collect();
        assert_eq!(read.iter().map(|r| r.event.clone()).collect::<Vec<_>>(), expected);
        for (record, n) in read.iter().zip(0u16..) {
            assert_eq!((record.sequence, record.received_ms), (u64::from(n) + 1, NOW + i64::from(n)));
            assert_eq!(record.partition, record.event.person().map_or(0, |person| person.partition()));
        }
        assert_eq!(entries.producer(), Some(0xc0ffee));
    }
}
