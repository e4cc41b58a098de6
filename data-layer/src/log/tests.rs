//! What the log promises: what was written is read back, a torn tail is cut, damage elsewhere is named, one writer at a time.

mod reading;

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::entries::segments;
use super::format::{NEWEST_VERSION, RECORD_HEADER, SEGMENT_HEADER, encode_record};
use super::*;
use crate::types::{Event, Id, ItemEvent, Position, Value};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_value_is_read_back_as_it_was(value in prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        prop::num::f64::NORMAL.prop_map(Value::Float),
        (-1000i32..1000).prop_map(|n| Value::Float(f64::from(n))),
        ".{0,20}".prop_map(|s| Value::String(s.into())),
        prop::collection::vec(".{0,5}".prop_map(Into::into), 0..4).prop_map(Value::Strings),
        prop::collection::vec(prop::num::f32::NORMAL, 1..5).prop_map(Value::Vector),
        (-90.0..90.0, -180.0..180.0).prop_map(|(lat, lon)| Value::Geo { lat, lon }),
    ], time in any::<i64>()) {
        let event = Event::Item(ItemEvent {
            id: Id::new("i").unwrap(),
            kind: None,
            time,
            source: None,
            attributes: [("x".to_owned(), Some(value)), ("gone".to_owned(), None)].into(),
            deleted: None,
        });
        let payload = format::encode_event(&event).unwrap();
        prop_assert_eq!(&format::decode_event(2, format::kind_of(&event), &payload).unwrap(), &event);
        // As version 1 wrote it.
        let json = serde_json::to_vec(&event).unwrap();
        prop_assert_eq!(format::decode_event(1, format::kind_of(&event), &json).unwrap(), event);
    }
}

struct Folder {
    temp: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    fn events(&self) -> PathBuf {
        self.temp.path().join("main/events")
    }

    fn writer(&self) -> Writer {
        self.try_writer().unwrap()
    }

    fn try_writer(&self) -> Result<Writer> {
        Writer::open(&self.events(), Stream::Events, "main", 42)
    }

    fn append(&self, payloads: &[&str]) {
        let mut writer = self.writer();
        for payload in payloads {
            writer.append(1, 0, 5, payload.as_bytes());
        }
        writer.flush().unwrap();
        writer.sync().unwrap();
    }

    fn read(&self) -> Result<Vec<String>> {
        let entries = Entries::open(&self.events(), Stream::Events, 0)?;
        entries.map(|e| e.map(|e| String::from_utf8(e.payload).unwrap())).collect()
    }

    fn newest(&self) -> PathBuf {
        segments(&self.events()).unwrap().pop().unwrap().1
    }
}

/// Start of the n-th record, from 0, of a segment with these payloads.
fn start_of(n: usize, payloads: &[&str]) -> u64 {
    (SEGMENT_HEADER + payloads[..n].iter().map(|p| RECORD_HEADER + p.len()).sum::<usize>()) as u64
}

#[test]
fn what_is_written_is_read_back_over_many_segments() {
    let folder = Folder::new();
    for first in (0..50).step_by(5) {
        let mut writer = folder.writer().with_segment_bytes(400);
        for n in first..first + 5 {
            assert_eq!(writer.append(3, n as u16, 1000 + n, format!("payload {n}").as_bytes()), n as u64 + 1);
            writer.flush().unwrap();
        }
        assert_eq!(writer.producer(), 42);
    }
    assert!(segments(&folder.events()).unwrap().len() > 3);
    let all: Vec<Entry> =
        Entries::open(&folder.events(), Stream::Events, 0).unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), 50);
    for (entry, n) in all.iter().zip(0u64..) {
        assert_eq!((entry.kind, u64::from(entry.partition), entry.sequence), (3, n, n + 1));
        assert_eq!(
            (entry.received_ms, &*entry.payload),
            (1000 + n as i64, format!("payload {n}").as_bytes())
        );
    }
    for from in 0..52u64 {
        let entries = Entries::open(&folder.events(), Stream::Events, from).unwrap();
        let wanted: Vec<u64> = entries.map(|e| e.unwrap().sequence).filter(|s| *s >= from).collect();
        assert_eq!(wanted, (from.max(1)..51).collect::<Vec<_>>(), "from {from}");
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_log_goes_on() {
    let payloads = ["one", "two is longer", "three"];
    let (from, to) = (start_of(2, &payloads), start_of(3, &payloads));
    for len in from..to {
        let folder = Folder::new();
        folder.append(&payloads);
        OpenOptions::new().write(true).open(folder.newest()).unwrap().set_len(len).unwrap();
        assert_eq!(folder.read().unwrap(), payloads[..2], "read beside, torn at {len}");
        folder.append(&["four"]);
        assert_eq!(folder.read().unwrap(), ["one", "two is longer", "four"], "torn at {len}");
    }
}

#[test]
fn a_header_torn_at_any_byte_is_replaced() {
    for len in 0..SEGMENT_HEADER as u64 {
        let folder = Folder::new();
        let mut writer = folder.writer().with_segment_bytes(1);
        for payload in [b"one", b"two"] {
            writer.append(1, 0, 5, payload);
            writer.flush().unwrap();
        }
        OpenOptions::new().write(true).open(folder.newest()).unwrap().set_len(len).unwrap();
        assert_eq!(folder.read().unwrap(), ["one"]);
        folder.append(&["three"]);
        assert_eq!(folder.read().unwrap(), ["one", "three"]);
        assert_eq!(folder.writer().producer(), 42);
    }
}

/// Power fails while a group of three records is on its way to the disk: the mark stands before it, and any byte may be missing.
#[test]
fn a_group_torn_in_the_middle_is_cut_whole_and_kept_beside() {
    let payloads = ["one", "two is longer", "three", "four"];
    for at in start_of(1, &payloads)..start_of(3, &payloads) {
        let folder = Folder::new();
        let mut writer = folder.writer();
        writer.append(1, 0, 5, payloads[0].as_bytes());
        writer.flush().and_then(|()| writer.sync()).unwrap();
        for payload in &payloads[1..] {
            writer.append(1, 0, 5, payload.as_bytes());
        }
        writer.flush().unwrap();
        drop(writer);
        flip(&folder.newest(), at);
        let torn = if at < start_of(2, &payloads) { 1 } else { 2 };
        assert_eq!(folder.read().unwrap(), payloads[..torn], "read beside, torn at {at}");
        folder.append(&["five"]);
        let expected: Vec<&str> = payloads[..torn].iter().copied().chain(["five"]).collect();
        assert_eq!(folder.read().unwrap(), expected, "torn at {at}");
        let kept = folder.newest().with_extension(format!("{}.torn", start_of(torn, &payloads)));
        assert_eq!(fs::metadata(kept).unwrap().len(), start_of(4, &payloads) - start_of(torn, &payloads));
    }
}

/// A mark that is missing, damaged or of another log vouches for nothing, and the log refuses rather than cuts.
#[test]
fn without_its_mark_a_log_refuses_what_it_can_not_tell_from_damage() {
    let payloads = ["one", "two", "three"];
    for mark in [None, Some(vec![0; 32]), Some(vec![7; 5])] {
        let folder = Folder::new();
        let mut writer = folder.writer();
        for payload in payloads {
            writer.append(1, 0, 5, payload.as_bytes());
        }
        writer.flush().unwrap();
        drop(writer);
        flip(&folder.newest(), start_of(1, &payloads) + 20);
        let path = folder.events().join("SYNCED");
        match mark {
            None => fs::remove_file(path).unwrap(),
            Some(bytes) => fs::write(path, bytes).unwrap(),
        }
        assert!(matches!(folder.try_writer().unwrap_err(), Error::Corrupt { .. }));
    }
}

#[test]
fn a_segment_of_zeros_that_never_held_a_record_is_replaced() {
    let folder = Folder::new();
    let mut writer = folder.writer().with_segment_bytes(1);
    for payload in [b"one", b"two"] {
        writer.append(1, 0, 5, payload);
        writer.flush().unwrap();
    }
    drop(writer);
    fs::write(folder.newest(), [0; SEGMENT_HEADER]).unwrap();
    assert_eq!(folder.read().unwrap(), ["one"]);
    folder.append(&["three"]);
    assert_eq!(folder.read().unwrap(), ["one", "three"]);
}

#[test]
fn damage_before_the_tail_is_named_with_file_and_offset() {
    let payloads = ["one", "two is longer", "three"];
    // The last one too: it was synced, so somebody was told of it.
    for (from, to) in [1, 2].map(|n| (start_of(n, &payloads), start_of(n + 1, &payloads))) {
        for at in from..to {
            let folder = Folder::new();
            folder.append(&payloads);
            flip(&folder.newest(), at);
            for error in [folder.read().map(drop).unwrap_err(), folder.try_writer().map(drop).unwrap_err()] {
                let Error::Corrupt { path, offset, .. } = &error else { panic!("{error}") };
                assert_eq!((path, *offset), (&folder.newest(), from), "flipped {at}");
            }
        }
    }
    for at in 0..SEGMENT_HEADER as u64 {
        let folder = Folder::new();
        folder.append(&payloads);
        flip(&folder.newest(), at);
        let error = folder.read().unwrap_err();
        assert!(matches!(error, Error::Corrupt { offset: 0, .. } | Error::Newer { .. }), "{at}: {error}");
    }
}

#[test]
fn a_missing_segment_and_another_logs_segment_are_refused() {
    let folder = Folder::new();
    let mut writer = folder.writer().with_segment_bytes(1);
    for n in 0..3 {
        writer.append(1, 0, n, b"x");
        writer.flush().unwrap();
    }
    let all = segments(&folder.events()).unwrap();
    fs::remove_file(&all[1].1).unwrap();
    assert!(folder.read().unwrap_err().to_string().contains("a segment is missing"));
}

#[test]
fn newer_records_and_segments_are_refused() {
    let folder = Folder::new();
    folder.append(&["one"]);
    let mut record = Vec::new();
    encode_record(&mut record, 1, 0, 2, 5, b"two");
    record[12] = NEWEST_VERSION + 1;
    let sum = xxhash_rust::xxh3::xxh3_64(&record[12..]);
    record[4..12].copy_from_slice(&sum.to_le_bytes());
    OpenOptions::new().append(true).open(folder.newest()).unwrap().write_all(&record).unwrap();
    assert!(matches!(folder.read().unwrap_err(), Error::Newer { found: 4, .. }));
    assert!(matches!(folder.try_writer().unwrap_err(), Error::Newer { found: 4, .. }));
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let temp = tempfile::tempdir().unwrap();
    let first = Lock::take(temp.path()).unwrap();
    let second = Lock::take(temp.path()).unwrap_err();
    assert!(matches!(&second, Error::Locked { path } if path == temp.path()), "{second}");
    drop(first);
    Lock::take(temp.path()).unwrap();
}

#[test]
fn discarded_records_leave_no_gap() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    writer.append(1, 0, 5, b"one");
    writer.flush().unwrap();
    writer.append(1, 0, 5, b"lost");
    writer.discard();
    assert_eq!(writer.append(1, 0, 5, b"two"), 2);
    writer.flush().unwrap();
    assert_eq!(folder.read().unwrap(), ["one", "two"]);
}

/// What was written before, and is not synced yet, stays: nobody may be told that it is lost, and sequences follow each other.
#[test]
fn a_write_that_fails_takes_nothing_else_with_it() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    for payload in ["one", "two"] {
        writer.append(1, 0, 5, payload.as_bytes());
        writer.flush().unwrap();
        let broken = failing::Failing::altogether(&folder.events());
        writer.append(1, 0, 5, b"lost");
        assert!(writer.flush().is_err());
        drop(broken);
    }
    writer.append(1, 0, 5, b"three");
    writer.flush().and_then(|()| writer.sync()).unwrap();
    assert_eq!((writer.last(), writer.synced()), (3, 3));
    assert_eq!(folder.read().unwrap(), ["one", "two", "three"]);
    folder.append(&["four"]);
    assert_eq!(folder.read().unwrap().len(), 4);
}

#[test]
fn an_absent_log_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let error = Reader::events(temp.path(), "main").map(drop).unwrap_err().to_string();
    assert!(error.contains("main; expected the folder that [log].dir names"), "{error}");
}

fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 0x41;
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&bytes).unwrap();
}
