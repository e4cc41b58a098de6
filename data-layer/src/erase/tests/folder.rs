//! A whole data folder: everything that a client can say of somebody, an archive, a server that goes on meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;

use super::*;
use crate::archive::read;
use crate::config::Config;
use crate::ingest::{Form, Ingest, check};
use crate::log::Holds;

/// Nobody else is called so.
pub(super) const GONE: &str = "user-74c1f0b2e9";
pub(super) const GUEST: &str = "device-5d0e88a713";

fn config(folder: &Path) -> Config {
    let file = folder.join("weir.toml");
    std::fs::write(&file, "[log]\narchive = \"old\"\ndedupe = \"1s\"\nerase_every = \"1s\"\n").unwrap();
    Config::load_with(file, []).unwrap()
}

fn send(ingest: &Ingest, body: &str, at: Millis) {
    let receipt = block_on(ingest.submit(body.as_bytes(), Form::Json, at).unwrap()).unwrap();
    assert_eq!(receipt.rejected, Vec::new());
    applied(ingest, receipt.position.sequence);
}

fn applied(ingest: &Ingest, sequence: u64) {
    while ingest.live().applied().sequence < sequence {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Every form of event, about both and about others; each day another segment.
pub(super) fn say(ingest: &Ingest) {
    for day in 0..3 {
        let at = NOW + day * DAY;
        let act = |who: &str, item: u32, more: &str| {
            format!(r#"{{"type":"interaction",{who},"item":"i{item}","action":"click","time":{at}{more}}}"#)
        };
        let gone = format!(r#""user":"{GONE}""#);
        let guest = format!(r#""anonymous":"{GUEST}""#);
        let events = [
            act(&guest, 1, ""),
            act(&guest, 2, &format!(r#","id":"g{day}""#)),
            act(&gone, 1, &format!(r#","session_id":"{GUEST}","context":{{"name":"{GONE}"}}"#)),
            act(&gone, 3, &format!(r#","id":"e{day}""#)),
            act(r#""user":"other""#, 1, ""),
            format!(r#"{{"type":"impression",{gone},"items":[{{"id":"i1"}}],"time":{at}}}"#),
            format!(r#"{{"type":"identify","anonymous":"{GUEST}","user":"{GONE}","time":{at}}}"#),
            format!(r#"{{"type":"edge","from":"{GONE}","to":"other","relation":"follow","time":{at}}}"#),
            format!(r#"{{"type":"edge","from":"other","to":"{GONE}","relation":"follow","time":{at}}}"#),
            format!(
                r#"{{"type":"user","id":"{GONE}","attributes":{{"mail":"{GONE}@example.org"}},"time":{at}}}"#
            ),
            format!(r#"{{"type":"interaction","id":"e{day}","retracted":true,{gone},"time":{at}}}"#),
        ];
        send(ingest, &format!("[{}]", events.join(",")), at);
        let position = ingest.live().applied().to_string();
        ingest.decide(decision(&format!("r{day}"), GONE, at, &position));
        ingest.decide(decision(&format!("s{day}"), "other", at, &position));
    }
}

pub(super) fn erase(ingest: &Ingest, user: &str, at: Millis) -> crate::types::Position {
    let event = check::erase(Person::user(id(user)), at);
    let receipt = block_on(ingest.submit_events(vec![event], at)).unwrap();
    applied(ingest, receipt.position.sequence);
    receipt.position
}

pub(super) fn wait_for(ingest: &Ingest, position: crate::types::Position) {
    while ingest.erasures().status(position).unwrap().state != State::Done {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn totals(ingest: &Ingest) -> std::collections::BTreeMap<String, String> {
    shown(ingest.live(), &[Person::user(id("other"))])
}

#[test]
fn no_byte_of_an_erased_id_is_left_and_totals_stay() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let ingest = Ingest::open(&config).unwrap();
    say(&ingest);
    // A part of a torn group that was kept, and a segment that is in the archive before anything is asked for.
    std::fs::write(config.events_folder().join("00000000000000000001.99.torn"), GONE).unwrap();
    while ingest.archive().unwrap().segments.load(std::sync::atomic::Ordering::Relaxed) < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(holding(folder.path(), GONE).len() > 3);
    let at = NOW + 2 * DAY + 1;
    let position = erase(&ingest, GONE, at);
    assert_eq!(ingest.live().person(&Person::user(id(GONE))).map(drop), None);
    assert_eq!(ingest.erasures().newest(&Person::user(id(GONE))), Some((position.sequence, at)));
    let before = totals(&ingest);
    wait_for(&ingest, position);
    for name in [GONE, GUEST] {
        assert_eq!(holding(folder.path(), name), Vec::<String>::new());
    }
    assert_eq!(totals(&ingest), before);
    let status = ingest.erasures().status(position).unwrap();
    assert!(status.files >= 4 && status.records >= 30, "{status:?}");
    // Who has the id now is somebody else, before and after a start.
    let act =
        format!(r#"[{{"type":"interaction","user":"{GONE}","item":"i9","action":"click","time":{at}}}]"#);
    send(&ingest, &act, at + 1);
    let before = totals(&ingest);
    ingest.close().unwrap();
    let ingest = Ingest::open(&config).unwrap();
    assert_eq!(totals(&ingest), before);
    assert_eq!(ingest.live().person(&Person::user(id(GONE))).unwrap().actions.len(), 1);
    assert_eq!(ingest.live().people_len(), 2);
    assert_eq!(ingest.erasures().status(position).unwrap().state, State::Done);
    assert_eq!(ingest.erasures().newest(&Person::user(id(GONE))), Some((position.sequence, at)));
    assert_eq!(ingest.erasures().pending(), 0);
    // Those of old days are in the archive alone: retention has taken them out of the log.
    let old = folder.path().join("old");
    while read::decisions(&old, "main").unwrap().filter_map(Result::ok).count() < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    ingest.close().unwrap();
    let kept = read::decisions(&old, "main").unwrap().map(|d| d.unwrap().request_id);
    assert_eq!(kept.collect::<Vec<_>>(), ["s0", "s1", "s2"]);
    let archived = read::events(&old, "main").unwrap().map(Result::unwrap).count();
    assert!(archived > 20, "{archived}");
}

#[test]
fn an_erasure_waits_for_who_keeps_what_was_made_before_it() {
    #[derive(Debug)]
    struct Slow(std::sync::atomic::AtomicU64);
    impl Holds for Slow {
        fn name(&self) -> &'static str {
            "a slow one"
        }
        fn needs_from(&self) -> u64 {
            self.0.load(std::sync::atomic::Ordering::SeqCst)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::in_folder(folder.path()).unwrap();
    config.log.erase_every = 1;
    let ingest = Ingest::open(&config).unwrap();
    let slow = Arc::new(Slow(1.into()));
    ingest.hold(Arc::<Slow>::clone(&slow));
    let act =
        format!(r#"[{{"type":"interaction","user":"{GONE}","item":"i","action":"click","time":{NOW}}}]"#);
    send(&ingest, &act, NOW);
    let position = erase(&ingest, GONE, NOW + 1);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(ingest.erasures().status(position).unwrap().state, State::Pending);
    slow.0.store(position.sequence + 1, std::sync::atomic::Ordering::SeqCst);
    wait_for(&ingest, position);
    ingest.close().unwrap();
    assert_eq!(holding(folder.path(), GONE), Vec::<String>::new());
}
