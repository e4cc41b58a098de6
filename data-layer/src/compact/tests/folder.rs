//! The files: sequences stay, readers go on over gaps, an installation that sends its catalogue every day does not grow, and what holds a run back.

use std::sync::Arc;

use super::*;
use crate::compact::Work;
use crate::compact::worker::{Standing, pass};
use crate::config::Config;
use crate::log::{Entries, Holds};

/// Twenty items, said again each day with a new time; the price of one of them moves.
fn catalogue(days: u64) -> Vec<Event> {
    let day = |day: u64| {
        (0..20).map(move |n: u64| {
            let price = if n == 3 { day } else { n };
            let attributes = BTreeMap::from([
                ("price".to_owned(), Some(Value::Float(price as f64))),
                ("title".to_owned(), Some(Value::String("a title of some length, as titles are".into()))),
                ("created".to_owned(), Some(Value::Int(n as i64))),
            ]);
            let (time, source) = (NOW + (day * DAY as u64) as Millis, Some("catalogue".to_owned()));
            let kind = Some("film".to_owned());
            Event::Item(ItemEvent { id: id(&format!("i{n}")), kind, time, source, attributes, deleted: None })
        })
    };
    let first = [Event::Schema(Schema { version: 1, ..schema() })];
    first.into_iter().chain((0..days).flat_map(day)).collect()
}

fn bytes(dir: &Path) -> u64 {
    let all = segments(&dir.join("main/events")).unwrap();
    all.iter().map(|(_, path)| std::fs::metadata(path).unwrap().len()).sum()
}

fn work(dir: &Path, toml: &str) -> Work {
    let file = dir.join("weir.toml");
    std::fs::write(&file, toml).unwrap();
    let config = Config::load(&file).unwrap();
    let folder = config.log.dir.join("main");
    Work { folder, config, producer: 0xc0ffee, holds: Arc::default(), archiving: Arc::default() }
}

fn ran(work: &Work, now: Millis) -> (u64, u64) {
    let told = Standing::default();
    pass(work, now, &told, &|| false).unwrap();
    use std::sync::atomic::Ordering::Relaxed;
    assert!(told.after.load(Relaxed) <= told.before.load(Relaxed));
    (told.segments.load(Relaxed), told.records.load(Relaxed))
}

#[test]
fn a_catalogue_that_is_sent_each_day_does_not_grow() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    write(&log, &catalogue(40), 4000);
    let (whole, before) = (read(&log), bytes(&log));
    let work = work(dir.path(), "");
    assert_eq!(ran(&work, NOW + 29 * DAY), (0, 0), "younger than 30 days");
    let (_, records) = ran(&work, NOW + 31 * DAY);
    // The first of each item says what it is, the last in sealed segments all there is to say.
    let left = read(&log);
    assert_eq!(left.len() + records as usize, whole.len());
    assert!(left.len() < 1 + 2 * 20 + 30, "{}", left.len());
    assert!(bytes(&log) * 8 < before, "{} of {before}", bytes(&log));
    assert!(left.iter().all(|record| whole[record.sequence as usize - 1] == *record));
    assert_eq!(picture(&replayed(&whole)), picture(&replayed(&left)));
    assert_eq!(ran(&work, NOW + 32 * DAY), (0, 0), "there is nothing more to gain");
    // The log goes on.
    write(&log, &catalogue(1), 4000);
    assert_eq!(read(&log).last().unwrap().sequence, whole.len() as u64 + 21);
}

/// Events that stay for ever are no reason to keep what was said again since: by default after 30 days, or whenever is asked for.
#[test]
fn attributes_leave_a_log_whose_events_stay_for_ever() {
    for (toml, days) in [
        ("[log]\nretention = \"forever\"\n", 30),
        ("[log]\nretention = \"forever\"\ncompact_after = \"3d\"\n", 3),
        ("[log]\nretention = \"7d\"\n", 7),
        ("[log]\nretention = \"7d\"\ncompact_after = \"90d\"\n", 90),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        write(&log, &catalogue(10), 2000);
        let whole = read(&log);
        let work = work(dir.path(), toml);
        assert_eq!(ran(&work, NOW + days * DAY), (0, 0), "{toml}");
        assert!(ran(&work, NOW + days * DAY + 1).1 > 100, "{toml}");
        assert_eq!(picture(&replayed(&whole)), picture(&replayed(&read(&log))), "{toml}");
    }
}

#[test]
fn whoever_reads_goes_on_behind_gaps() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &catalogue(6), 2000);
    let whole = read(dir.path());
    // Readers that stand everywhere, and go on in segments that were written again.
    let mut cursors: Vec<_> = (0..whole.len() as u64)
        .map(|after| {
            let mut cursor = Reader::follow(dir.path(), "main", after).unwrap();
            cursor.read_record().unwrap();
            cursor
        })
        .collect();
    compact(dir.path(), 1000, u64::MAX);
    let left = read(dir.path());
    for (after, cursor) in cursors.iter_mut().enumerate() {
        std::iter::from_fn(|| cursor.read_record().unwrap()).for_each(drop);
        assert_eq!(cursor.position().sequence, whole.len() as u64);
        let mut fresh = Reader::follow(dir.path(), "main", after as u64).unwrap();
        let read: Vec<u64> =
            std::iter::from_fn(|| fresh.read_record().unwrap()).map(|record| record.sequence).collect();
        let expected: Vec<u64> =
            left.iter().map(|record| record.sequence).filter(|sequence| *sequence > after as u64).collect();
        assert_eq!(read, expected, "{after}");
    }
    let spans = Entries::open(&dir.path().join("main/events"), Stream::Events, 0).unwrap();
    let spans: Vec<u64> = spans.map(|entry| entry.unwrap().span).collect();
    assert_eq!(spans.iter().sum::<u64>(), whole.len() as u64);
    assert!(spans.iter().any(|span| *span > 10), "{spans:?}");
}

#[derive(Debug)]
struct Needs(u64);

impl Holds for Needs {
    fn name(&self) -> &'static str {
        "a test"
    }
    fn needs_from(&self) -> u64 {
        self.0
    }
}

#[test]
fn what_is_needed_whole_or_not_archived_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    write(&log, &catalogue(10), 2000);
    let whole = read(&log);
    let now = NOW + 60 * DAY;
    let kept = work(dir.path(), "[log]\narchive = \"old\"\n");
    assert_eq!(ran(&kept, now), (0, 0), "not in the archive");
    let held = work(dir.path(), "");
    held.holds.lock().push(Arc::new(Needs(1)));
    assert_eq!(ran(&held, now), (0, 0), "all of it is needed");
    *held.holds.lock() = vec![Arc::new(Needs(100))];
    assert!(ran(&held, now).1 > 20);
    let left: Vec<u64> = read(&log).iter().map(|record| record.sequence).collect();
    assert!((100..=whole.len() as u64).all(|sequence| left.contains(&sequence)));
    // What a process left that was killed while it wrote is removed; the segment is as it was.
    let draft = log.join("main/events/00000000000000000001.compacting");
    std::fs::write(&draft, "half").unwrap();
    held.holds.lock().clear();
    ran(&held, now);
    assert!(!draft.exists() && read(&log).len() < 80);
    // Without its beginning, nobody knows what was said before.
    let first = segments(&log.join("main/events")).unwrap().remove(0);
    std::fs::remove_file(first.1).unwrap();
    assert_eq!(ran(&held, now), (0, 0));
}

#[test]
fn a_segment_that_is_another_file_by_now_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &catalogue(6), 2000);
    let (_, path) = segments(&dir.path().join("main/events")).unwrap().remove(0);
    let mut all = [Sealed::new((1, path.clone())), Sealed::new((1, path.clone()))];
    let folder = dir.path().join("main/events");
    find(&folder, &mut all[..1], 1, &Priorities::default(), 10, &mut || false).unwrap();
    assert!(all[0].is_same() && !all[1].is_same());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(path.with_extension("new"), bytes).unwrap();
    std::fs::rename(path.with_extension("new"), &path).unwrap();
    assert!(!all[0].is_same());
}

#[test]
fn a_segment_that_can_t_be_written_again_leaves_no_half_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("main/events");
    // Longer than what is read at a time.
    write(dir.path(), &catalogue(400), 1 << 20);
    let mut all: Vec<Sealed> = segments(&folder).unwrap().into_iter().map(Sealed::new).take(1).collect();
    let marks = find(&folder, &mut all, 1, &Priorities::default(), 100, &mut || false).unwrap().unwrap();
    let path = all[0].path.clone();
    let torn = || {
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(300_000).unwrap();
        false
    };
    assert!(rewrite(&folder, 0, &all[0], &marks, &torn).is_err());
    assert_eq!(rewrite(&folder, 0, &all[0], &marks, &|| true).unwrap_or(None), None);
    assert!(!path.with_extension("compacting").exists());
}

/// Whoever holds the archive may do so for long, while the server is to end.
#[test]
fn compaction_that_waits_for_the_archive_can_be_ended() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("log"), &catalogue(10), 2000);
    let work = Arc::new(work(dir.path(), ""));
    let held = Arc::clone(&work);
    let _archiving = held.archiving.lock();
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // More often than while it looks through the log.
        let asked = std::sync::atomic::AtomicU64::new(0);
        let enough = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 100;
        done.send(pass(&work, NOW + 60 * DAY, &Standing::default(), &enough)).unwrap();
    });
    ended.recv_timeout(std::time::Duration::from_secs(60)).expect("it waits for ever").unwrap();
}
