//! A real process is killed again and again while it rewrites a log and its archive for erasures: whatever is read in between has the
//! same totals, and in the end nothing of the ids is left.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use data_layer::archive;
use data_layer::config::Config;
use data_layer::ingest::{Form, Ingest, check};
use data_layer::live::{Items, Live};
use data_layer::types::{Decision, Event, Id, Person};
use futures::executor::block_on;

const DAY: i64 = 86_400_000;
const NOW: i64 = 20_000 * DAY;
const FOLDER: &str = "WEIR_TEST_KILL_ERASE";
const DAYS: i64 = 8;
const PEOPLE: u32 = 6;

fn config(folder: &Path, erase_every: &str) -> Config {
    let file = folder.join("weir.toml");
    let text = format!(
        "[log]\narchive = \"old\"\nretention = \"forever\"\ndedupe = \"1s\"\nerase_every = \"{erase_every}\"\n"
    );
    std::fs::write(&file, text).unwrap();
    Config::load_with(file, []).unwrap()
}

/// Those with an even number are erased.
fn name(n: u32) -> String {
    format!("person-{n}-9f3c2a7be1")
}

fn guest(n: u32) -> String {
    format!("device-{n}-41d8e60c77")
}

/// A day of everybody: as a guest, identified, as a user, tied to others.
fn body(day: i64) -> String {
    let at = NOW + day * DAY;
    let mut events = Vec::new();
    for n in 0..PEOPLE {
        let (user, device, other) = (name(n), guest(n), name((n + 1) % PEOPLE));
        for item in 0..3 {
            let item = (i64::from(n) + day + item) % 5;
            events.push(format!(
                r#"{{"type":"interaction","anonymous":"{device}","item":"i{item}","action":"click","time":{at},"id":"{day}-{n}-{item}"}}"#
            ));
            events.push(format!(
                r#"{{"type":"interaction","user":"{user}","item":"i{item}","action":"view","time":{at}}}"#
            ));
        }
        events.push(format!(r#"{{"type":"identify","anonymous":"{device}","user":"{user}","time":{at}}}"#));
        events.push(format!(
            r#"{{"type":"edge","from":"{user}","to":"{other}","relation":"follow","time":{at}}}"#
        ));
        events.push(format!(
            r#"{{"type":"user","id":"{user}","attributes":{{"city":"of {user}"}},"time":{at}}}"#
        ));
    }
    format!("[{}]", events.join(","))
}

fn applied(ingest: &Ingest, sequence: u64) {
    while ingest.live().applied().sequence < sequence {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// All totals of items, and who is known of those who were not erased.
fn totals(live: &Live) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let items = live.items();
    for n in 0..5 {
        let item = items.ordinal(&format!("i{n}")).unwrap();
        let mut near = Vec::new();
        live.lists().list("together", &format!("i{n}"), 9, &mut near);
        let near: Vec<_> = near.iter().map(|s| (items.id(s.item).clone(), s.score.to_bits())).collect();
        all.insert(format!("i{n}"), format!("{:?} {near:?}", items.row(item).0.map(f32::to_bits)));
    }
    for n in 0..PEOPLE {
        let state = live.person(&Person::user(Id::new(&name(n)).unwrap()));
        all.insert(name(n), format!("{:?}", state.map(|state| (state.actions.len(), state.counters.all()))));
    }
    all.insert("people".into(), live.people_len().to_string());
    all
}

/// What the killed process runs; does nothing where it is not asked to.
#[test]
fn erase_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let ingest = Ingest::open(&config(Path::new(&folder), "1s")).unwrap();
    let mut out = std::io::stdout();
    let positions: Vec<_> = (0..PEOPLE)
        .filter_map(|n| ingest.erasures().newest(&Person::user(Id::new(&name(n)).unwrap())))
        .map(|(sequence, _)| ingest.erasures().position(sequence))
        .collect();
    let mut last = Vec::new();
    loop {
        let now: Vec<_> = positions.iter().map(|p| ingest.erasures().status(*p).unwrap()).collect();
        if now != last {
            writeln!(out, "\nlooked {}", now.iter().map(|e| e.looked_through[0]).max().unwrap()).unwrap();
            last = now;
        }
        if ingest.erasures().pending() == 0 {
            writeln!(out, "\nended").unwrap();
            ingest.close().unwrap();
            return;
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Runs the process and kills it after so many lines; whether it ended by itself before.
fn run(folder: &Path, lines: usize) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "erase_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said = said.filter(|line| line.starts_with("looked ") || line == "ended").take(lines).last();
    let ended = said.is_some_and(|line| line == "ended");
    if !ended {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    ended
}

/// Files below a folder that hold one of the names.
fn holding(folder: &Path, names: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, names));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let holds = |name: &String| bytes.windows(name.len()).any(|window| window == name.as_bytes());
            found.extend(names.iter().any(holds).then(|| path.display().to_string()));
        }
    }
    found
}

#[test]
fn whoever_is_killed_while_erasing_goes_on_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let waiting = config(folder.path(), "30d");
    let ingest = Ingest::open(&waiting).unwrap();
    for day in 0..DAYS {
        let receipt =
            block_on(ingest.submit(body(day).as_bytes(), Form::Json, NOW + day * DAY).unwrap()).unwrap();
        assert_eq!(receipt.rejected, Vec::new());
        let user = Id::new(&name((day % 6) as u32)).unwrap();
        let (request_id, time) = (format!("r{day}"), NOW + day * DAY);
        let (log_position, user) = (receipt.position.to_string(), Some(user));
        ingest.decide(Decision { request_id, time, user, log_position, ..Decision::default() });
        if day % 2 == 1 && day < 6 {
            let who = Person::user(Id::new(&name(day as u32 - 1)).unwrap());
            let at = data_layer::types::time::now();
            let erase: Event = check::erase(who, at);
            let receipt = block_on(ingest.submit_events(vec![erase], NOW + day * DAY)).unwrap();
            applied(&ingest, receipt.position.sequence);
        }
        applied(&ingest, receipt.position.sequence);
    }
    // The archive has days that name them.
    while ingest.archive().unwrap().segments.load(std::sync::atomic::Ordering::Relaxed) < 7 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let wanted = totals(ingest.live());
    ingest.close().unwrap();
    let (mut kills, mut lines) = (0, 1);
    while !run(folder.path(), lines) {
        assert_eq!(totals(&Ingest::read_only(&waiting).unwrap()), wanted, "after {kills} kills");
        (kills, lines) = (kills + 1, lines + 1 + kills / 4);
        assert!(kills < 200, "it never ends");
    }
    assert!(kills > 3, "{kills}");
    let ingest = Ingest::open(&waiting).unwrap();
    assert_eq!((totals(ingest.live()), ingest.erasures().pending()), (wanted, 0));
    ingest.close().unwrap();
    // The newest day is a new person's: the erasures came before it.
    let archived = archive::read::events(&folder.path().join("old"), "main").unwrap().map(Result::unwrap);
    let mut named = 0;
    for record in archived {
        let (said, day) = (format!("{:?}", record.event), record.received_ms.div_euclid(DAY) - 20_000);
        for n in (0..PEOPLE).step_by(2).filter(|n| said.contains(&name(*n)) || said.contains(&guest(*n))) {
            named += 1;
            assert!(day > i64::from(n) + 1, "{record:?}");
        }
    }
    assert!(named > 0);
    let decided = archive::read::decisions(&folder.path().join("old"), "main").unwrap();
    let decided: Vec<String> = decided.map(|decision| decision.unwrap().request_id).collect();
    assert!(!decided.iter().any(|r| ["r0", "r2", "r4"].contains(&r.as_str())), "{decided:?}");
    let never: Vec<String> = vec!["\"secret\"".into(), "erasing".into()];
    assert_eq!(holding(&folder.path().join("log/main"), &never), Vec::<String>::new());
}
