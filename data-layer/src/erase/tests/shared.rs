//! Two servers that share a Redis: one is asked, both rewrite what their own logs and archives have of the person, and Redis keeps no name.

use std::time::Duration;

use super::folder::{GONE, GUEST, erase, say, wait_for};
use super::*;
use crate::config::Config;
use crate::ingest::Ingest;
use crate::ingest::shared::tests::not_run::not_run;
use crate::ingest::shared::tests::redis::{Kind, Redis};

fn server(redis: &Redis, folder: &Path) -> Ingest {
    let toml = format!(
        "[log]\narchive = \"old\"\ndedupe = \"1s\"\nerase_every = \"1s\"\nretention = \"4000d\"\n\
         [live]\nbackend = \"redis\"\nurl = \"{}\"\nread_timeout = \"2s\"\n",
        redis.url()
    );
    let file = folder.join("weir.toml");
    std::fs::write(&file, toml).unwrap();
    Ingest::open(&Config::load_with(file, []).unwrap()).unwrap()
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
