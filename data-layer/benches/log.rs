//! What the way in costs: a start from a log of 100,000 events, and events through check, log and live store.
//!
//! Data: interactions with ids, a tenth impressions, over 2,000 people and 1,000 items. Peers, in the same run: parsing the
//! same JSON into `serde_json::Value` and nothing else, and writing the same bytes to a plain file with one sync per batch.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use data_layer::config::Config;
use data_layer::ingest::{Form, Ingest};
use futures::executor::block_on;

const EVENTS: usize = 100_000;
const BATCH: usize = 100;
const NOW: i64 = 20_000 * 86_400_000;

fn batches() -> Vec<String> {
    let event = |n: usize| {
        let (user, item, time) = (n * 7919 % 2000, n * n % 1009 % 1000, NOW - (EVENTS - n) as i64 * 1000);
        if n.is_multiple_of(10) {
            format!(
                r#"{{"type":"impression","id":"v{n}","user":"u{user}","items":[{{"id":"i{item}","position":0}}],"time":{time}}}"#
            )
        } else {
            format!(
                r#"{{"type":"interaction","id":"e{n}","user":"u{user}","item":"i{item}","action":"click","time":{time}}}"#
            )
        }
    };
    let batch = |from: usize| {
        (from..from + BATCH).fold(String::new(), |mut body, n| {
            let _ = writeln!(body, "{}", event(n));
            body
        })
    };
    (0..EVENTS).step_by(BATCH).map(batch).collect()
}

fn timed(what: impl FnOnce()) -> Duration {
    let start = Instant::now();
    what();
    start.elapsed()
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::in_folder(folder.path()).expect("an empty configuration");
    let batches = batches();
    let parsed = timed(|| {
        for line in batches.iter().flat_map(|b| b.lines()) {
            black_box(serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        }
    });
    let written = timed(|| {
        let mut file = std::fs::File::create(folder.path().join("plain")).expect("a file");
        for body in &batches {
            file.write_all(body.as_bytes()).and_then(|()| file.sync_data()).expect("a disk");
        }
    });
    let one_by_one = timed(|| {
        let ingest = Ingest::open(&config).expect("an empty log");
        for body in &batches {
            let receipt = ingest.submit(body.as_bytes(), Form::Ndjson, NOW).map(block_on);
            assert_eq!(receipt.expect("a body").expect("a log").accepted, BATCH as u32);
        }
        ingest.close().expect("a disk");
    });
    let replayed = timed(|| drop(black_box(Ingest::open(&config).expect("the log"))));
    let rate = |time: Duration| EVENTS as f64 / time.as_secs_f64() / 1e6;
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!("{EVENTS} events, {BATCH} a batch");
    println!("parse only          {parsed:>10.1?}  {:.2} M/s", rate(parsed));
    println!("plain file + sync   {written:>10.1?}  {:.2} M/s", rate(written));
    println!(
        "ingest, one sender  {one_by_one:>10.1?}  {:.2} M/s  {:.1} x plain file + sync",
        rate(one_by_one),
        ratio(one_by_one, written)
    );
    println!(
        "start from the log  {replayed:>10.1?}  {:.2} M/s  {:.1} x parse only",
        rate(replayed),
        ratio(replayed, parsed)
    );
}
