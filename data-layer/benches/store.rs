//! Reading the static store: one key at a time, and 256 keys at once, every place of each list decoded and summed.
//!
//! Data: lists of 100 (item, score), 200,000 keys (`KEYS=` for another number), keys as numbers and as text, asked for in random
//! order. Peer, in the same run: `std::collections::HashMap` (hashbrown, with the fast FxHash) from key to `Box<[u8]>` in memory,
//! 12 bytes a place (u64 item, f32 score), decoded and summed in the same way, unchecked. The table checks two sums per read.
//! Criterion's figures first; the ratios at the end come from rounds in turn, best of each, and are what counts.

use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use data_layer::keylist::{KeyKind, ScoreCodec, Table, TableSpec, Verify, Writer};
use rustc_hash::FxBuildHasher;

const PLACES: usize = 100;
const BATCH: usize = 256;
const ITEMS: u64 = 50_000;

type Boxed<K> = HashMap<K, Box<[u8]>, FxBuildHasher>;

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Items (different within a list) and falling scores of a key.
fn list(key: u64) -> impl Iterator<Item = (u64, f32)> {
    let start = mix(key) % ITEMS;
    (0..PLACES as u64).map(move |i| ((start + i * 491) % ITEMS, 1.0 / (1 + i) as f32))
}

fn table(folder: &std::path::Path, keys: &[String], kind: KeyKind, scores: ScoreCodec) -> Table {
    let names: Vec<String> = (0..ITEMS).map(|item| format!("i{item}")).collect();
    let spec = TableSpec { keys: kind, scores, ..TableSpec::new("bench", 0) };
    let mut writer = Writer::new(spec).expect("a spec");
    for (number, key) in (0u64..).zip(keys) {
        let list: Vec<(&str, f32)> =
            list(number).map(|(i, score)| (names[i as usize].as_str(), score)).collect();
        writer.push(key.as_str(), &list).expect("a list");
    }
    let built = writer.finish(folder).expect("a disk");
    Table::open(built.path, Verify::Full).expect("what was built")
}

fn boxed<K: Hash + Eq>(keys: impl Iterator<Item = K>) -> Boxed<K> {
    let bytes = |number: u64| -> Box<[u8]> {
        list(number).flat_map(|(i, s)| i.to_le_bytes().into_iter().chain(s.to_le_bytes())).collect()
    };
    (0u64..).zip(keys).map(|(number, key)| (key, bytes(number))).collect()
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

fn sum_single(table: &Table, keys: &[&str]) -> u64 {
    let one = |key: &&str| table.get(key).expect("an undamaged table").map_or(0, sum_list);
    keys.iter().fold(0, |sum, key| sum.wrapping_add(one(key)))
}

fn sum_batch(table: &Table, keys: &[&str]) -> u64 {
    let mut sum = 0u64;
    for keys in keys.chunks(BATCH) {
        table.multi_get(keys, &mut |_, list| {
            sum = sum.wrapping_add(list.expect("an undamaged table").map_or(0, sum_list));
        });
    }
    sum
}

fn sum_map<K: Hash + Eq>(map: &Boxed<K>, keys: impl Iterator<Item = K>) -> u64 {
    keys.fold(0, |sum, key| sum.wrapping_add(map.get(&key).map_or(0, |bytes| sum_boxed(bytes))))
}

fn sum_list(list: data_layer::keylist::List<'_>) -> u64 {
    list.iter().fold(0, |sum, (item, score)| sum.wrapping_add(u64::from(item) ^ u64::from(score.to_bits())))
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
    let keys: u64 = std::env::var("KEYS").ok().and_then(|k| k.parse().ok()).unwrap_or(200_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let numbers: Vec<u64> = (0..keys).map(mix).collect();
    let digits: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let texts: Vec<String> = (0..keys).map(|n| format!("user-{:x}", mix(n))).collect();
    let by_number = table(&folder.path().join("n"), &digits, KeyKind::U64, ScoreCodec::Affine);
    let exact = table(&folder.path().join("e"), &digits, KeyKind::U64, ScoreCodec::Exact);
    let by_text = table(&folder.path().join("t"), &texts, KeyKind::String, ScoreCodec::Affine);
    let map_numbers = boxed(numbers.iter().copied());
    let map_texts = boxed(texts.iter().map(String::as_str));
    let order: Vec<usize> =
        (0..200_000u64.min(keys * 2)).map(|n| (mix(n ^ 0xabcd) % keys) as usize).collect();
    let asked: Vec<&str> = order.iter().map(|n| digits[*n].as_str()).collect();
    let asked_texts: Vec<&str> = order.iter().map(|n| texts[*n].as_str()).collect();
    let mut map_get = || sum_map(&map_numbers, order.iter().map(|n| numbers[*n]));
    let mut map_text = || sum_map(&map_texts, asked_texts.iter().copied());

    let mut criterion =
        Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(2));
    let (few, few_texts) = (&asked[..10_000.min(asked.len())], &asked_texts[..10_000.min(asked.len())]);
    let mut group = criterion.benchmark_group("store, 10,000 lists of 100");
    group.bench_function("table, single, number keys", |b| b.iter(|| sum_single(&by_number, few)));
    group.bench_function("table, batch, number keys", |b| b.iter(|| sum_batch(&by_number, few)));
    group.bench_function("table, single, text keys", |b| b.iter(|| sum_single(&by_text, few_texts)));
    group.bench_function("table, batch, text keys", |b| b.iter(|| sum_batch(&by_text, few_texts)));
    group.finish();

    let names = [
        "HashMap of Box<[u8]>",
        "table, single get",
        "table, multi-get of 256",
        "table, exact scores, multi-get",
    ];
    let seconds = best([
        (names[0], &mut map_get),
        (names[1], &mut || sum_single(&by_number, &asked)),
        (names[2], &mut || sum_batch(&by_number, &asked)),
        (names[3], &mut || sum_batch(&exact, &asked)),
    ]);
    report(&format!("{keys} number keys, lists of {PLACES}"), asked.len(), &names, &seconds);
    let seconds = best([
        (names[0], &mut map_text),
        (names[1], &mut || sum_single(&by_text, &asked_texts)),
        (names[2], &mut || sum_batch(&by_text, &asked_texts)),
    ]);
    report(&format!("{keys} text keys"), asked.len(), &names, &seconds);
    let raw = (keys * PLACES as u64 * 12) as f64;
    println!(
        "\nbytes / payload: 16-bit scores {:.3}, exact {:.3}",
        by_number.header().file_length as f64 / raw,
        exact.header().file_length as f64 / raw
    );
}
