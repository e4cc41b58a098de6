//! Reading the static store: one key at a time, and 256 keys at once, every place of each list decoded and summed.
//!
//! Data: lists of 100 (item, score), 200,000 keys, 50,000 items (`PLACES=`, `KEYS=`, `ITEMS=` for other numbers), keys as numbers
//! and, up to 500,000 of them, as text, asked for in random order. Peer, in the same run: `std::collections::HashMap` (hashbrown,
//! with the fast FxHash) from key to `Box<[u8]>` in memory, 12 bytes a place (u64 item, f32 score), decoded and summed in the same
//! way, unchecked. The table checks the sum of every record it reads, and of a line of pilots for every key that it does not have.
//! Criterion's figures first; the ratios at the end come from rounds in turn, best of each, and are what counts. Time to build (from
//! numbered items, sorted dictionary, sums and all) and to open stand beside them.

use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use data_layer::keylist::{Key, KeyKind, ScoreCodec, Table, TableSpec, Verify, Writer};
use rustc_hash::FxBuildHasher;

const BATCH: usize = 256;
/// Text keys, exact scores and criterion's rounds are for tables of at most so many keys: they need as much memory again.
const SMALL: u64 = 500_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// What the data looks like.
#[derive(Clone, Copy)]
struct Shape {
    keys: u64,
    places: u64,
    items: u64,
}

type Boxed<K> = HashMap<K, Box<[u8]>, FxBuildHasher>;

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Shape {
    /// Items (different within a list, while there are more items than places) and falling scores of a key.
    fn list(self, key: u64) -> impl Iterator<Item = (u64, f32)> {
        let start = mix(key) % self.items;
        (0..self.places).map(move |i| ((start + i * 491) % self.items, 1.0 / (1 + i) as f32))
    }

    fn table<'k, K: Into<Key<'k>>>(
        self,
        folder: &std::path::Path,
        keys: impl Iterator<Item = K>,
        kind: KeyKind,
        scores: ScoreCodec,
    ) -> Table {
        let start = Instant::now();
        let spec = TableSpec { keys: kind, scores, ..TableSpec::new("bench", 0) };
        let mut writer = Writer::new(spec).expect("a spec");
        let numbers: Vec<u32> =
            (0..self.items).map(|item| writer.item(&format!("i{item}")).expect("an item")).collect();
        let mut list = Vec::new();
        for (number, key) in (0u64..).zip(keys) {
            list.clear();
            list.extend(self.list(number).map(|(item, score)| (numbers[item as usize], score)));
            writer.push_numbered(key, &list).expect("a list");
        }
        let built = writer.finish(folder).expect("a disk");
        let building = start.elapsed().as_secs_f64();
        let start = Instant::now();
        drop(Table::open(&built.path, Verify::Open).expect("what was built"));
        let opening = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let table = Table::open(&built.path, Verify::Full).expect("what was built");
        let header = table.header();
        println!(
            "{kind:?} keys, {scores:?} scores: built {:.2} M lists/s; opened in {:.1} ms, with all checked in {:.1} ms; {:.3} of \
             the raw bytes; stride {}, {} bits an item, {} of {} lists overflow",
            self.keys as f64 / building / 1e6,
            opening * 1e3,
            start.elapsed().as_secs_f64() * 1e3,
            header.file_length as f64 / (self.keys * self.places * 12) as f64,
            header.stride,
            header.item_bits,
            header.overflowing,
            header.lists,
        );
        table
    }

    fn boxed<K: Hash + Eq>(self, keys: impl Iterator<Item = K>) -> Boxed<K> {
        let bytes = |number: u64| -> Box<[u8]> {
            self.list(number).flat_map(|(i, s)| i.to_le_bytes().into_iter().chain(s.to_le_bytes())).collect()
        };
        (0u64..).zip(keys).map(|(number, key)| (key, bytes(number))).collect()
    }
}

/// Integer sums, so that adding up is not what takes the time.
fn sum_boxed(bytes: &[u8]) -> u64 {
    let mut sum = 0u64;
    for place in bytes.chunks_exact(12) {
        let (item, score) = place.split_at(8);
        let item = u64::from_le_bytes(item.try_into().unwrap_or_default());
        let score = f32::from_le_bytes(score.try_into().unwrap_or_default());
        sum = sum.wrapping_add(item ^ u64::from(score.to_bits()));
    }
    sum
}

fn sum_single<'k, K: Into<Key<'k>> + Copy>(table: &Table, keys: &[K]) -> u64 {
    let one = |key: &K| table.get_key(*key).expect("an undamaged table").map_or(0, sum_list);
    keys.iter().fold(0, |sum, key| sum.wrapping_add(one(key)))
}

fn sum_batch<'k, K: Into<Key<'k>> + Copy>(table: &Table, keys: &[K]) -> u64 {
    let mut sum = 0u64;
    for keys in keys.chunks(BATCH) {
        table.multi_get_keys(keys, |_, list| {
            sum = sum.wrapping_add(list.expect("an undamaged table").map_or(0, sum_list));
        });
    }
    sum
}

fn sum_map<K: Hash + Eq>(map: &Boxed<K>, keys: impl Iterator<Item = K>) -> u64 {
    keys.fold(0, |sum, key| sum.wrapping_add(map.get(&key).map_or(0, |bytes| sum_boxed(bytes))))
}

fn sum_list(list: data_layer::keylist::List<'_>) -> u64 {
    let mut sum = 0u64;
    list.chunks(&mut |items, scores| {
        for (item, score) in items.iter().zip(scores) {
            sum = sum.wrapping_add(u64::from(item ^ score.to_bits()));
        }
    });
    sum
}

/// Seconds of the best of several rounds of each, taken in turn.
fn best<const N: usize>(mut runs: [(&str, &mut dyn FnMut() -> u64); N]) -> [f64; N] {
    let mut best = [f64::INFINITY; N];
    for _ in 0..7 {
        for (seconds, (_, run)) in best.iter_mut().zip(&mut runs) {
            let start = Instant::now();
            black_box(run());
            *seconds = seconds.min(start.elapsed().as_secs_f64());
        }
    }
    best
}

fn report(title: &str, gets: usize, names: &[&str], seconds: &[f64]) {
    println!("\n{title}");
    for (name, time) in names.iter().zip(seconds) {
        println!("  {name:<34} {:>6.2} M/s   {:>5.2} x", gets as f64 / time / 1e6, seconds[0] / time);
    }
}

fn main() {
    let shape = Shape {
        keys: setting("KEYS", 200_000),
        places: setting("PLACES", 100),
        items: setting("ITEMS", 50_000),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Shape { keys, places, .. } = shape;
    let numbers: Vec<u64> = (0..keys).map(mix).collect();
    let by_number =
        shape.table(&folder.path().join("n"), numbers.iter().copied(), KeyKind::U64, ScoreCodec::Affine);
    let map = shape.boxed(numbers.iter().copied());
    let asked: Vec<u64> = (0..1_000_000.min(keys * 2)).map(|n| mix(mix(n ^ 0xabcd) % keys)).collect();
    let absent: Vec<u64> = asked.iter().map(|key| key ^ 1).collect();
    if keys <= SMALL {
        criterion_rounds(&by_number, &asked);
    }

    let names = [
        "HashMap of Box<[u8]>",
        "table, single get",
        "table, multi-get of 256",
        "table, absent keys, single",
    ];
    let seconds = best([
        (names[0], &mut || sum_map(&map, asked.iter().copied())),
        (names[1], &mut || sum_single(&by_number, &asked)),
        (names[2], &mut || sum_batch(&by_number, &asked)),
        (names[3], &mut || sum_single(&by_number, &absent)),
    ]);
    report(&format!("{keys} number keys, lists of {places}"), asked.len(), &names, &seconds);
    if keys <= SMALL {
        texts(shape, folder.path());
    }
}

fn criterion_rounds(table: &Table, asked: &[u64]) {
    let few = &asked[..10_000.min(asked.len())];
    let mut criterion =
        Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(2));
    let mut group = criterion.benchmark_group("store, 10,000 lists");
    group.bench_function("table, single, number keys", |b| b.iter(|| sum_single(table, few)));
    group.bench_function("table, batch, number keys", |b| b.iter(|| sum_batch(table, few)));
    group.finish();
}

fn texts(shape: Shape, folder: &std::path::Path) {
    let keys: Vec<String> = (0..shape.keys).map(|n| format!("user-{:x}", mix(n))).collect();
    let texts = || keys.iter().map(String::as_str);
    let affine = shape.table(&folder.join("t"), texts(), KeyKind::String, ScoreCodec::Affine);
    let exact = shape.table(&folder.join("e"), texts(), KeyKind::String, ScoreCodec::Exact);
    let map = shape.boxed(texts());
    let asked: Vec<&str> =
        (0..shape.keys * 2).map(|n| keys[(mix(n ^ 0xabcd) % shape.keys) as usize].as_str()).collect();
    let names = [
        "HashMap of Box<[u8]>",
        "table, single get",
        "table, multi-get of 256",
        "table, exact scores, multi-get",
    ];
    let seconds = best([
        (names[0], &mut || sum_map(&map, asked.iter().copied())),
        (names[1], &mut || sum_single(&affine, &asked)),
        (names[2], &mut || sum_batch(&affine, &asked)),
        (names[3], &mut || sum_batch(&exact, &asked)),
    ]);
    report(&format!("{} text keys, lists of {}", shape.keys, shape.places), asked.len(), &names, &seconds);
}
