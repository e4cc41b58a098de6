//! A real process is killed again and again while it compacts the log that it takes events into: whatever is read in between, and whatever goes
//! on from there, is as in a log that was never compacted.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use data_layer::config::Config;
use data_layer::ingest::{Form, Ingest};
use data_layer::live::{Items, Live};
use data_layer::log::Reader;
use data_layer::types::{Id, Person};
use futures::executor::block_on;

const DAY: i64 = 86_400_000;
const NOW: i64 = 20_000 * DAY;
const FOLDER: &str = "WEIR_TEST_KILL_COMPACT";
/// Events of a day, which is a segment.
const OF_A_DAY: u64 = 14;
/// Records of schemas, which the first day's events need.
const SCHEMAS: u64 = 2;
const PEOPLE: u64 = 4;
const ITEMS: u64 = 6;

/// Events stay for ever; state comes from the log alone.
fn config(folder: &Path) -> Config {
    let file = folder.join("weir.toml");
    let log =
        "[log]\nretention = \"forever\"\ncompact_after = \"1s\"\ndedupe = \"1s\"\ncompact_every = \"off\"\n";
    std::fs::write(&file, format!("{log}[live.snapshots]\nevery = \"never\"\n")).unwrap();
    Config::load_with(file, []).unwrap()
}

/// A catalogue that is sent each day, mostly in the same words, and what people do meanwhile.
fn event(n: u64) -> (String, i64) {
    let (day, at) = ((n / OF_A_DAY) as i64, (n % OF_A_DAY) as i64);
    let time = NOW + day * DAY + at;
    let act = |who: &str, item: i64| {
        format!(
            r#"{{"type":"interaction",{who},"item":"i{}","action":"click","time":{time}}}"#,
            item % ITEMS as i64
        )
    };
    let load = |phase: &str| {
        format!(r#"{{"type":"load","source":"catalogue","id":"{day}","phase":"{phase}","time":{time}}}"#)
    };
    let event = match at {
        0 => load("begin"),
        // Now and then one is left out, and one is of another kind for a while.
        5 if day % 11 == 3 => act(r#""user":"u1""#, 2),
        1..=5 => format!(
            r#"{{"type":"item","id":"i{at}","kind":"{}","source":"catalogue","time":{time},"attributes":{{"price":{}.5,"title":"the title of {at}","created":{NOW}}}}}"#,
            if at == 4 && day % 9 > 6 { "offer" } else { "film" },
            if at == 3 { day % 5 } else { at },
        ),
        6 => load("end"),
        7 => format!(
            r#"{{"type":"user","id":"u{}","time":{time},"attributes":{{"city":"c{}","timezone":"{}"}}}}"#,
            day % PEOPLE as i64,
            day % 2,
            if day % 16 > 11 { "Asia/Tokyo" } else { "UTC" },
        ),
        8 => format!(
            r#"{{"type":"item","id":"i0","time":{time},"attributes":{{"price":1.5}},"deleted":{}}}"#,
            day % 13 == 5
        ),
        9 if day % 6 == 2 => {
            let (guest, user) = (day % 3, day % PEOPLE as i64);
            format!(r#"{{"type":"identify","anonymous":"g{guest}","user":"u{user}","time":{time}}}"#)
        }
        9 | 10 => act(&format!(r#""anonymous":"g{}""#, day % 3), day + at),
        _ => act(&format!(r#""user":"u{}""#, (day + at) % PEOPLE as i64), day * at),
    };
    (event, time)
}

fn send(ingest: &Ingest, n: u64) {
    let (event, received_ms) = event(n);
    let receipt = block_on(ingest.submit(event.as_bytes(), Form::Json, received_ms).unwrap()).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected), (1, Vec::new()), "{event}");
}

/// What the killed process runs; does nothing where it is not asked to.
#[test]
fn take_events_and_compact_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut config = config(Path::new(&folder));
    // More often than a configuration may say.
    config.log.compact_every = Some(1);
    let ingest = Ingest::open(&config).unwrap();
    let start = ingest.live().applied().sequence.saturating_sub(SCHEMAS);
    let mut out = std::io::stdout();
    for n in start.. {
        send(&ingest, n);
        let gone = ingest.compaction().unwrap().records.load(Ordering::Relaxed);
        writeln!(out, "\ntaken {n} {gone}").unwrap();
        out.flush().unwrap();
    }
}

/// All that can be read of what the events are about.
fn picture(live: &Live) -> BTreeMap<String, String> {
    let (mut all, items) = (BTreeMap::new(), live.items());
    for id in (0..ITEMS).map(|n| format!("i{n}")) {
        let Some(item) = items.ordinal(&id) else { continue };
        let (row, said) = (items.row(item).0.map(f32::to_bits), items.attributes(item));
        let serves = [0, NOW + 900 * DAY].map(|now| items.can_serve(item, now));
        all.insert(id, format!("{} {serves:?} {said:?} {row:?}", items.kind(item)));
    }
    let kinds = ["film", "offer", "item"].map(String::from);
    let lists = [("fresh", &kinds[..]), ("trending", &kinds[..]), ("together", &["i1".into(), "i2".into()])];
    for (name, keys) in lists {
        for key in keys {
            let mut found = Vec::new();
            live.lists().list(name, key, 99, &mut found);
            let found: Vec<_> = found.iter().map(|s| (items.id(s.item), s.score.to_bits())).collect();
            all.insert(format!("{name} {key}"), format!("{found:?}"));
        }
    }
    let id = |name: String| Id::new(&name).unwrap();
    let users = (0..PEOPLE).map(|n| Person::user(id(format!("u{n}"))));
    for who in users.chain((0..3).map(|n| Person::anonymous(id(format!("g{n}"))))) {
        let told = live.person(&who).map(|state| {
            format!("{:?} {:?} {:?}", state.attributes, state.actions.len(), state.counters.all())
        });
        all.insert(format!("{who:?}"), told.unwrap_or_default());
    }
    all.insert("people".into(), live.people_len().to_string());
    all
}

/// Runs the process and kills it after so many events and so long; whether it has compacted anything.
fn run(folder: &Path, events: usize, wait: Duration) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "take_events_and_compact_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let last = said.filter(|line| line.starts_with("taken ")).take(events).last();
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
    !last.expect("it took nothing").ends_with(" 0")
}

fn draft(folder: &Path) -> bool {
    let mut files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.any(|path| path.extension().is_some_and(|ending| ending == "compacting"))
}

#[test]
fn whoever_is_killed_while_compacting_has_the_state_of_who_never_did() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [compacted, whole] = folders.each_ref().map(|folder| config(folder.path()));
    let reference = Ingest::open(&whole).unwrap();
    let (mut sent, mut compacting, mut drafts) = (0, 0, 0);
    let seed = RandomState::new().hash_one("kill") | 1;
    let mut drawn = seed;
    let mut draw = |below: u64| {
        drawn ^= drawn << 13;
        drawn ^= drawn >> 7;
        drawn ^= drawn << 17;
        drawn % below
    };
    for round in 0..25 {
        let events = OF_A_DAY + draw(5 * OF_A_DAY);
        let wait = Duration::from_micros(draw(20_000));
        compacting += u32::from(run(folders[0].path(), events as usize, wait));
        drafts += u32::from(draft(&compacted.events_folder()));
        let live = Ingest::read_only(&compacted).unwrap();
        let there = live.applied().sequence - SCHEMAS;
        assert!(there >= sent + events, "{there} events of {sent} and {events}, round {round}, seed {seed}");
        (sent..there).for_each(|n| send(&reference, n));
        sent = there;
        while reference.live().applied().sequence < sent + SCHEMAS {
            std::thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(picture(&live), picture(reference.live()), "round {round}, seed {seed}");
    }
    // What the last one left is taken away, what may go goes, and the log goes on.
    let mut config = compacted;
    config.log.compact_every = Some(1);
    let ingest = Ingest::open(&config).unwrap();
    while ingest.compaction().unwrap().runs.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    for ingest in [&ingest, &reference] {
        (sent..sent + OF_A_DAY).for_each(|n| send(ingest, n));
    }
    ingest.close().unwrap();
    reference.close().unwrap();
    assert!(!draft(&config.events_folder()));
    let [one, two] = [&config, &whole].map(|config| picture(&Ingest::read_only(config).unwrap()));
    assert_eq!(one, two, "seed {seed}");
    let count =
        |config: &Config| Reader::events(&config.log.dir, "main").unwrap().map(Result::unwrap).count() as u64;
    let (left, all) = (count(&config), count(&whole));
    println!("{left} of {all} records are left; {compacting} processes compacted, {drafts} left a draft");
    assert_eq!(all, sent + OF_A_DAY + SCHEMAS);
    assert!(
        compacting > 3 && left * 4 < all * 3,
        "{left} of {all} are left; {compacting} compacted; seed {seed}"
    );
}
