//! Backups of what servers share through Redis: of one position of each log, whatever comes meanwhile; put back into Redis or into one process,
//! and from one process into Redis, they are the state that was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::ingest::shared::tests::not_run::not_run;
use crate::ingest::shared::tests::redis::{Kind, Redis};
use crate::live::codec;
use crate::live::snapshot::load;
use crate::log::Reader;
use crate::types::{Event, Id, Person};

/// People of the tests.
fn who() -> Vec<Person> {
    let id = |text: String| Id::new(&text).unwrap();
    let users = (0..6).map(|n| Person::user(id(format!("u{n}"))));
    users.chain((0..6).map(|n| Person::anonymous(id(format!("g{n}"))))).collect()
}

fn people(live: &Live) -> Vec<Option<Vec<u8>>> {
    let states = block_on(live.people().read(&who())).unwrap();
    let encode = |state: Option<Arc<_>>| Some(codec::encode(&*state?, live.ids(), live.actions()));
    states.into_iter().map(encode).collect()
}

/// Items by id: counters, impressions, attributes; those that were only named are left out.
fn items(live: &Live) -> BTreeMap<String, String> {
    let items = live.items();
    let of = |at| {
        let what = (items.impressions(at), items.counters(at), items.attributes(at));
        (items.id(at).to_string(), format!("{what:?}"))
    };
    let none = format!("{:?}", (0, crate::live::Counters::default(), BTreeMap::<String, ()>::new()));
    (0..items.len() as u32).map(of).filter(|(_, what)| *what != none).collect()
}

fn shared(redis: &Redis) -> String {
    format!(
        "[live]\nbackend = \"redis\"\nurl = \"{}\"\nread_timeout = \"2s\"\n[log]\nerase_every = \"1h\"\n",
        redis.url()
    )
}

fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !until() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a body, and waits until it counts.
fn say(server: &Ingest, body: &str) -> crate::ingest::Receipt {
    let receipt = block_on(server.submit(body.as_bytes(), Form::Auto, NOW).unwrap()).unwrap();
    assert!(receipt.rejected.is_empty(), "{receipt:?}");
    wait("what was sent counts", || server.live().applied().sequence >= receipt.position.sequence);
    // What partitions tell each other follows.
    std::thread::sleep(Duration::from_millis(300));
    receipt
}

const BEFORE: &str = r#"
{"type":"item","id":"i1","time":1728000000000,"attributes":{"price":1.5,"tags":["a","b"]}}
{"type":"interaction","id":"e1","user":"u1","item":"i1","action":"click","time":1728000000001}
{"type":"interaction","id":"e2","user":"u1","item":"i2","action":"like","time":1728000000002}
{"type":"interaction","id":"e3","anonymous":"g1","item":"i3","action":"click","time":1728000000003}
{"type":"interaction","id":"e4","anonymous":"g2","item":"i1","action":"click","time":1728000000004}
{"type":"impression","user":"u2","items":[{"id":"i1"},{"id":"i4"}],"time":1728000000005}
{"type":"edge","from":"u1","to":"u3","relation":"follow","time":1728000000006}
{"type":"identify","anonymous":"g1","user":"u4","time":1728000000007}
{"type":"user","id":"u5","time":1728000000008,"attributes":{"city":"Oslo"}}
{"type":"interaction","id":"e5","user":"u5","item":"i5","action":"click","time":1728000000009}
{"type":"interaction","id":"e6","user":"u0","item":"i1","action":"click","time":1728000000010}
{"type":"interaction","id":"e6","user":"u0","retracted":true,"time":1728000000011}
"#;

/// A repeat, retractions of what came before (one of somebody who is somebody else by now), and something new.
const AFTER: &str = r#"
{"type":"interaction","id":"e2","user":"u1","item":"i2","action":"like","time":1728000000002}
{"type":"interaction","id":"e3","anonymous":"g1","retracted":true,"time":1728000000020}
{"type":"interaction","id":"e4","retracted":true,"time":1728000000021}
{"type":"interaction","id":"e6","user":"u0","item":"i1","action":"click","time":1728000000010}
{"type":"identify","anonymous":"g2","user":"u1","time":1728000000022}
{"type":"interaction","id":"e9","user":"u1","item":"i1","action":"click","time":1728000000023}
"#;

#[test]
fn from_redis_to_one_process_and_back_it_is_the_state_that_was() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let places = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let site = Site::new(&shared(&redis));
    let server = Ingest::open(&site.1).unwrap();
    say(&server, BEFORE);
    let made = site.backup(places[0].path()).unwrap();
    assert_eq!(made.positions, [server.live().applied().to_string()]);
    let before = (people(server.live()), items(server.live()));
    assert!(before.0.iter().filter(|state| state.is_some()).count() > 5 && before.1.len() >= 5, "{before:?}");
    // Into one process.
    let alone = Site::new("");
    alone.restore(places[0].path(), false).unwrap();
    let one = Ingest::open(&alone.1).unwrap();
    assert_eq!((people(one.live()), items(one.live())), before);
    // What comes then does the same to both.
    let [there, here] = [&server, &one].map(|server| say(server, AFTER).duplicates);
    assert_eq!((there, here), (2, 2));
    let after = (people(server.live()), items(server.live()));
    assert_ne!(after, before);
    assert_eq!((people(one.live()), items(one.live())), after);
    // A server alone has nothing to say against being stopped.
    server.close().unwrap();
    let made = site.backup(places[1].path()).unwrap();
    assert_eq!(made.snapshot, made.positions[0].rsplit('.').next().unwrap().parse::<u64>().unwrap());
    one.close().unwrap();
    alone.backup(places[2].path()).unwrap();
    // From one process, and from Redis, into Redis.
    for place in [&places[2], &places[1]] {
        let other = Site::new(&shared(&redis));
        let said = other.restore(place.path(), false).unwrap_err().to_string();
        assert!(said.contains("found keys of it; --force"), "{said}");
        assert!(other.restore(place.path(), true).unwrap().removed > 1000);
        let folder = snapshots::folder(&other.1);
        let (_, path) = snapshots::Sort::Items.list(&folder, None).unwrap().remove(0);
        assert_eq!(items(&load(&path, &other.1.actions, &other.1.live.keep).unwrap().live), after.1);
        let server = Ingest::open(&other.1).unwrap();
        wait("all that is in the log has been taken", || server.live().applied().sequence > 0);
        assert_eq!(people(server.live()), after.0);
        let said = other.restore(place.path(), true).unwrap_err();
        assert!(matches!(said, Error::Locked { .. }), "{said}");
        let elsewhere = Site::new(&shared(&redis)).restore(place.path(), true).unwrap_err().to_string();
        assert!(elsewhere.contains("no server at work"), "{elsewhere}");
        let again = r#"{"type":"interaction","id":"e9","user":"u1","retracted":true,"time":1728000000024}"#;
        let was = people(server.live());
        say(&server, again);
        assert_ne!(people(server.live()), was);
        server.close().unwrap();
    }
}

/// What both logs come to up to these positions.
fn replayed(sites: [&Site; 2], positions: &[String]) -> Live {
    let live = Live::of(&sites[0].1);
    let mut sequence = 0;
    for site in sites {
        let producer = log::producer(&site.1.events_folder()).unwrap().unwrap();
        let parsed = positions.iter().map(|text| text.parse::<Position>().unwrap());
        let upto = parsed.filter(|at| at.producer == producer).map(|at| at.sequence).next().unwrap_or(0);
        for record in Reader::events(&site.1.log.dir, "main").unwrap() {
            let mut record = record.unwrap();
            if record.sequence <= upto && !matches!(record.event, Event::Schema(_)) {
                sequence += 1;
                record.sequence = sequence;
                live.apply(&[record]).unwrap();
            }
        }
    }
    live
}

/// Behind everything in a log.
fn end(site: &Site) -> String {
    let producer = log::producer(&site.1.events_folder()).unwrap().unwrap();
    Position { producer, sequence: u64::MAX / 2 }.to_string()
}

#[test]
fn a_backup_under_load_is_of_one_position_of_each_log() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let place = tempfile::tempdir().unwrap();
    let (left, right) = (Site::new(&shared(&redis)), Site::new(&shared(&redis)));
    let servers = [&left, &right].map(|site| Ingest::open(&site.1).unwrap());
    let (ended, number) = (AtomicBool::new(false), AtomicU32::new(0));
    let made = std::thread::scope(|scope| {
        for server in &servers {
            let (ended, number) = (&ended, &number);
            scope.spawn(move || {
                while !ended.load(Ordering::Acquire) {
                    let n = number.fetch_add(1, Ordering::Relaxed);
                    let body = format!(
                        r#"[{{"type":"interaction","id":"x{n}","user":"u{}","item":"i{}","action":"click","time":{NOW}}},
                            {{"type":"interaction","id":"y{n}","anonymous":"g{}","item":"i{}","action":"click","time":{NOW}}}]"#,
                        n % 6,
                        n % 7,
                        n % 5,
                        n % 3
                    );
                    block_on(server.submit(body.as_bytes(), Form::Auto, NOW).unwrap()).unwrap();
                }
            });
        }
        wait("something was sent", || number.load(Ordering::Relaxed) > 200);
        let made = left.backup(place.path());
        let then = number.load(Ordering::Relaxed);
        wait("it goes on", || number.load(Ordering::Relaxed) > then + 200);
        ended.store(true, Ordering::Release);
        made.unwrap()
    });
    // What went on meanwhile is all there in the end.
    servers.iter().for_each(|server| {
        let (mut stable, mut last) = (0, 0);
        wait("all is taken", || {
            let now = server.live().applied().sequence;
            stable = if now == last && now > 0 { stable + 1 } else { 0 };
            last = now;
            stable > 100
        });
    });
    let expected = items(&replayed([&left, &right], &[&left, &right].map(end)));
    wait("items follow people", || items(servers[0].live()) == expected);
    // And the backup is what the logs came to up to its positions.
    assert_eq!(made.positions.len(), 2);
    let wanted = replayed([&left, &right], &made.positions);
    let path = place.path().join(SNAPSHOT);
    let loaded = load(&path, &left.1.actions, &left.1.live.keep).unwrap();
    assert_eq!(loaded.head.sequence, made.snapshot);
    assert_eq!(items(&loaded.live), items(&wanted));
    let counts = |live: &Live| -> Vec<_> {
        let of = |who| live.person(&who).map(|state| format!("{:?}", state.counters));
        who().into_iter().map(of).collect()
    };
    assert_eq!(counts(&loaded.live), counts(&wanted));
}
