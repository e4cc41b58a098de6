//! The archive, what is read back from it, what is erased in it, and backups, in object storage that speaks S3: a local server, and a process that
//! finds its keys in the environment. What an archive promises is tried out more finely in a folder, in `src/archive/tests.rs`.

#[path = "../../tests/src/not_run.rs"]
mod not_run;
#[allow(dead_code)]
#[path = "../../tests/src/s3.rs"]
mod s3;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use data_layer::archive::{self, Store};
use data_layer::backup;
use data_layer::config::Config;
use data_layer::erase::State;
use data_layer::ingest::{Form, Ingest, check};
use data_layer::live::{Items, Live};
use data_layer::log::Reader;
use data_layer::log::entries::segments;
use data_layer::publish::remote::Address;
use data_layer::types::{Id, Person, Record, time};
use futures::executor::block_on;
use not_run::not_run;
use s3::{BUCKET, KEYS, S3};

const DAY: i64 = 86_400_000;
const NOW: i64 = 20_000 * DAY;
const DAYS: i64 = 6;
/// Where the server is, for the process that has its keys.
const ENDPOINT: &str = "WEIR_TEST_S3";
/// Nobody else is called so.
const GONE: &str = "user-74c1f0b2e9";

fn address(rest: &str) -> String {
    format!("s3://{BUCKET}/some/prefix/{rest}")
}

fn config(folder: &Path, endpoint: &str, more: &str) -> Config {
    let file = folder.join("weir.toml");
    let text = format!(
        "[log]\narchive = \"{}\"\ndedupe = \"1s\"\nerase_every = \"1s\"\nretention = \"1d\"\n\
         [log.store]\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\nallow_http = true\n{more}",
        address("old")
    );
    std::fs::write(&file, text).unwrap();
    Config::load_with(file, []).unwrap()
}

fn send(ingest: &Ingest, day: i64) {
    let time = NOW + day * DAY;
    let act = |who: &str, item: i64| {
        format!(r#"{{"type":"interaction","user":"{who}","item":"i{item}","action":"click","time":{time}}}"#)
    };
    let body = format!("[{},{},{}]", act(GONE, day % 2), act("other", day % 3), act("third", 1));
    let receipt = block_on(ingest.submit(body.as_bytes(), Form::Json, time).unwrap()).unwrap();
    assert_eq!((receipt.accepted, receipt.rejected), (3, Vec::new()));
    until(|| ingest.live().applied().sequence == receipt.position.sequence);
}

fn until(holds: impl Fn() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What was done with each item, and its weight by the rules of now.
fn totals(live: &Live) -> Vec<(String, [u32; 16])> {
    let items = live.items();
    let all = (0..3).filter_map(|n| items.ordinal(&format!("i{n}")));
    all.map(|item| (items.id(item).to_string(), items.row(item).0.map(f32::to_bits))).collect()
}

fn log(config: &Config) -> Vec<Record> {
    Reader::events(&config.log.dir, "main").unwrap().map(Result::unwrap).collect()
}

/// Brings an archive to a folder, object by object.
fn fetched(config: &Config) -> tempfile::TempDir {
    let store = Store::open(config.log.archive.as_ref().unwrap(), &config.log.store, "main").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["events", "decisions"].into_iter().flat_map(|stream| store.below(stream).unwrap()) {
        let path = folder.path().join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(store.get_file(&name, &path).unwrap());
    }
    folder
}

fn archived(config: &Config) -> Vec<Record> {
    let folder = fetched(config);
    archive::read::events(folder.path(), "main").unwrap().map(Result::unwrap).collect()
}

/// What the process with the keys runs; does nothing where it is not asked to.
#[test]
fn archive_erase_and_back_up_with_keys() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let folder = tempfile::tempdir().unwrap();
    let first = config(folder.path(), &endpoint, "[live.snapshots]\nevery = \"never\"\n");
    let ingest = Ingest::open(&first).unwrap();
    (0..DAYS).for_each(|day| send(&ingest, day));
    until(|| ingest.archive().unwrap().segments.load(Ordering::Relaxed) == DAYS as u64 - 1);
    let whole = log(&first);
    assert_eq!(archived(&first), whole[..whole.len() - 3]);
    ingest.close().unwrap();
    let kept = read_anew(folder.path(), &endpoint, &whole);
    erase(folder.path(), &endpoint, &kept);
    back_up(folder.path(), &endpoint);
}

/// What retention takes out of the log is read from there, where other rules make state anew. Gives the totals then.
fn read_anew(folder: &Path, endpoint: &str, whole: &[Record]) -> Vec<(String, [u32; 16])> {
    let old = config(folder, endpoint, "");
    // The first takes a snapshot at its end, the second needs no more than that.
    Ingest::open(&old).unwrap().close().unwrap();
    let ingest = Ingest::open(&old).unwrap();
    until(|| segments(&old.events_folder()).unwrap().len() == 1);
    ingest.close().unwrap();
    assert_eq!([archived(&old), log(&old)].concat(), whole);
    let rules = "[actions]\nclick = 2.0\n";
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("weir.toml"), rules).unwrap();
    let reference = Ingest::open(&Config::load_with(other.path().join("weir.toml"), []).unwrap()).unwrap();
    (0..DAYS).for_each(|day| send(&reference, day));
    let ingest = Ingest::open(&config(folder, endpoint, rules)).unwrap();
    until(|| {
        assert!(!ingest.rebuilding().unwrap().failed());
        ingest.rebuilding().unwrap().at().is_none()
    });
    assert_eq!(totals(ingest.live()), totals(reference.live()));
    ingest.close().unwrap();
    totals(reference.live())
}

/// Nothing there names who was erased, and totals are as they were.
fn erase(folder: &Path, endpoint: &str, kept: &[(String, [u32; 16])]) {
    let config = config(folder, endpoint, "[actions]\nclick = 2.0\n");
    let holds = |folder: &tempfile::TempDir| {
        let records = archive::read::events(folder.path(), "main").unwrap().map(Result::unwrap);
        records.filter(|record| format!("{:?}", record.event).contains(GONE)).count()
    };
    assert_eq!(holds(&fetched(&config)), DAYS as usize - 1);
    let ingest = Ingest::open(&config).unwrap();
    let who = check::erase(Person::user(Id::new(GONE).unwrap()), time::now());
    let receipt = block_on(ingest.submit_events(vec![who], time::now())).unwrap();
    until(|| ingest.erasures().status(receipt.position).is_some_and(|told| told.state == State::Done));
    assert_eq!(holds(&fetched(&config)), 0);
    assert_eq!(totals(ingest.live()), kept);
    ingest.close().unwrap();
}

/// A backup there is a log again elsewhere.
fn back_up(folder: &Path, endpoint: &str) {
    let config_of = |folder: &Path| config(folder, endpoint, "[actions]\nclick = 2.0\n");
    let (own, to) = (config_of(folder), Address::parse(&address("backup"), folder).unwrap());
    let made = backup::backup(&own, &to, &mut |_| {}).unwrap();
    assert!(made.files.len() > 2, "{made:?}");
    assert!(backup::backup(&own, &to, &mut |_| {}).is_err(), "there is one already");
    let other = tempfile::tempdir().unwrap();
    let elsewhere = config_of(other.path());
    backup::restore(&elsewhere, &to, false, &mut |_| {}).unwrap();
    assert_eq!(log(&elsewhere), log(&own));
    let [one, two] = [&own, &elsewhere].map(|config| totals(&Ingest::read_only(config).unwrap()));
    assert_eq!(one, two);
}

#[test]
fn an_archive_in_s3_is_read_erased_and_backed_up_as_one_in_a_folder() {
    let Some(server) = S3::start(false) else {
        return not_run("the S3-compatible server (scripts/s3-server)");
    };
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "archive_erase_and_back_up_with_keys", "--nocapture"])
        .env(ENDPOINT, server.endpoint())
        .envs(KEYS)
        .output()
        .unwrap();
    let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(done.status.success(), "{said}");
    for (name, value) in KEYS {
        assert!(!said.contains(value), "{name} is told:\n{said}");
    }
}
