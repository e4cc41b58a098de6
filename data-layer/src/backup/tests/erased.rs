//! Who was erased does not come back with a backup, and what was erased goes on being so; what an archive has of a time that is no more stands for
//! nothing else.

use std::time::{Duration, Instant};

use super::*;
use crate::archive::read;
use crate::ingest::check;
use crate::ingest::shared::tests::not_run::not_run;
use crate::ingest::shared::tests::redis::{Kind, Redis};
use crate::types::{Id, Person};

const GONE: &str = "user-9d27f0c41b";
const OTHER: &str = "user-51aa08e3d6";
const SOON: &str = "[log]\ndedupe = \"1s\"\nerase_every = \"1s\"\n";
const LATE: &str = "[log]\ndedupe = \"1s\"\nerase_every = \"1d\"\n";

fn user(name: &str) -> Person {
    Person::user(Id::new(name).unwrap())
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !until() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn act(server: &Ingest, who: &str, number: u32, at: Millis) {
    let body = format!(
        r#"[{{"type":"interaction","id":"e{number}","user":"{who}","item":"i1","action":"click","time":{at}}}]"#
    );
    let receipt = block_on(server.submit(body.as_bytes(), Form::Auto, at).unwrap()).unwrap();
    assert_eq!(receipt.accepted, 1);
    wait("it counts", || server.live().applied().sequence >= receipt.position.sequence);
}

fn erase(server: &Ingest, who: &str) -> Position {
    let now = time::now();
    let events = vec![check::erase(user(who), now)];
    let position = block_on(server.submit_events(events, now)).unwrap().position;
    wait("it counts", || server.live().applied().sequence >= position.sequence);
    position
}

/// Files below a folder that hold a text.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn who_was_erased_since_a_backup_does_not_come_back_with_it() {
    let (site, place) = (Site::new(SOON), tempfile::tempdir().unwrap());
    let server = Ingest::open(&site.1).unwrap();
    act(&server, GONE, 1, NOW);
    act(&server, OTHER, 2, NOW);
    server.renew_snapshots().unwrap();
    site.backup(place.path()).unwrap();
    // Nobody else has a trace of the first; the second is somebody new since.
    erase(&server, GONE);
    erase(&server, "user-never-seen");
    wait("the files are rewritten", || server.erasures().pending() == 0);
    assert_eq!(holding(site.0.path(), GONE), Vec::<PathBuf>::new());
    server.close().unwrap();
    let restored = site.restore(place.path(), true).unwrap();
    assert_eq!(restored.erased, 1);
    let server = Ingest::open(&site.1).unwrap();
    let known = |who: &str| server.live().person(&user(who)).is_some();
    assert_eq!((known(GONE), known(OTHER)), (false, true));
    let newest = |who: &str| server.erasures().newest(&user(who)).is_some();
    assert_eq!([GONE, "user-never-seen", OTHER].map(newest), [true, true, false]);
    // Nor is anything in the way of the next one.
    erase(&server, OTHER);
    wait("the files are rewritten", || server.erasures().pending() == 0);
    server.close().unwrap();
    for name in [GONE, OTHER] {
        assert_eq!(holding(site.0.path(), name), Vec::<PathBuf>::new(), "{name}");
    }
}

#[test]
fn an_erasure_that_a_backup_has_goes_on_where_it_is_put_back() {
    let (site, place) = (Site::new(LATE), tempfile::tempdir().unwrap());
    let server = Ingest::open(&site.1).unwrap();
    act(&server, GONE, 1, NOW);
    let asked = erase(&server, GONE);
    act(&server, OTHER, 2, NOW);
    // Before which nothing is replayed.
    server.renew_snapshots().unwrap();
    let made = site.backup(place.path()).unwrap();
    assert!(made.snapshot > asked.sequence);
    server.close().unwrap();
    let other = Site::new(SOON);
    assert_eq!(other.restore(place.path(), false).unwrap().erased, 0);
    assert!(!holding(other.0.path(), GONE).is_empty());
    let server = Ingest::open(&other.1).unwrap();
    assert!(server.erasures().newest(&user(GONE)).is_some());
    wait("the files are rewritten", || server.erasures().done() == 1);
    server.close().unwrap();
    assert_eq!(holding(other.0.path(), GONE), Vec::<PathBuf>::new());
}

#[test]
fn a_backup_put_back_into_redis_leaves_out_who_was_being_erased() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let toml =
        format!("{LATE}[live]\nbackend = \"redis\"\nurl = \"{}\"\nread_timeout = \"2s\"\n", redis.url());
    let (site, place) = (Site::new(&toml), tempfile::tempdir().unwrap());
    let server = Ingest::open(&site.1).unwrap();
    act(&server, GONE, 1, NOW);
    act(&server, OTHER, 2, NOW);
    site.backup(place.path()).unwrap();
    erase(&server, GONE);
    wait("all are told", || redis.say("HGETALL weir:main:{erasures}:asked").contains(GONE));
    let servers = redis.say("HKEYS weir:main:{erasures}:servers");
    assert!(!servers.trim().is_empty());
    server.close().unwrap();
    // Another one, which knows of it by what servers told each other only.
    let other = Site::new(&toml);
    assert_eq!(other.restore(place.path(), true).unwrap().erased, 1);
    assert_eq!(redis.say("HKEYS weir:main:{erasures}:servers"), servers);
    let server = Ingest::open(&other.1).unwrap();
    let read = || block_on(server.live().people().read(&[user(GONE), user(OTHER)]));
    wait("it is erased", || read().is_ok_and(|found| found[0].is_none() && found[1].is_some()));
    assert_eq!(server.erasures().pending(), 1);
    server.close().unwrap();
}

#[test]
fn what_was_archived_since_stands_for_nothing_that_comes() {
    let (archive, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let toml = format!("[log]\narchive = \"{}\"\n", archive.path().display());
    let site = Site::new(&toml);
    let server = Ingest::open(&site.1).unwrap();
    // Each day ends a segment.
    let archived = |server: &Ingest, count: u64| {
        let standing = server.archive().unwrap();
        wait("it is archived", || standing.segments.load(std::sync::atomic::Ordering::Relaxed) >= count);
    };
    act(&server, "u1", 1, NOW);
    act(&server, "u1", 2, NOW + DAY);
    archived(&server, 1);
    site.backup(place.path()).unwrap();
    act(&server, "u1", 3, NOW + DAY);
    act(&server, "u1", 4, NOW + 2 * DAY);
    archived(&server, 2);
    server.close().unwrap();
    let other = Site::new(&toml);
    let said = other.restore(place.path(), false).unwrap_err().to_string();
    assert!(said.contains("1 segments behind it") && said.contains("--force"), "{said}");
    assert_eq!(other.restore(place.path(), true).unwrap().archived, 1);
    let server = Ingest::open(&other.1).unwrap();
    act(&server, "u1", 5, NOW + DAY);
    act(&server, "u1", 6, NOW + 3 * DAY);
    archived(&server, 1);
    server.close().unwrap();
    let events = read::events(archive.path(), "main").unwrap().map(|record| record.unwrap().event);
    let ids: Vec<String> = events
        .filter_map(|event| match event {
            crate::types::Event::Interaction(event) => event.id.map(|id| id.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["e1", "e2", "e5"]);
}
