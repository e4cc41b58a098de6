//! Two servers that share a Redis: one is asked, both rewrite what their own logs and archives have of the person, and Redis keeps no name.

use std::time::Duration;

use super::folder::{GONE, GUEST, erase, say, wait_for};
use super::*;
use crate::config::Config;
use crate::ingest::Ingest;
use crate::ingest::shared::tests::not_run::not_run;
use crate::ingest::shared::tests::redis::{Kind, Redis};

fn server(redis: &Redis, folder: &Path) -> Ingest {
    server_that(redis, folder, "1s")
}

fn server_that(redis: &Redis, folder: &Path, erase_every: &str) -> Ingest {
    let toml = format!(
        "[log]\narchive = \"old\"\ndedupe = \"1s\"\nerase_every = \"{erase_every}\"\nretention = \"4000d\"\n\
         [live]\nbackend = \"redis\"\nurl = \"{}\"\nread_timeout = \"2s\"\n",
        redis.url()
    );
    std::fs::write(folder.join("weir.toml"), toml).unwrap();
    Ingest::open(&config_of(folder)).unwrap()
}

fn config_of(folder: &Path) -> Config {
    Config::load_with(folder.join("weir.toml"), []).unwrap()
}

#[test]
fn who_is_erased_on_one_server_is_erased_in_the_files_of_all() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [left, right] = [0, 1].map(|at| server(&redis, folders[at].path()));
    [&left, &right].into_iter().for_each(say);
    assert!(folders.iter().all(|folder| !holding(folder.path(), GONE).is_empty()));
    // One that is away while the other is asked, and that nobody has asked yet who it is.
    right.close().unwrap();
    let asked = erase(&left, GONE, NOW + 3 * DAY);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let status = || left.erasures().status(asked).unwrap();
    while !status().servers.iter().any(|peer| peer.state == State::Done) {
        assert!(std::time::Instant::now() < until, "{:?}", status());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((status().state, status().servers.len()), (State::Rewriting, 2));
    assert!(!holding(folders[1].path(), GONE).is_empty());
    let right = server(&redis, folders[1].path());
    wait_for(&left, asked);
    while right.erasures().status(asked).is_none_or(|status| status.state != State::Done) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((left.erasures().pending(), right.erasures().pending()), (0, 0));
    assert!(!redis.say("HGETALL weir:main:{erasures}:asked").contains(GONE));
    for (server, folder) in [left, right].into_iter().zip(&folders) {
        server.close().unwrap();
        for name in [GONE, GUEST] {
            assert_eq!(holding(folder.path(), name), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn whom_another_log_knows_to_be_meant_is_erased_too() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [left, right] = [0, 1].map(|at| server(&redis, folders[at].path()));
    let send = |server: &Ingest, body: &str| {
        let form = crate::ingest::Form::Json;
        let receipt =
            futures::executor::block_on(server.submit(body.as_bytes(), form, NOW).unwrap()).unwrap();
        assert_eq!(receipt.accepted, 1);
        while server.live().applied().sequence < receipt.position.sequence {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // What they did is in one log, who they are in the other, and it is asked of the first.
    send(
        &left,
        &format!(
            r#"[{{"type":"interaction","anonymous":"{GUEST}","item":"i","action":"click","time":{NOW}}}]"#
        ),
    );
    send(&right, &format!(r#"[{{"type":"identify","anonymous":"{GUEST}","user":"{GONE}","time":{NOW}}}]"#));
    while servers(&config_of(folders[0].path())).unwrap().len() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = erase(&left, GONE, NOW);
    wait_for(&left, asked);
    for (server, folder) in [left, right].into_iter().zip(&folders) {
        assert_eq!(server.erasures().pending(), 0);
        server.close().unwrap();
        for name in [GONE, GUEST] {
            assert_eq!(holding(folder.path(), name), Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn what_redis_lost_of_an_erasure_is_told_again() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let left = server_that(&redis, folders[0].path(), "1d");
    erase(&left, GONE, crate::types::time::now());
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(std::time::Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let asked = || redis.say("HGETALL weir:main:{erasures}:asked");
    until("it is told", &|| asked().contains(GONE));
    assert_eq!(redis.say("FLUSHALL"), "OK");
    until("it is told again", &|| asked().contains(GONE));
    // One that was away.
    let right = server_that(&redis, folders[1].path(), "1d");
    until("it is taken up", &|| right.erasures().newest(&Person::user(id(GONE))).is_some());
    [left, right].into_iter().for_each(|server| server.close().unwrap());
}

#[test]
fn who_is_gone_for_good_is_waited_for_no_longer() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [left, right] = [0, 1].map(|at| server(&redis, folders[at].path()));
    let all = || servers(&config_of(folders[0].path())).unwrap();
    while all().len() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let gone = format!("{:016x}", right.live().applied().producer);
    right.close().unwrap();
    let asked = erase(&left, GONE, NOW);
    while !left
        .erasures()
        .status(asked)
        .is_some_and(|s| s.servers.iter().any(|peer| peer.state == State::Done))
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(all().into_iter().map(|server| (server.log == gone, server.open)).max(), Some((true, 1)));
    let forget = |log: &str, now: Millis| {
        forget_server(&config_of(folders[0].path()), log, now).map_err(|e| e.to_string())
    };
    let now = crate::types::time::now();
    assert!(forget(&gone, now).unwrap_err().contains("stop it"));
    assert!(forget("00000000000000ff", now).unwrap_err().contains("erasures servers"));
    forget(&gone, now + DAY).unwrap();
    wait_for(&left, asked);
    // Long ago by its own time, so that nothing is told of it any more.
    while redis.say("HLEN weir:main:{erasures}:asked") != "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(redis.say("HLEN weir:main:{erasures}:states"), "0");
    assert_eq!(left.erasures().status(asked).unwrap().state, State::Done);
    left.close().unwrap();
    let alone = Config::in_folder(folders[1].path()).unwrap();
    assert!(servers(&alone).unwrap_err().to_string().contains("one alone"));
}
