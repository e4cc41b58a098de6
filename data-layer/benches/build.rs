//! Building tables: lists per second and core, from lists in memory to a file that is synced.
//!
//! Data: 1,000,000 lists of 100 out of 100,000 items, and 10,000,000 lists of 10 out of 1,000,000 (`KEYS=10` takes a
//! tenth; `PLACES=10` the second set only; `ONLY=memory` what has that in its name), keys as numbers in random order, items by `Writer::item`'s numbers, scores in 16 bits. Built with a budget that holds all
//! lists, and with one of an eighth of them (`spilled`), which goes through the disk and back. Seconds are of the processor, user and
//! system, of all threads, so that other programs and a slow disk do not count; wall time stands beside. Beside it in the same run: a
//! copy of the lists (`memcpy`, 8 bytes a place), and a hashbrown `HashMap` from key to `Box<[u8]>` filled with them (12 bytes a
//! place). Linux only: it asks `/proc`.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use data_layer::keylist::{KeyKind, TableSpec, Writer};
use rustc_hash::FxBuildHasher;

/// Different lists; keys take them in turn.
const POOL: usize = 8192;

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Data {
    keys: u64,
    places: usize,
    items: u64,
    /// Number and score of items, list after list.
    pool: Vec<(u32, f32)>,
}

impl Data {
    fn new(keys: u64, places: usize, items: u64) -> Self {
        let place = |list: u64, at: u64| {
            // A list does not come round to where it began, so its items are different.
            let item = (mix(list) + at * (items / places as u64 - 1)) % items;
            (item as u32, 1.0 / (1 + at) as f32 + (mix(list ^ at) % 1024) as f32 / 1e6)
        };
        let lists = (0..POOL as u64).flat_map(|list| (0..places as u64).map(move |at| place(list, at)));
        Self { keys, places, items, pool: lists.collect() }
    }

    fn lists(&self) -> impl Iterator<Item = (u64, &[(u32, f32)])> {
        (0..self.keys).map(mix).zip(self.pool.chunks_exact(self.places).cycle())
    }
}

/// Seconds of the processor that this process has used, in steps of 10 ms.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after = text.rsplit(')').next().unwrap_or("");
    let ticks = |field: usize| after.split_whitespace().nth(field).and_then(|f| f.parse::<u64>().ok());
    (ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)) as f64 / 100.0
}

fn memcpy(data: &Data) -> usize {
    let mut out: Vec<(u32, f32)> = Vec::with_capacity(data.keys as usize * data.places);
    data.lists().for_each(|(_, list)| out.extend_from_slice(list));
    black_box(&out).len()
}

fn hashbrown(data: &Data) -> usize {
    let mut map: HashMap<u64, Box<[u8]>, FxBuildHasher> = HashMap::default();
    for (key, list) in data.lists() {
        let mut bytes = Vec::with_capacity(list.len() * 12);
        for (item, score) in list {
            bytes.extend_from_slice(&u64::from(*item).to_le_bytes());
            bytes.extend_from_slice(&score.to_le_bytes());
        }
        map.insert(key, bytes.into_boxed_slice());
    }
    black_box(&map).len()
}

fn build(data: &Data, memory: usize) -> usize {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scratch = folder.path().to_owned();
    let spec = TableSpec { keys: KeyKind::U64, memory, scratch, ..TableSpec::new("bench", 0) };
    let mut writer = Writer::new(spec).expect("a spec");
    for item in 0..data.items {
        writer.item(&format!("i{item}")).expect("an id");
    }
    data.lists().for_each(|(key, list)| writer.push_numbered(key, list).expect("a list"));
    writer.finish(folder.path()).expect("a disk").statistics.lists as usize
}

const NAMES: [&str; 4] =
    ["memcpy", "HashMap of Box<[u8]>", "table, in memory", "table, spilled (1/8 of memory)"];

/// Takes the processor's and the wall's seconds of a run, if it is wanted.
fn taken(name: &str, what: &dyn Fn() -> usize) -> (f64, f64) {
    let only = std::env::var("ONLY").unwrap_or_default();
    if !name.contains(&only) {
        return (f64::NAN, f64::NAN);
    }
    let (start, used) = (Instant::now(), processor());
    black_box(what());
    ((processor() - used).max(0.01), start.elapsed().as_secs_f64())
}

fn main() {
    let divide: u64 = std::env::var("KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(1).max(1);
    let wanted = std::env::var("PLACES").ok();
    for (keys, places, items) in [(1_000_000, 100, 100_000), (10_000_000, 10, 1_000_000)] {
        if wanted.as_ref().is_some_and(|wanted| *wanted != places.to_string()) {
            continue;
        }
        let data = Data::new(keys / divide, places, items);
        let bytes = data.keys as usize * (places * 8 + 24);
        let runs: [&dyn Fn() -> usize; 4] =
            [&|| memcpy(&data), &|| hashbrown(&data), &|| build(&data, usize::MAX), &|| {
                build(&data, bytes / 8)
            }];
        let mut best = [(f64::INFINITY, f64::INFINITY); 4];
        for _ in 0..2 {
            for ((best, name), run) in best.iter_mut().zip(NAMES).zip(runs) {
                let (used, wall) = taken(name, run);
                *best = (best.0.min(used), best.1.min(wall));
            }
        }
        println!("\n{} lists of {places}, {items} items; best of 2", data.keys);
        for (name, (used, wall)) in NAMES.iter().zip(best).filter(|(_, taken)| taken.0.is_finite()) {
            println!(
                "  {name:<32} {:>6.2} M lists/s/core   takes {:>5.2} x as long as memcpy, {:>5.2} x the map   wall {wall:.2} s",
                data.keys as f64 / used / 1e6,
                used / best[0].0,
                used / best[1].0,
            );
        }
    }
}
