//! Reading a log: as it grows, on many threads, and past what is erased.

use super::*;

fn texts(cursor: &mut Cursor) -> Vec<String> {
    std::iter::from_fn(|| cursor.read().unwrap()).map(|e| String::from_utf8(e.payload).unwrap()).collect()
}

/// The same from within the writer's process and from outside: only what is on the disk, each record once, over all segments.
#[test]
fn a_cursor_hands_out_what_is_synced_once_and_goes_on_from_its_place() {
    let folder = Folder::new();
    let events = folder.events();
    let mut outside = Cursor::new(&events, Stream::Events, 0, None);
    assert_eq!(texts(&mut outside), [""; 0]);
    let mut writer = folder.writer().with_segment_bytes(300);
    let mut inside = Cursor::new(&events, Stream::Events, 0, Some(writer.growth()));
    let mut all = Vec::new();
    for n in 0..40 {
        let text = format!("payload {n}");
        writer.append(3, 0, 5, text.as_bytes());
        writer.flush().unwrap();
        assert_eq!((inside.read().unwrap(), outside.read().unwrap()), (None, None), "not synced: {n}");
        all.push(text);
        if n % 3 == 2 {
            writer.sync().unwrap();
            let newest = &all[n - 2..];
            assert_eq!((&*texts(&mut inside), &*texts(&mut outside)), (newest, newest));
            assert_eq!(inside.position(), Position { producer: 42, sequence: n as u64 + 1 });
        }
    }
    writer.sync().unwrap();
    assert!(segments(&events).unwrap().len() > 3);
    for after in 0..=40u64 {
        for growth in [None, Some(writer.growth())] {
            let mut cursor = Cursor::new(&events, Stream::Events, after, growth);
            assert_eq!(texts(&mut cursor), all[after as usize..], "after {after}");
        }
    }
    // The log goes on in another process, which cuts a torn tail that the cursor never saw.
    drop(writer);
    OpenOptions::new().append(true).open(folder.newest()).unwrap().write_all(&[1; 40]).unwrap();
    assert_eq!(texts(&mut outside), ["payload 39"]);
    assert_eq!(outside.read().unwrap(), None);
    folder.append(&["more"]);
    assert_eq!(texts(&mut outside), ["more"]);
}

#[test]
fn a_cursor_is_woken_and_names_what_is_gone() {
    let folder = Folder::new();
    let mut writer = folder.writer().with_segment_bytes(1);
    let mut inside = Cursor::new(&folder.events(), Stream::Events, 0, Some(writer.growth()));
    let mut outside = Cursor::new(&folder.events(), Stream::Events, 0, None);
    assert_eq!((inside.read().unwrap(), outside.read().unwrap()), (None, None));
    assert!(!inside.wait(std::time::Duration::from_millis(1)) && !outside.wait(std::time::Duration::ZERO));
    std::thread::scope(|scope| {
        for cursor in [&mut inside, &mut outside] {
            scope.spawn(|| {
                while texts(cursor).is_empty() {
                    assert!(cursor.wait(std::time::Duration::from_secs(60)));
                }
            });
        }
        writer.append(1, 0, 5, b"one");
        writer.flush().and_then(|()| writer.sync()).unwrap();
    });
    writer.append(1, 0, 5, b"two");
    writer.flush().and_then(|()| writer.sync()).unwrap();
    fs::remove_file(&segments(&folder.events()).unwrap()[0].1).unwrap();
    let error = Cursor::new(&folder.events(), Stream::Events, 0, None).read().unwrap_err().to_string();
    assert!(error.contains("begins with 2"), "{error}");
}

#[test]
fn a_replay_on_many_threads_is_the_log_in_order() {
    let folder = Folder::new();
    let mut writer = folder.writer().with_segment_bytes(20_000);
    for n in 0..5_000i64 {
        writer.append(3, 0, n, &n.to_le_bytes());
        if n % 7 == 0 {
            writer.flush().unwrap();
        }
    }
    writer.flush().and_then(|()| writer.sync()).unwrap();
    let list = segments(&folder.events()).unwrap();
    assert!(list.len() > 9);
    let read = |from| {
        let mut all = Vec::new();
        let decode =
            |e: EntryRef<'_>| Ok((!e.sequence.is_multiple_of(5)).then_some((e.sequence, e.received_ms)));
        let end = replay::replay(&folder.events(), Stream::Events, from, decode, |chunk| {
            all.extend(chunk);
            Ok(())
        });
        (end, all)
    };
    for from in [0, 1, 2_345, 5_000, 9_999] {
        let (end, all) = read(from);
        assert_eq!(end.unwrap(), (5_000, Some(42)));
        let first = all.first().map_or(from, |(sequence, _)| *sequence);
        assert!(first <= from.max(1));
        let wanted = (first..=5_000).filter(|n| n % 5 != 0).map(|n| (n, n as i64 - 1)).collect::<Vec<_>>();
        assert_eq!(all, if all.is_empty() { Vec::new() } else { wanted }, "from {from}");
    }
    // Damage in the middle: what is before it was taken, nothing behind it is.
    flip(&list[4].1, 70);
    let (end, all) = read(0);
    assert!(matches!(end.unwrap_err(), Error::Corrupt { path, offset: 64, .. } if path == list[4].1));
    assert!((list[4].0 - 2..list[4].0).contains(&all.last().unwrap().0));
    fs::remove_file(&list[0].1).unwrap();
    assert!(read(0).0.unwrap_err().to_string().contains(&format!("begins with {}", list[1].0)));
    assert!(read(list[1].0).1[0].0 >= list[1].0);
    fs::remove_file(&list[2].1).unwrap();
    assert!(read(list[1].0).0.unwrap_err().to_string().contains("a segment is missing"));
}

/// So that each day's events can be archived soon after it ended, however few they are.
#[test]
fn another_day_starts_another_segment() {
    let folder = Folder::new();
    let append = |day: i64, payload: &[u8]| {
        let mut writer = folder.writer();
        for hour in [1, 2] {
            writer.append(1, 0, (day * 24 + hour) * 3_600_000, payload);
            writer.flush().unwrap();
        }
    };
    // The second day is the first one's again: a clock that steps back seals nothing.
    for day in [5, 5, 4, 6, 6, 9] {
        append(day, b"x");
    }
    let firsts: Vec<u64> = segments(&folder.events()).unwrap().into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [1, 7, 11]);
    assert_eq!(folder.read().unwrap().len(), 12);
}

#[test]
fn an_erased_record_is_passed_over_and_keeps_its_place() {
    let folder = Folder::new();
    let mut writer = folder.writer();
    let load = |n: i64| {
        let json = format!(r#"{{"type":"load","source":"s","id":"{n}","phase":"end","time":{n}}}"#);
        serde_json::from_str::<Event>(&json).unwrap()
    };
    for n in 1..=4 {
        let payload = format::encode_event(&load(n)).unwrap();
        match n {
            2 | 4 => writer.append(format::VOID, 7, n, b""),
            _ => writer.append(10, 0, n, &payload),
        };
    }
    writer.flush().and_then(|()| writer.sync()).unwrap();
    let left = [(1, load(1)), (3, load(3))];
    let read = Reader::events(folder.temp.path(), "main").unwrap().map(Result::unwrap);
    assert_eq!(read.map(|r| (r.sequence, r.event)).collect::<Vec<_>>(), left);
    let mut cursor = Reader::follow(folder.temp.path(), "main", 0).unwrap();
    let followed = std::iter::from_fn(|| cursor.read_record().unwrap());
    assert_eq!(followed.map(|r| (r.sequence, r.event)).collect::<Vec<_>>(), left);
    assert_eq!(cursor.position().sequence, 4);
}
