//! Servers that start from snapshots of items, while the streams are trimmed behind those, and while Redis loses some or all of what it had.

use crate::config::Config;
use crate::ingest::tests::{NOW, World, click, clicks, send};
use crate::ingest::{CatchUp, Ingest};
use crate::live::{Items, Live};
use crate::types::Value;

use super::*;

/// Forgets what it was not told to save.
const FORGETFUL: Kind = Kind { password: false, tls: false, forgets: true };

fn world(redis: &Redis, store: Option<&std::path::Path>) -> World {
    let store = store.map_or(String::new(), |store| format!("store = {:?}\n", store.display().to_string()));
    World::with(&format!(
        "[live]\nbackend = \"redis\"\nurl = \"{}\"\n[live.snapshots]\nevery = \"1h\"\nkeep = 1\n{store}",
        redis.url()
    ))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn click_anew(ingest: &Ingest, which: std::ops::Range<u32>) {
    which.for_each(|n| assert_eq!(send(ingest, &click(&format!("e{n}"))).accepted, 1));
}

fn say_price(ingest: &Ingest, price: u32) {
    let event = format!(
        r#"{{"type":"item","id":"i1","time":{NOW},"attributes":{{"price":{price},"shade":"blue"}}}}"#
    );
    assert_eq!(send(ingest, &event).accepted, 1);
}

fn price(live: &Live) -> Option<Value> {
    let items = live.items();
    items.value(items.field("price")?, items.ordinal("i1")?)
}

fn must_count(what: &str, ingest: &Ingest, expected: u64) {
    let mut last = 0;
    let until = Instant::now() + Duration::from_secs(60);
    while last != expected {
        assert!(Instant::now() < until, "{what}: {last} of {expected} clicks; {:?}", ingest.shared());
        std::thread::sleep(Duration::from_millis(5));
        last = clicks(ingest.live(), "i1");
    }
}

fn key(what: &str) -> String {
    format!("weir:main:{{{}}}:{what}", crate::shared::Place::of_item(&Id::new("i1").unwrap()))
}

/// The number of the first message about `i1` that Redis has.
fn first(redis: &Redis) -> u64 {
    number(&redis.say(&format!("XRANGE {} - + COUNT 1", key("out"))))
}

/// The number of the message that was answered with; 0 for none.
fn number(said: &str) -> u64 {
    said.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Has servers take snapshots, and waits until the stream begins where they stand.
fn trim(redis: &Redis, servers: &[&Ingest]) {
    // In one answer: it may be trimmed just now.
    let wanted = number(&redis.say(&format!("XREVRANGE {} + - COUNT 1", key("out"))));
    wait_until("not all has read all", || {
        let at = crate::shared::Place::of_item(&Id::new("i1").unwrap()).partition;
        servers.iter().all(|ingest| ingest.live().streams.lock()[usize::from(at)].ms == wanted)
    });
    servers.iter().for_each(|ingest| ingest.renew_snapshots().unwrap());
    wait_until("it is not trimmed", || first(redis) >= wanted);
}

#[test]
fn servers_start_from_their_own_snapshot_or_from_one_in_the_store_while_streams_are_trimmed() {
    let Some(redis) = Redis::start() else { return not_run("redis-server") };
    let store = tempfile::tempdir().unwrap();
    let worlds = [(); 3].map(|()| world(&redis, Some(store.path())));
    let [one, two] = [0, 1].map(|at: usize| worlds[at].open());
    say_price(&one, 3);
    click_anew(&one, 0..3);
    click_anew(&two, 3..5);
    [&one, &two].iter().for_each(|ingest| must_count("at first", ingest, 5));
    trim(&redis, &[&one, &two]);
    click_anew(&one, 5..7);
    must_count("after the snapshot", &two, 7);
    two.close().unwrap();
    let told = CatchUp::default();
    let two = Ingest::open_telling(&worlds[1].config, &told).unwrap();
    // What it has in its log since is read for repeats; all items and what came since the snapshot are there once.
    assert!(told.standing().1 > 0);
    must_count("after a restart", &two, 7);
    assert_eq!(send(&two, &click("e4")).duplicates, 1);
    let three = worlds[2].open();
    must_count("a new server", &three, 7);
    wait_until("it is not ready", || three.shared().unwrap().caught_up());
    click_anew(&three, 7..8);
    for ingest in [&one, &two, &three] {
        must_count("at last", ingest, 8);
        assert_eq!(price(ingest.live()), Some(Value::Int(3)));
        assert_eq!(ingest.shared().unwrap().reloads(), 0);
    }
    // One that names no store can't know what was said, and does not say that it does; and while it is there, nothing is trimmed.
    let lost = world(&redis, None);
    let lost = lost.open();
    wait_until("it is not told", || lost.shared().unwrap().stuck().is_some());
    assert!(!lost.shared().unwrap().caught_up());
    assert!(lost.shared().unwrap().stuck().unwrap().contains("store"));
}

#[test]
fn a_server_that_was_away_too_long_starts_from_what_another_copied() {
    let Some(redis) = Redis::start() else { return not_run("redis-server") };
    let store = tempfile::tempdir().unwrap();
    let worlds = [(); 2].map(|()| world(&redis, Some(store.path())));
    let [one, two] = [0, 1].map(|at: usize| worlds[at].open());
    click_anew(&two, 0..2);
    must_count("at first", &one, 2);
    trim(&redis, &[&one, &two]);
    let name = format!("out:{:016x}", two.live().applied().producer);
    wait_until("it does not say what it needs", || {
        redis.say(&format!("HEXISTS {} {name}", key("holds"))) == "1"
    });
    two.close().unwrap();
    for n in 2..5 {
        click_anew(&one, n..n + 1);
        must_count("one by one", &one, u64::from(n) + 1);
    }
    let before = first(&redis);
    one.renew_snapshots().unwrap();
    click_anew(&one, 5..6);
    assert_eq!(first(&redis), before, "the server that is away still needs it");
    assert_eq!(redis.say(&format!("HDEL {} {name}", key("holds"))), "1");
    must_count("one by one", &one, 6);
    trim(&redis, &[&one]);
    assert!(first(&redis) > before + 1);
    let two = worlds[1].open();
    must_count("after its time", &two, 6);
    wait_until("it is not ready", || two.shared().unwrap().caught_up());
    assert_eq!(two.shared().unwrap().reloads(), 1);
    click_anew(&two, 6..7);
    [&one, &two].iter().for_each(|ingest| must_count("at last", ingest, 7));
}

#[test]
fn what_redis_loses_is_counted_once_again_and_attributes_stay() {
    let Some(mut redis) = Redis::of(FORGETFUL) else { return not_run("redis-server") };
    let store = tempfile::tempdir().unwrap();
    let worlds = [(); 2].map(|()| world(&redis, Some(store.path())));
    let [one, two] = [0, 1].map(|at: usize| worlds[at].open());
    click_anew(&one, 0..3);
    say_price(&two, 4);
    click_anew(&two, 3..5);
    must_count("at first", &one, 5);
    trim(&redis, &[&one, &two]);
    // All of it, while all logs are there.
    redis.kill();
    redis.revive();
    for ingest in [&one, &two] {
        click_anew(ingest, if std::ptr::eq(ingest, &one) { 5..6 } else { 6..7 });
    }
    for ingest in [&one, &two] {
        must_count("after all was lost", ingest, 7);
        assert_eq!(price(ingest.live()), Some(Value::Int(4)));
    }
    trim(&redis, &[&one, &two]);
    // And while one log is gone: what was said stays, what was counted is what is left.
    two.close().unwrap();
    std::fs::remove_dir_all(&worlds[1].config.log.dir).unwrap();
    redis.kill();
    redis.revive();
    must_count("after all and a log was lost", &one, 4);
    click_anew(&one, 7..8);
    must_count("at last", &one, 5);
    assert_eq!(price(one.live()), Some(Value::Int(4)));
    // A server that starts from a snapshot of before does alike.
    let two = worlds[1].open();
    must_count("a server that starts", &two, 5);
    assert_eq!(price(two.live()), Some(Value::Int(4)));
}

#[test]
fn however_often_redis_forgets_each_click_counts_once() {
    let Some(mut redis) = Redis::of(FORGETFUL) else { return not_run("redis-server") };
    let worlds = [(); 2].map(|()| world(&redis, None));
    let [one, two] = [0, 1].map(|at: usize| worlds[at].open());
    let (mut sent, count) = (0, |sent: u64| {
        [&one, &two].iter().for_each(|ingest| must_count("after it forgot", ingest, sent));
    });
    for round in 0..12 {
        for ingest in [&one, &two] {
            for _ in 0..5 {
                let event = click(&format!("e{sent}")).replace("u1", &format!("u{}", sent % 7));
                assert_eq!(send(ingest, &event).accepted, 1);
                sent += 1;
            }
        }
        // At another point of what is under way each time; sometimes before it has recovered from the last time.
        std::thread::sleep(Duration::from_millis(round * 9));
        redis.kill();
        redis.revive();
        if round % 4 == 3 {
            count(sent);
        }
    }
    // It stays so.
    std::thread::sleep(Duration::from_millis(500));
    count(sent);
}

#[test]
fn what_redis_lost_last_counts_once_by_the_snapshot_before_it() {
    let Some(mut redis) = Redis::of(FORGETFUL) else { return not_run("redis-server") };
    let store = tempfile::tempdir().unwrap();
    let worlds = [(); 2].map(|()| world(&redis, Some(store.path())));
    let [one, two] = [0, 1].map(|at: usize| worlds[at].open());
    say_price(&one, 5);
    click_anew(&one, 0..3);
    must_count("at first", &two, 3);
    trim(&redis, &[&one, &two]);
    assert_eq!(redis.say("SAVE"), "OK");
    click_anew(&one, 3..5);
    click_anew(&two, 5..6);
    [&one, &two].iter().for_each(|ingest| must_count("before it dies", ingest, 6));
    redis.kill();
    redis.revive();
    click_anew(&two, 6..7);
    for ingest in [&one, &two] {
        must_count("after it came back", ingest, 7);
        assert_eq!(ingest.shared().unwrap().reloads(), 1);
    }
    // What nobody has a snapshot of any more stays as it is known, rather than being lost.
    assert_eq!(redis.say("SAVE"), "OK");
    click_anew(&one, 7..9);
    must_count("before it dies again", &two, 9);
    trim(&redis, &[&one, &two]);
    redis.kill();
    redis.revive();
    click_anew(&one, 9..10);
    wait_until("nothing is counted any more", || clicks(two.live(), "i1") >= 10);
    assert_eq!(price(two.live()), Some(Value::Int(5)));
}

#[test]
fn items_of_other_rules_are_made_anew_where_all_of_them_can_be() {
    let Some(redis) = Redis::start() else { return not_run("redis-server") };
    let store = tempfile::tempdir().unwrap();
    let world = world(&redis, Some(store.path()));
    let weight = |ingest: &Ingest| {
        let items = ingest.live().items();
        items.row(items.ordinal("i1").unwrap()).positive()
    };
    let reopened = |weight: &str| {
        let text = std::fs::read_to_string(&world.config.file).unwrap();
        std::fs::write(&world.config.file, format!("{text}[actions]\nclick = {weight}\n")).unwrap();
        Ingest::open(&Config::load_with(&world.config.file, []).unwrap()).unwrap()
    };
    let ingest = world.open();
    click_anew(&ingest, 0..3);
    must_count("at first", &ingest, 3);
    let before = weight(&ingest);
    ingest.close().unwrap();
    let ingest = reopened("7.0");
    wait_until("it is not ready", || ingest.shared().unwrap().caught_up());
    must_count("by other rules", &ingest, 3);
    assert_eq!(weight(&ingest), 21.0);
    assert!(before < 21.0 && ingest.rebuilding().is_none());
    trim(&redis, &[&ingest]);
    ingest.close().unwrap();
    let text = std::fs::read_to_string(&world.config.file).unwrap();
    std::fs::write(&world.config.file, text.replace("[actions]\nclick = 7.0\n", "")).unwrap();
    let ingest = reopened("9.0");
    wait_until("it is not ready", || ingest.shared().unwrap().caught_up());
    assert_eq!((clicks(ingest.live(), "i1"), weight(&ingest)), (3, 21.0), "what was counted stays");
    click_anew(&ingest, 3..4);
    must_count("by the new rules", &ingest, 4);
}
