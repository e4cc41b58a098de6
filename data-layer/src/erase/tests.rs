//! What an erasure promises: a log that was rewritten comes to the same live state; cut off anywhere it is read as if it had ended, and
//! goes on; nothing of the id is left in any file; who is new under it is new.

mod folder;
mod shared;
mod swept;

use std::cell::Cell;
use std::path::Path;

use proptest::prelude::*;

use super::worker::pass;
use super::*;
use crate::config::{Actions, Config};
use crate::live::tests::{any_event, keep, people, schema, shown};
use crate::live::{Live, tests};
use crate::log::{Reader, Stream, Writer, codec, format};
use crate::types::event::Edge;
use crate::types::time::DAY;
use crate::types::{Decision, DecisionItem, Event, Id, Millis, Person, Record};

const NOW: Millis = 20_000 * DAY;
const PRODUCER: u64 = 0xc0ffee;

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// A log of these events in segments of a few records, all of them sealed.
fn written(config: &Config, events: &[Event]) -> Vec<Record> {
    let mut writer = Writer::open(&config.events_folder(), Stream::Events, "main", PRODUCER).unwrap();
    writer = writer.with_segment_bytes(300);
    let mut decisions =
        Writer::open(&config.decisions_folder(), Stream::Decisions, "main", PRODUCER).unwrap();
    for event in events {
        let mut payload = Vec::new();
        codec::encode(event, &mut payload).unwrap();
        let partition = event.person().map_or(0, |p| p.partition());
        writer.append(format::kind_of(event), partition, NOW, &payload);
        writer.flush().and_then(|()| writer.sync()).unwrap();
    }
    writer.seal().unwrap();
    decisions.seal().unwrap();
    tests::records(events)
}

fn work(config: &Config) -> Work {
    let folder = config.log.dir.join("main");
    let erasures = Erasures::open(&folder, PRODUCER).unwrap().into();
    let (holds, archiving) = (Default::default(), Default::default());
    let config = config.clone();
    Work {
        folder,
        config,
        producer: PRODUCER,
        erasures,
        holds,
        archiving,
        seal: Box::new(|| Ok(())),
        renew: Box::new(|| Ok(())),
        append: Box::new(|_| Ok(())),
        peers: None,
        sweep: Box::new(|_, _| Ok(())),
    }
}

/// The state that a start comes to, with the plan of what a process before it was at.
fn replayed(config: &Config) -> Live {
    let live = Live::with(Actions::default(), schema(), keep());
    let plan = Plan::unfinished(&config.log.dir.join("main")).unwrap();
    let records = Reader::events(&config.log.dir, "main").unwrap().map(Result::unwrap);
    let records: Vec<Record> = match plan {
        Some(plan) => records.filter_map(|record| plan.record(record)).collect(),
        None => records.collect(),
    };
    live.apply(&records).unwrap();
    live
}

fn edge() -> impl Strategy<Value = Event> {
    (0..3u8, 0..3u8, any::<bool>(), 0..3i64).prop_map(|(from, to, deleted, time)| {
        let (from, to) = (id(&format!("p{from}")), id(&format!("p{to}")));
        Event::Edge(Edge { from, to, relation: "follow".into(), time, source: None, deleted })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_rewritten_log_comes_to_the_same_state_wherever_it_was_cut_off(
        events in prop::collection::vec(prop_oneof![6 => any_event(), 1 => edge()], 1..30),
        cut in 0..200u32,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::in_folder(folder.path()).unwrap();
        let records = written(&config, &events);
        let first = Live::with(Actions::default(), schema(), keep());
        first.apply(&records).unwrap();
        let (wanted, known) = (shown(&first, &people()), first.people_len());
        let before = work(&config);
        before.erasures.note(&records).unwrap();
        let looks = Cell::new(0);
        let ended = || { looks.set(looks.get() + 1); looks.get() > cut };
        pass(&before, NOW + 2 * DAY, &ended).unwrap();
        drop(before);
        let between = replayed(&config);
        prop_assert_eq!(&shown(&between, &people()), &wanted);
        prop_assert_eq!(between.people_len(), known);
        let after = work(&config);
        pass(&after, NOW + 2 * DAY, &|| false).unwrap();
        prop_assert_eq!(after.erasures.pending(), 0);
        let rewritten = replayed(&config);
        prop_assert_eq!(&shown(&rewritten, &people()), &wanted);
        prop_assert_eq!(rewritten.people_len(), known);
        // Nobody was erased whose name is still in an earlier record.
        let mut names = std::collections::BTreeSet::new();
        for record in Reader::events(&config.log.dir, "main").unwrap().map(Result::unwrap) {
            if let Event::Erase(erase) = &record.event {
                prop_assert!(erase.person.id.as_str().starts_with('~'), "{:?}", erase);
            }
            names.extend(record.event.person());
        }
        let gone = |p: &Person| matches!(events.last(), Some(Event::Erase(e)) if e.person == *p);
        prop_assert!(!names.iter().any(gone));
    }
}

#[test]
fn a_journal_that_could_not_be_written_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::in_folder(folder.path()).unwrap();
    let records = written(
        &config,
        &["a", "b", "c"].map(|name| {
            Event::Erase(crate::types::event::Erase { person: Person::user(id(name)), time: NOW })
        }),
    );
    let work = work(&config);
    work.erasures.note(&records[..1]).unwrap();
    let (journal, aside) = (work.folder.join("ERASURES"), work.folder.join("aside"));
    std::fs::rename(&journal, &aside).unwrap();
    std::fs::create_dir(&journal).unwrap();
    assert!(work.erasures.note(&records[1..2]).is_err() && work.erasures.mend().is_err());
    std::fs::remove_dir(&journal).unwrap();
    // What was written before the disk was full, and half a line.
    let torn = [std::fs::read(&aside).unwrap(), b"{\"sequence\":2,\"ti".to_vec()].concat();
    std::fs::write(&journal, torn).unwrap();
    work.erasures.note(&records[2..]).unwrap();
    assert_eq!(Erasures::open(&work.folder, PRODUCER).unwrap().pending(), 3);
}

/// Every file below a folder whose name, bytes or rows hold a text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let mut holds = path.to_string_lossy().contains(text)
            || bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if path.extension().is_some_and(|ending| ending == "parquet") {
            // A draft may be of either, and is no file of rows before it is done.
            let is_draft = path.to_string_lossy().contains("/archiving/");
            let events =
                crate::archive::rows::events(&path).map(|rows| format!("{:?}", rows.collect::<Vec<_>>()));
            let decisions =
                crate::archive::rows::decisions(&path).map(|rows| format!("{:?}", rows.collect::<Vec<_>>()));
            assert!(is_draft || events.is_ok() || decisions.is_ok(), "{}", path.display());
            holds |= [events, decisions].into_iter().flatten().any(|rows| rows.contains(text));
        }
        if holds {
            found.push(path.display().to_string());
        }
    }
    found
}

fn decision(request: &str, user: &str, time: Millis, position: &str) -> Decision {
    let item = DecisionItem {
        id: id("i1"),
        position: 0,
        score: 1.0,
        sources: Vec::new(),
        propensity: None,
        features: vec![0.5],
    };
    Decision {
        request_id: request.to_owned(),
        time,
        user: Some(id(user)),
        log_position: position.to_owned(),
        items: vec![item],
        ..Decision::default()
    }
}
