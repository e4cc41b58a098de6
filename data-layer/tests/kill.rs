//! A real process is killed while it takes events, and while it archives them: what it acknowledged is there, and nothing counts twice
//! when the client, which does not know what was taken, sends everything again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use data_layer::archive;
use data_layer::config::Config;
use data_layer::ingest::{Form, Ingest};
use data_layer::live::{Items, Live};
use data_layer::log::Reader;
use data_layer::types::{Id, Person};
use futures::executor::block_on;

const NOW: i64 = 20_000 * 86_400_000;
const FOLDER: &str = "WEIR_TEST_KILL_FOLDER";
const BATCH: u64 = 3;

fn event(n: u64) -> String {
    format!(
        r#"{{"type":"interaction","id":"e{n}","user":"u{}","item":"i","action":"click","time":{NOW}}}"#,
        n % 7
    )
}

/// Events `3n .. 3n + 3`, the first of them once more in the same body.
fn body(n: u64) -> String {
    let events: Vec<String> = (n * BATCH..(n + 1) * BATCH).chain([n * BATCH]).map(event).collect();
    events.join("\n")
}

fn send(ingest: &Ingest, n: u64) -> u32 {
    block_on(ingest.submit(body(n).as_bytes(), Form::Ndjson, NOW).unwrap()).unwrap().accepted
}

/// Clicks on the one item, after checking that the people add up to the same.
fn clicks(live: &Live) -> u64 {
    let click = live.actions().id("click").unwrap();
    let items = live.items();
    let total = items.ordinal("i").map_or(0, |item| items.counters(item).total(click));
    let of = |n: u64| live.person(&Person::user(Id::new(&format!("u{n}")).unwrap()));
    let people: u64 = (0..7).filter_map(of).map(|state| state.counters.total(click)).sum();
    assert_eq!(total, people);
    total
}

/// What the killed process runs; does nothing where it is not asked to.
#[test]
fn take_events_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let ingest = Ingest::open(&Config::in_folder(folder).unwrap()).unwrap();
    let mut out = std::io::stdout();
    for n in 0.. {
        send(&ingest, n);
        writeln!(out, "\ntaken {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn kill_nine_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::in_folder(folder.path()).unwrap();
    let mut acknowledged = 0;
    for round in 1..=4u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "take_events_until_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let taken = lines.filter_map(|line| line.strip_prefix("taken ")?.parse::<u64>().ok());
        // Each round starts from the first event again, and goes on beyond the last one of the round before.
        let last = taken.take_while(|n| *n < acknowledged + round * 5).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = acknowledged.max(last + 1);
        let live = Ingest::read_only(&config).unwrap();
        let found = clicks(&live);
        assert!(found >= acknowledged * BATCH, "{found} events found, {acknowledged} batches acknowledged");
        acknowledged = found / BATCH;
    }
    let ingest = Ingest::open(&config).unwrap();
    let before = clicks(ingest.live());
    let sent = acknowledged + 10;
    let accepted: u64 = (0..sent).map(|n| u64::from(send(&ingest, n))).sum();
    assert_eq!(before + accepted, sent * BATCH);
    ingest.close().unwrap();
    assert_eq!(clicks(&Ingest::read_only(&config).unwrap()), sent * BATCH);
}

const OLD: &str = "WEIR_TEST_KILL_ARCHIVE";
const HOUR: i64 = 3_600_000;

/// A configuration with an archive beside the log.
fn archiving(folder: &Path) -> Config {
    let file = folder.join("weir.toml");
    std::fs::write(&file, "[log]\narchive = \"old\"\n").unwrap();
    Config::load_with(file, []).unwrap()
}

/// What the other killed process runs: a segment is sealed with every day, that is with every fourth call.
#[test]
fn archive_events_until_killed() {
    let Ok(folder) = std::env::var(OLD) else { return };
    let ingest = Ingest::open(&archiving(Path::new(&folder))).unwrap();
    let start = ingest.live().applied().sequence;
    let mut out = std::io::stdout();
    for n in start.. {
        let receipt = ingest.submit(event(n).as_bytes(), Form::Json, NOW + n as i64 * 6 * HOUR).map(block_on);
        assert_eq!(receipt.unwrap().unwrap().accepted, 1);
        writeln!(out, "\ntaken {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn an_archive_that_was_cut_off_anywhere_becomes_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (config, old) = (archiving(folder.path()), folder.path().join("old"));
    for round in 1..=5u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "archive_events_until_killed", "--nocapture"])
            .env(OLD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let taken = lines.filter(|line| line.starts_with("taken ")).take(20 + round as usize * 7).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(taken, 20 + round as usize * 7);
        // Whatever is there is whole.
        if old.join("events/_segments").is_dir() {
            let archived: Vec<_> = archive::read::events(&old, "main").unwrap().map(Result::unwrap).collect();
            let log: Vec<_> = Reader::events(&config.log.dir, "main").unwrap().map(Result::unwrap).collect();
            assert_eq!(archived, log[..archived.len()]);
        }
    }
    let ingest = Ingest::open(&config).unwrap();
    let segments = data_layer::log::entries::segments(&config.events_folder()).unwrap();
    let sealed_until = segments.last().unwrap().0;
    assert!(segments.len() > 20, "{}", segments.len());
    let archived = || archive::read::events(&old, "main").map(|all| all.map(Result::unwrap).last());
    while !matches!(archived(), Ok(Some(last)) if last.sequence + 1 == sealed_until) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    ingest.close().unwrap();
    let archived: Vec<_> = archive::read::events(&old, "main").unwrap().map(Result::unwrap).collect();
    let log: Vec<_> = Reader::events(&config.log.dir, "main").unwrap().map(Result::unwrap).collect();
    assert_eq!(archived, log[..archived.len()]);
    assert!(!folder.path().join("log/main/archiving").exists(), "drafts of a killed process");
}
