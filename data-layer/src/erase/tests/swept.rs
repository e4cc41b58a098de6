//! What is left in Redis of somebody who was erased: no byte of their id, and nothing that anybody else would miss.

use std::time::{Duration, Instant};

use futures::executor::block_on;

use super::folder::{GONE, GUEST, erase, say, wait_for};
use super::*;
use crate::ingest::shared::tests::not_run::not_run;
use crate::ingest::shared::tests::redis::{Kind, Redis};
use crate::ingest::{Form, Ingest};
use crate::live::Items;

fn server(redis: &Redis, folder: &Path) -> Ingest {
    let toml = format!(
        "[log]\ndedupe = \"1s\"\nerase_every = \"1s\"\n\
         [live]\nbackend = \"redis\"\nurl = \"{}\"\nread_timeout = \"2s\"\nties = 1\n",
        redis.url()
    );
    std::fs::write(folder.join("weir.toml"), toml).unwrap();
    Ingest::open(&Config::load_with(folder.join("weir.toml"), []).unwrap()).unwrap()
}

fn send(server: &Ingest, events: &[String]) {
    let body = format!("[{}]", events.join(","));
    let receipt = block_on(server.submit(body.as_bytes(), Form::Json, NOW + 3 * DAY).unwrap()).unwrap();
    assert_eq!((receipt.accepted as usize, receipt.rejected), (events.len(), Vec::new()));
    until("it counts", || server.live().applied().sequence >= receipt.position.sequence);
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Keys whose name or value has a text.
fn holding(redis: &Redis, text: &str) -> Vec<String> {
    let keys = redis.say("KEYS *");
    let has = |key: &&str| {
        let value = match redis.say(&format!("TYPE {key}")).as_str() {
            "string" => redis.say(&format!("GET {key}")),
            "hash" => redis.say(&format!("HGETALL {key}")),
            "stream" => redis.say(&format!("XRANGE {key} - +")),
            "zset" => redis.say(&format!("ZRANGE {key} 0 -1")),
            "none" => String::new(),
            other => panic!("{key} is a {other}"),
        };
        key.contains(text) || value.contains(text)
    };
    keys.lines().filter(has).map(str::to_owned).collect()
}

fn clicks(server: &Ingest, item: &str) -> u64 {
    let items = server.live().items();
    let click = server.live().actions().id("click").unwrap();
    items.ordinal(item).map_or(0, |item| items.counters(item).total(click))
}

#[test]
fn no_byte_of_an_erased_id_is_left_in_redis() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let folder = tempfile::tempdir().unwrap();
    let server = server(&redis, folder.path());
    say(&server);
    // More ties than are kept: nobody knows any more who holds the name.
    let follow = |who: usize| {
        let time = NOW + 2 * DAY + who as Millis;
        format!(r#"{{"type":"edge","from":"fan{who}","to":"{GONE}","relation":"follow","time":{time}}}"#)
    };
    send(&server, &(0..4).map(follow).collect::<Vec<_>>());
    until("ties have come", || holding(&redis, GONE).len() > 6);
    assert!(!holding(&redis, GUEST).is_empty());
    let asked = erase(&server, GONE, NOW + 3 * DAY);
    wait_for(&server, asked);
    until("nobody is told of it any more", || redis.say("HLEN weir:main:{erasures}:asked") == "0");
    for name in [GONE, GUEST] {
        assert_eq!(holding(&redis, name), Vec::<String>::new(), "{name}");
    }
    // What they did can be taken back from what items have.
    let before = clicks(&server, "i2");
    let time = NOW + 3 * DAY;
    send(&server, &[format!(r#"{{"type":"interaction","id":"g2","retracted":true,"time":{time}}}"#)]);
    until("it is taken back", || clicks(&server, "i2") == before - 1);
    server.close().unwrap();
}

#[test]
fn who_has_an_erased_id_since_is_left_alone() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let folder = tempfile::tempdir().unwrap();
    let server = server(&redis, folder.path());
    say(&server);
    let asked = erase(&server, GONE, NOW + 3 * DAY);
    let time = NOW + 3 * DAY;
    let act = |id: &str| {
        format!(
            r#"{{"type":"interaction","id":"{id}","user":"{GONE}","item":"i7","action":"click","time":{time}}}"#
        )
    };
    send(&server, &[act("n1"), act("n2")]);
    wait_for(&server, asked);
    let person = [Person::user(id(GONE))];
    let known = || block_on(server.live().people().read(&person)).ok()?.pop()?;
    assert_eq!(known().unwrap().actions.len(), 2);
    // By the id alone: the note says whose it is.
    send(&server, &[format!(r#"{{"type":"interaction","id":"n1","retracted":true,"time":{time}}}"#)]);
    until("it is taken back", || known().is_some_and(|state| state.actions.len() == 1));
    server.close().unwrap();
}
