//! Claims: an accepted event shows in the next answers within milliseconds while events come in at half the rate that the server can take; and what is
//! loaded behind the present at most doubles the 99th percentile of what the present waits.
//!
//! Measured, in process: a server with 2,500 items, a ranking and a `seen` filter. First the peak: interactions in batches of 100 until `EVENTS` (default
//! 300,000) are applied. Then, with batches at half that rate from another thread, `PROBES` times (default 2,000) a click by somebody new: from its receipt until an answer
//! leaves the item out, without `min_position`. Then the same with single events of the present at a twentieth of the peak, in turns alone and beside a
//! backfill that always has a piece of 128 KiB under way. Prints percentiles and ratios; absolute times on a shared machine mean little.

#[path = "../tests/site/mod.rs"]
mod site;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use app_layer::request::Request;
use app_layer::{Engine, flow};
use data_layer::Error;
use data_layer::ingest::{Form, Ingest, Lane};
use data_layer::types::time;
use futures::executor::block_on;
use site::{NOW, Site, catalogue, feed, id};

const ITEMS: usize = 2_500;
const BATCH: usize = 100;
/// Bytes of a backfill that are sent at a time, as `weir events load` does.
const PIECE: usize = 128 << 10;

const SCENE: &str = "scene = 'home'\nsize = 20\ndeadline_ms = 1000\nfallback = ['hot']
[[recall]]\nname = 'hot'\nkind = 'ranking'\ntable = 'hot'\nquota = 200
[[filter]]\nkind = 'seen'\n";

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One interaction as a line, its number making its id.
fn line(out: &mut String, number: usize, time: i64) {
    let (user, item) = (number * 7919 % 20_000, number.wrapping_mul(number) % 2_399);
    let _ = writeln!(
        out,
        r#"{{"type":"interaction","id":"e{number}","user":"u{user}","item":"i{item}","action":"click","time":{time}}}"#
    );
}

fn lines(from: usize, count: usize) -> String {
    let now = time::now();
    (from..from + count).fold(String::new(), |mut out, number| {
        line(&mut out, number, now);
        out
    })
}

/// Sends what nobody waits for; where nobody is let in, again after a moment.
fn send(ingest: &Ingest, body: &str, lane: Lane) {
    loop {
        let room = ingest.admission().admit(lane, body.len());
        let taken = room.and_then(|room| ingest.read(body.as_bytes(), Form::Ndjson, time::now(), room));
        match taken {
            Ok(taken) => return drop(block_on(ingest.take(taken)).expect("a log")),
            Err(Error::Busy { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Events a second from sending the first to having applied the last, with batches of four threads under way.
fn peak(ingest: &Ingest, events: usize, number: &AtomicUsize) -> f64 {
    let (start, end) = (Instant::now(), number.load(Ordering::Relaxed) + events);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let from = number.fetch_add(BATCH, Ordering::Relaxed);
                    if from >= end {
                        return;
                    }
                    send(ingest, &lines(from, BATCH), Lane::Live);
                }
            });
        }
    });
    while ingest.stats().lag.records() > 0 {
        std::thread::sleep(Duration::from_micros(200));
    }
    events as f64 / start.elapsed().as_secs_f64()
}

/// Sends `batch` events at a time, so many a second, until it is stopped.
fn stream(ingest: &Ingest, rate: f64, batch: usize, number: &AtomicUsize, stop: &AtomicBool) {
    let (start, mut sent) = (Instant::now(), 0_usize);
    while !stop.load(Ordering::Relaxed) {
        let due = Duration::from_secs_f64(sent as f64 / rate);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        send(ingest, &lines(number.fetch_add(batch, Ordering::Relaxed), batch), Lane::Live);
        sent += batch;
    }
}

/// What a request waits, and what an accepted event waits until it shows.
#[derive(Default)]
struct Waits {
    answers: Vec<Duration>,
    visible: Vec<Duration>,
}

/// Clicks of people of whom nothing is known, and answers until each shows.
fn probe(engine: &Engine, probes: usize, first: usize, waits: &mut Waits) {
    let ingest = engine.ingest().expect("a log");
    for n in first..first + probes {
        let request =
            Request { scene: "home".into(), user: Some(id(&format!("v{n}"))), ..Request::default() };
        let click = format!(
            r#"{{"type":"interaction","id":"p{n}","user":"v{n}","item":"i0","action":"click","time":{}}}"#,
            time::now()
        );
        send(ingest, &click, Lane::Live);
        let accepted = Instant::now();
        loop {
            let asked = Instant::now();
            let answer = block_on(flow::recommend(engine, &request)).expect("an answer");
            waits.answers.push(asked.elapsed());
            if answer.items.iter().all(|item| item.id != "i0") {
                break;
            }
        }
        waits.visible.push(accepted.elapsed());
    }
}

fn percentiles(of: &mut [Duration]) -> [Duration; 3] {
    of.sort_unstable();
    [0.5, 0.99, 0.999].map(|share| of[((of.len() - 1) as f64 * share) as usize])
}

fn main() {
    let (events, probes) = (setting("EVENTS", 300_000), setting("PROBES", 2_000));
    let site = Site::new();
    site.publish("hot", NOW, &[("all", site::ranking(0..200))]);
    site.write("scenes/home.toml", SCENE);
    let engine = site.open();
    feed(&engine, catalogue(ITEMS));
    let (ingest, number) = (engine.ingest().expect("a log").clone(), AtomicUsize::new(0));

    let peak = peak(&ingest, events, &number);
    println!("peak: {peak:.0} events/s accepted and applied");
    let (stop, mut waits) = (AtomicBool::new(false), Waits::default());
    std::thread::scope(|scope| {
        scope.spawn(|| stream(&ingest, peak / 2.0, BATCH, &number, &stop));
        probe(&engine, probes, 0, &mut waits);
        stop.store(true, Ordering::Relaxed);
    });
    println!("half of it: accepted until visible {:.1?} (p50, p99, p99.9)", percentiles(&mut waits.visible));
    println!("            an answer              {:.1?}", percentiles(&mut waits.answers));

    let (mut quiet, mut beside, past) = (Waits::default(), Waits::default(), AtomicUsize::new(0));
    let pieces = 8;
    for turn in 0..pieces {
        let stop = AtomicBool::new(false);
        let first = probes * (turn + 1);
        std::thread::scope(|scope| {
            scope.spawn(|| stream(&ingest, peak / 20.0, 1, &number, &stop));
            if turn % 2 == 1 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let count = PIECE / 100;
                        send(
                            &ingest,
                            &lines(number.fetch_add(count, Ordering::Relaxed), count),
                            Lane::Backfill,
                        );
                        past.fetch_add(count, Ordering::Relaxed);
                    }
                });
            }
            let waits = if turn % 2 == 1 { &mut beside } else { &mut quiet };
            probe(&engine, probes / 4, first, waits);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    for (name, quiet, beside) in [
        ("visible", percentiles(&mut quiet.visible), percentiles(&mut beside.visible)),
        ("an answer", percentiles(&mut quiet.answers), percentiles(&mut beside.answers)),
    ] {
        println!(
            "{name}: alone {quiet:.1?}, beside a backfill {beside:.1?}, p99 {:.2} times",
            ratio(beside[1], quiet[1])
        );
    }
    println!("{} events were loaded meanwhile", past.load(Ordering::Relaxed));
}
