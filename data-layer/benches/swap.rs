//! What a swap costs those who read: the time of a read while generations are loaded and swapped in, beside the time of the same reads
//! while nothing happens, in turns within one run.
//!
//! Data: a table of 200,000 keys × 50 (item, score), `KEYS=` for another number, in four generations that differ in their scores. A read
//! is a request's: it takes a snapshot and reads 32 lists in one batch, in random order. One thread reads; another makes 100 swaps
//! (`SWAPS=`), each of which checks every byte of a generation, makes its items ordinals, brings it into memory, swaps it in and unmaps what
//! nobody reads any more. Quiet and swapping stretches take turns, ten of each, equally long. Every list is held to what its
//! snapshot's generation says. Needs a core for each of the two threads: on a busy machine it shows the machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use data_layer::Config;
use data_layer::access::{ReadLists, Tables};
use data_layer::keylist::Writer;
use data_layer::live::Live;
use data_layer::publish::{Folder, Gate, Pointer};

const PLACES: u64 = 50;
const ITEMS: u64 = 50_000;
const BATCH: usize = 32;
const GENERATIONS: i64 = 4;
const TURNS: usize = 10;

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Builds the generations; the whole part of each list's best score says which one it is.
fn build(folder: &Folder, keys: u64) -> Vec<String> {
    let build = |generation: i64| {
        let mut writer = Writer::new(folder.spec(generation * 1_000)).expect("a spec");
        let items: Vec<u32> = (0..ITEMS).map(|n| writer.item(&format!("i{n}")).expect("an item")).collect();
        for key in 0..keys {
            let start = mix(key) % ITEMS;
            let item = |place: u64| items[((start + place * 491) % ITEMS) as usize];
            let score = |place: u64| generation as f32 + (PLACES - place) as f32 / PLACES as f32 / 2.0;
            let list: Vec<(u32, f32)> = (0..PLACES).map(|place| (item(place), score(place))).collect();
            writer.push_numbered(format!("k{key}").as_str(), &list).expect("a list");
        }
        folder.build(writer).expect("a disk");
        folder.publish(None, Gate::Sound).expect("a sound generation")
    };
    (1..=GENERATIONS).map(build).collect()
}

/// Reads until told to stop; the time of each read goes into one of the two lists, by what is going on when it begins.
fn read(tables: &Tables, keys: &[String], busy: &AtomicBool, done: &AtomicBool) -> [Vec<u32>; 2] {
    let mut times = [Vec::with_capacity(1 << 22), Vec::with_capacity(1 << 22)];
    let mut turn = 0u64;
    while !done.load(Ordering::Relaxed) {
        let asked: [&str; BATCH] = std::array::from_fn(|at| {
            keys[(mix(turn * BATCH as u64 + at as u64) % keys.len() as u64) as usize].as_str()
        });
        turn += 1;
        let phase = usize::from(busy.load(Ordering::Relaxed));
        let start = Instant::now();
        let snapshot = tables.snapshot();
        let stack = snapshot.table("t").expect("a table");
        let (mut read, mut generation) = (0, None);
        stack.lists(&asked, PLACES as usize, &mut |_, list| {
            let list = list.expect("an undamaged table").expect("a known key");
            let says = list[0].score as i64;
            assert!(*generation.get_or_insert(says) == says && list.len() as u64 == PLACES, "a mixed batch");
            read += 1;
        });
        assert_eq!(read, BATCH);
        // Letting go of the snapshot belongs to it: the last reader of a generation must not be the one who unmaps it.
        drop(snapshot);
        times[phase].push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    times
}

fn swap(folder: &Path, tables: &Tables, name: &str) {
    Pointer::advance(folder, name).expect("a disk");
    assert_eq!(tables.poll().len(), 1, "one swap");
}

fn quantile(times: &[u32], share: f64) -> f64 {
    f64::from(times[((times.len() - 1) as f64 * share) as usize]) / 1e3
}

fn main() {
    let (keys, swaps) = (number("KEYS", 200_000), number("SWAPS", 100) as usize);
    let root = tempfile::tempdir().expect("a temporary folder");
    let config = Config::in_folder(root.path()).expect("a configuration");
    let folder = Folder::of(&config, "t").expect("a name");
    let generations = build(&folder, keys);
    let bytes = folder.stat(None).expect("a generation").bytes;
    let tables = Tables::open(&config, Arc::new(Live::of(&config))).expect("tables");
    let names: Vec<String> = (0..keys).map(|key| format!("k{key}")).collect();
    let (busy, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut took = Duration::ZERO;
    let mut times = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(&tables, &names, &busy, &done));
        let mut number = 0;
        for turn in 0..TURNS {
            let start = Instant::now();
            busy.store(true, Ordering::Relaxed);
            for _ in 0..(swaps * (turn + 1) / TURNS - swaps * turn / TURNS) {
                swap(folder.path(), &tables, &generations[number % generations.len()]);
                number += 1;
            }
            busy.store(false, Ordering::Relaxed);
            took += start.elapsed();
            std::thread::sleep(start.elapsed());
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("a reader")
    });
    times.iter_mut().for_each(|times| times.sort_unstable());
    let [quiet, swapping] = times;
    println!(
        "{keys} keys × {PLACES}, {} MB a generation; {swaps} swaps of {:.0} ms; reads of {BATCH} lists: {} quiet, {} swapping",
        bytes / 1_000_000,
        took.as_secs_f64() * 1e3 / swaps.max(1) as f64,
        quiet.len(),
        swapping.len()
    );
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)] {
        let (before, during) = (quantile(&quiet, share), quantile(&swapping, share));
        println!("  {name:<7} {before:>9.1} µs quiet {during:>9.1} µs swapping {:>6.2} x", during / before);
    }
}
