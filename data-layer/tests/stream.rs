//! Events from a Redis Stream that somebody else writes: all of them once, while this server and Redis come and go.

#[path = "../../tests/src/not_run.rs"]
mod not_run;
#[allow(dead_code)]
#[path = "../../tests/src/redis.rs"]
mod redis;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use data_layer::Config;
use data_layer::ingest::Ingest;
use data_layer::ingest::stream::Streams;
use not_run::not_run;
use redis::{Cluster, Redis};

fn config(folder: &Path, rest: &str) -> data_layer::Result<Config> {
    let file = folder.join("weir.toml");
    std::fs::write(&file, format!("[streams.orders]\nkey = \"orders\"\n{rest}")).unwrap();
    Config::load_with(&file, [])
}

/// An entry as another system adds it.
fn add(server: &Redis, event: &str) {
    let id = server.say(&format!("XADD orders * version 1 event {event}"));
    assert!(id.contains('-'), "{id}");
}

fn click(number: usize) -> String {
    format!(r#"{{"type":"interaction","id":"e{number}","user":"u1","item":"i1","action":"click","time":1}}"#)
}

fn quoted(json: &str) -> String {
    format!("\"{}\"", json.replace('"', "\\\""))
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn accepted(ingest: &Ingest) -> u64 {
    ingest.stats().accepted.load(Ordering::Relaxed)
}

/// Entries that were handed out and not acknowledged.
fn pending(server: &Redis) -> String {
    server.say("XPENDING orders weir-main").lines().next().unwrap_or_default().to_owned()
}

#[test]
fn entries_are_taken_once_over_restarts_and_while_redis_is_away() {
    let Some(mut server) = Redis::start() else { return not_run("redis-server") };
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &format!("url = \"{}\"\ntimeout = \"300ms\"", server.url())).unwrap();
    (0..300).for_each(|n| add(&server, &quoted(&click(n))));
    let ingest = Ingest::open(&config).unwrap();
    let streams = Streams::start(&config, &ingest).unwrap();
    wait_until("what was there is not taken", || accepted(&ingest) == 300);
    server.kill();
    std::thread::sleep(Duration::from_millis(400));
    server.revive();
    // Several events in one entry, and what is no event in others.
    let mut more: Vec<String> = (300..310).map(|n| quoted(&click(n))).collect();
    more.push(quoted(&format!("[{},{}]", click(310), click(311))));
    more.extend([quoted("{\"type\":\"nothing\"}"), "{{".to_owned(), quoted(&click(312))]);
    more.iter().for_each(|event| add(&server, event));
    let id = server.say("XADD orders * other field");
    assert!(id.contains('-'), "{id}");
    wait_until("what came later is not taken", || accepted(&ingest) == 313);
    wait_until("not all is acknowledged", || pending(&server) == "0");
    drop(streams);
    ingest.close().unwrap();

    // Another start: handed out to it before, and not acknowledged.
    let member = server.say("XINFO CONSUMERS orders weir-main").lines().nth(1).unwrap().to_owned();
    add(&server, &quoted(&click(313)));
    add(&server, &quoted(&click(5)));
    let _ = server.say(&format!("XREADGROUP GROUP weir-main {member} COUNT 10 STREAMS orders >"));
    assert_eq!(pending(&server), "2");
    let ingest = Ingest::open(&config).unwrap();
    let streams = Streams::start(&config, &ingest).unwrap();
    wait_until("what it had is not taken", || accepted(&ingest) == 1);
    wait_until("not all is acknowledged", || pending(&server) == "0");
    assert_eq!(ingest.stats().duplicates.load(Ordering::Relaxed), 1);
    drop(streams);
    ingest.close().unwrap();
}

#[test]
fn a_stream_in_a_cluster_is_read_and_a_new_group_may_begin_behind_what_is_there() {
    let Some(cluster) = Cluster::start() else { return not_run("redis-server") };
    let folder = tempfile::tempdir().unwrap();
    let rest = format!("url = {:?}\ncluster = true\nfrom = \"newest\"", cluster.urls());
    let config = config(folder.path(), &rest).unwrap();
    // The node that has the key takes it, the others say where it is.
    let node = cluster
        .nodes
        .iter()
        .find(|node| node.say(&format!("XADD orders * event {}", quoted(&click(1)))).contains('-'));
    let node = node.unwrap();
    let ingest = Ingest::open(&config).unwrap();
    let streams = Streams::start(&config, &ingest).unwrap();
    wait_until("there is no group", || node.say("XINFO GROUPS orders").contains("weir-main"));
    add(node, &quoted(&click(2)));
    wait_until("it is not taken", || accepted(&ingest) == 1);
    drop(streams);
    ingest.close().unwrap();
}

#[test]
fn keys_that_make_no_sense_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (rest, named) in [
        ("url = \"http://x\"", "streams.orders.url"),
        ("url = [\"redis://a\", \"redis://b\"]", "streams.orders.url"),
        ("url = \"redis://a\"\nfield = \"\"", "streams.orders.field"),
        ("url = \"redis://a\"\ntimeout = \"0s\"", "streams.orders.timeout"),
        ("url = \"redis://a\"\nca = \"x.pem\"", "streams.orders.ca"),
        ("url = \"redis://a\"\nkind = 1", "kind"),
    ] {
        let refused = config(folder.path(), rest).unwrap_err().to_string();
        assert!(refused.contains(named), "{rest}: {refused}");
    }
}
