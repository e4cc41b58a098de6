//! What the way in costs: durable events a second with many senders in flight, batches of 100, through check, log and live store; the
//! time to decode a record; and a start from the snapshot that closing left.
//!
//! Data: interactions with ids, a tenth impressions, over 20,000 people and 10,000 items. Peers, in the same run: writing as many
//! bytes as the log got to a plain file, in as many parts, each with one `fdatasync`; and parsing the same JSON into
//! `serde_json::Value` and nothing else. `EVENTS`, `SENDERS` (threads) and `FLIGHT` (batches that each has under way) change the size.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use data_layer::config::Config;
use data_layer::ingest::{Form, Ingest, Receipt};
use data_layer::log::{Entries, Stream, codec, format};
use data_layer::{Error, Result};
use futures::executor::block_on;

const BATCH: usize = 100;
const NOW: i64 = 20_000 * 86_400_000;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn batches(events: usize) -> Vec<String> {
    let event = |n: usize| {
        let (user, item, time) = (n * 7919 % 20_000, n * n % 10_007 % 10_000, NOW - (events - n) as i64);
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
    (0..events).step_by(BATCH).map(batch).collect()
}

/// Wall time and processor time of all threads.
fn timed(what: impl FnOnce()) -> (Duration, Duration) {
    let (start, before) = (Instant::now(), processor());
    what();
    (start.elapsed(), processor() - before)
}

/// Processor time of this process, in ticks of 10 ms.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Hands a batch over; where nobody is let in, again after a moment, as clients do. Counts how often that was.
fn submit(ingest: &Ingest, body: &str, busy: &AtomicU64) -> impl Future<Output = Result<Receipt>> + use<> {
    loop {
        match ingest.submit(body.as_bytes(), Form::Ndjson, NOW) {
            Ok(sent) => return sent,
            Err(Error::Busy { .. }) => {
                busy.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// All batches through some threads, each with so many under way. Gives how often nobody was let in.
fn ingest(ingest: &Ingest, batches: &[String], senders: usize, flight: usize) -> u64 {
    let (next, busy) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..senders {
            scope.spawn(|| {
                let mut under_way = VecDeque::new();
                while let Some(body) = batches.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    under_way.push_back(submit(ingest, body, &busy));
                    if under_way.len() == flight
                        && let Some(oldest) = under_way.pop_front()
                    {
                        assert_eq!(block_on(oldest).expect("a log").accepted, BATCH as u32);
                    }
                }
                for sent in under_way {
                    assert_eq!(block_on(sent).expect("a log").accepted, BATCH as u32);
                }
            });
        }
    });
    busy.into_inner()
}

/// The same bytes in as many parts, each synced.
fn plain(folder: &std::path::Path, bytes: u64, groups: u64) {
    let part = vec![b'x'; (bytes / groups.max(1)) as usize];
    let mut file = std::fs::File::create(folder.join("plain")).expect("a file");
    for _ in 0..groups {
        file.write_all(&part).and_then(|()| file.sync_data()).expect("a disk");
    }
}

fn main() {
    let (events, senders, flight) =
        (setting("EVENTS", 600_000), setting("SENDERS", 2), setting("FLIGHT", 32));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::in_folder(folder.path()).expect("an empty configuration");
    let batches = batches(events);
    let parse = timed(|| {
        for line in batches.iter().flat_map(|b| b.lines()) {
            black_box(serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        }
    });
    let log = Ingest::open(&config).expect("an empty log");
    let mut busy = 0;
    let durable = timed(|| busy = ingest(&log, &batches, senders, flight));
    let lag = log.stats().lag.records();
    let applied = timed(|| {
        while log.stats().lag.records() > 0 {
            std::thread::sleep(Duration::from_millis(1))
        }
    });
    let groups = log.stats().groups.load(Ordering::Relaxed);
    let synced = Duration::from_micros(log.stats().sync_us.load(Ordering::Relaxed));
    let remembered = log.stats().remembered_bytes.load(Ordering::Relaxed);
    log.close().expect("a disk");
    let bytes: u64 = data_layer::log::entries::segments(&config.events_folder())
        .expect("a folder")
        .iter()
        .map(|(_, path)| path.metadata().map_or(0, |m| m.len()))
        .sum();
    let disk = timed(|| plain(folder.path(), bytes, groups));
    let entries: Vec<_> = Entries::open(&config.events_folder(), Stream::Events, 0)
        .expect("the log")
        .map(|entry| entry.expect("a record"))
        .collect();
    let decode = timed(|| {
        for entry in &entries {
            black_box(format::decode_event(entry.version, entry.kind, &entry.payload).expect("an event"));
        }
    });
    let decoded: Vec<_> =
        entries.iter().map(|e| codec::decode(e.kind, &e.payload).expect("an event")).collect();
    let mut out = Vec::new();
    let encode = timed(|| {
        for event in &decoded {
            out.clear();
            codec::encode(black_box(event), &mut out).expect("an event");
        }
    });
    drop(decoded);
    let read = timed(|| {
        let mut entries = Entries::open(&config.events_folder(), Stream::Events, 0).expect("the log");
        while black_box(entries.next_ref().expect("a record")).is_some() {}
    });
    let start = timed(|| drop(black_box(Ingest::open(&config).expect("the log"))));
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    let each = |time: Duration| time.as_nanos() as f64 / events as f64;
    println!("{events} events, {BATCH} a batch, {senders} senders with {flight} batches each under way");
    println!("parse only            {:>9.0} events/s  {:.0} ns each", rate(parse.0), each(parse.0));
    println!(
        "durable               {:>9.0} events/s  {:.0} events per second of processor; {groups} groups of {:.0} events",
        rate(durable.0),
        rate(durable.1),
        events as f64 / groups as f64
    );
    println!("  of that in write and sync {:.0} %", 100.0 * synced.as_secs_f64() / durable.0.as_secs_f64());
    println!("  {lag} were applied later, after {:.1?}; nobody was let in {busy} times", applied.0);
    println!(
        "  {:.1} bytes of dedupe an event, {:.1} bytes of log",
        remembered as f64 / events as f64,
        bytes as f64 / events as f64
    );
    println!(
        "plain file, fdatasync {:>9.0} events/s  durable reaches {:.2} of it",
        rate(disk.0),
        disk.0.as_secs_f64() / durable.0.as_secs_f64()
    );
    println!(
        "encode {:.0} ns, decode {:.0} ns, read and check {:.0} ns an event",
        each(encode.0),
        each(decode.0),
        each(read.0)
    );
    println!(
        "start from a snapshot {:>9.0} events/s  {:.0} events per second of processor; {:.2} x parse only",
        rate(start.0),
        rate(start.1),
        start.0.as_secs_f64() / parse.0.as_secs_f64()
    );
}
