//! Claim: features of 500 candidates are assembled and scored many times faster than by a map of names per candidate.
//!
//! Measured: 500 candidates × 32 features (sources, item rows, attributes, matches) of a table of 100,000 items, one person with 100 actions; then the
//! scores. Peers in the same run: (1) per candidate a `HashMap<String, f32>` of the same values and a weighted sum by name, (2) the same block
//! scored by `ndarray`'s dot, (3) the plain twin of the kernel. Prints medians and ratios; absolute times on a shared machine mean little.

#[path = "../tests/world/mod.rs"]
mod world;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use compute_layer::compute::{rank, recall_all};
use compute_layer::kernel::dot::{dot_plain, dot_rows};
use compute_layer::{Candidates, Deadline, FeatureSet, Model, Query, Stores};
use criterion::Criterion;
use data_layer::live::{Cell, UserState};
use data_layer::registry::ModelFile;
use data_layer::types::Value;
use ndarray::{Array1, Array2};
use world::{DAY, NOW, World, click, item, plans, schema, state, texts};

const ITEMS: usize = 100_000;

const SCENE: &str = "
[[recall]]
name = 'item_cf'
kind = 'item_to_item'
table = 'cf'
quota = 300
[[recall]]
name = 'popular'
kind = 'ranking'
table = 'popular'
quota = 200
[[recall]]
name = 'popular_lately'
kind = 'ranking'
table = 'lately'
quota = 200
";

/// Numbers that look random and are the same each run.
fn draw(n: usize) -> usize {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995).rotate_left(23).wrapping_mul(0xff51_afd7_ed55_8ccd)
        >> 20
}

fn town() -> (World, UserState) {
    let mut world = World::of(0..ITEMS);
    let genres = ["drama", "comedy", "short", "war", "music", "crime", "family", "sport"];
    world.apply((0..ITEMS).map(|i| {
        let genre = texts(&[genres[draw(i) % 8], genres[draw(i + 1) % 8]]);
        let price = Value::Float((draw(i) % 1_000) as f64 / 10.0);
        let created = Value::Int(NOW - (draw(i) % 1_000) as i64 * DAY);
        item(&format!("i{i}"), &[("genre", genre), ("price", price), ("created", created)])
    }));
    world.apply((0..20_000).map(|n| click("u", &format!("i{}", draw(n) % ITEMS), NOW - (n as i64) * 60_000)));
    for table in ["popular", "lately"] {
        let ids: Vec<String> = (0..1_000).map(|n| format!("i{}", draw(n + table.len()) % ITEMS)).collect();
        let list: Vec<(&str, f32)> =
            ids.iter().zip(0..).map(|(id, n)| (id.as_str(), 1e4 - n as f32)).collect();
        world.list(table, "all", &list);
    }
    let mut actions = Vec::new();
    for n in 0..100 {
        let key = format!("i{}", draw(n * 31) % ITEMS);
        let ids: Vec<String> = (0..50).map(|m| format!("i{}", draw(n * 1_000 + m) % 3_000)).collect();
        let list: Vec<(&str, f32)> =
            ids.iter().zip(0..).map(|(id, m)| (id.as_str(), 1.0 / (m as f32 + 2.0))).collect();
        world.list("cf", &key, &list);
        actions.push(world.acted(&key, "click", 1.0, NOW - n as i64 * DAY / 4));
    }
    (world, state(actions))
}

/// What a first version would do: the item columns of the features by name in a map per candidate, and a sum by name.
fn map_per_candidate(
    names: &[String],
    query: &Query<'_>,
    stores: &Stores<'_>,
    all: &Candidates,
    weights: &HashMap<String, f32>,
) -> Vec<f32> {
    let now = query.now_ms as f64 / DAY as f64;
    let recent: Vec<u32> = query.recent().iter().map(|acted| acted.item).collect();
    let genre = stores.items.field("genre");
    let codes = |item| match genre.and_then(|field| stores.items.cell(field, item)) {
        Some(Cell::Strings(codes)) => codes,
        _ => &[],
    };
    let mut shares: HashMap<u32, f32> = HashMap::new();
    for item in &recent {
        codes(*item).iter().for_each(|code| *shares.entry(*code).or_default() += 1.0 / recent.len() as f32);
    }
    (0..all.len())
        .map(|row| {
            let item = all.list()[row].item;
            let mut features: HashMap<String, f32> = HashMap::new();
            for (source, name) in all.names().iter().enumerate() {
                let (score, rank) = (all.source_score(source, row), all.source_rank(source, row));
                features.insert(format!("source.{name}.score"), score.ln_1p());
                features.insert(format!("source.{name}.relative"), score / all.best_of(source).max(1e-9));
                features.insert(format!("source.{name}.rank"), 60.0 / (59.0 + rank as f32));
                features.insert(format!("source.{name}.log_rank"), 1.0 - (rank.max(1) as f32).ln() / 9.2);
                features.insert(format!("source.{name}.present"), f32::from(u8::from(rank > 0)));
            }
            let of = stores.items.row(item);
            features.insert("source.count".to_owned(), all.list()[row].sources.count_ones() as f32);
            features.insert("item.popularity".to_owned(), of.interactions().ln_1p());
            features.insert("item.liked".to_owned(), of.positive().ln_1p());
            features.insert("item.rate".to_owned(), of.interactions() / (of.impressions() + 50.0));
            features.insert("item.recent_1d".to_owned(), of.count_within(1, query.now_ms).ln_1p());
            features.insert("item.recent_7d".to_owned(), of.count_within(7, query.now_ms).ln_1p());
            features.insert("item.age".to_owned(), (now as f32 - of.created_days().unwrap_or(0.0)).ln_1p());
            features.insert("item.idle".to_owned(), (now as f32 - of.last_days().unwrap_or(0.0)).ln_1p());
            features.insert("user.activity".to_owned(), (recent.len() as f32).ln_1p());
            let own = codes(item);
            let sum: f32 = own.iter().filter_map(|code| shares.get(code)).sum();
            features.insert("match.genre".to_owned(), sum / own.len().max(1) as f32);
            let price = stores.items.field("price").and_then(|field| stores.items.cell(field, item));
            let price = if let Some(Cell::Float(price)) = price { price as f32 } else { 0.0 };
            features.insert("item.price".to_owned(), price);
            let of = |name: &String| features.get(name).copied().unwrap_or(0.0) * weights[name];
            let sum: f32 = names.iter().map(of).sum();
            1.0 / (1.0 + (-sum).exp())
        })
        .collect()
}

/// Median of many runs, one after the other in turns, so that each meets the same neighbours on the machine.
fn medians(runs: &mut [(&str, &mut dyn FnMut())]) -> Vec<Duration> {
    let mut times = vec![Vec::new(); runs.len()];
    for _ in 0..200 {
        for (run, times) in runs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            (run.1)();
            times.push(start.elapsed());
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    times.iter().map(|times| times[times.len() / 2]).collect()
}

fn main() {
    let (world, recent) = town();
    let query = world.query(None, Some(&recent));
    let items = world.live.items();
    let stores = world.stores(&items);
    let plans = plans(SCENE);
    let (mut all, _) = recall_all(&plans, &query, &stores, &Deadline::never()).unwrap();
    let mut keep = compute_layer::Bitmask::all(all.len());
    (500..all.len()).for_each(|row| keep.clear(row));
    all.retain(&keep);
    let names = FeatureSet::all_names(all.names(), &schema());
    let set = FeatureSet::bind(&names, all.names(), &schema()).unwrap();
    let weights: Vec<f32> = (0..names.len()).map(|i| (draw(i) % 100) as f32 / 500.0 - 0.1).collect();
    let file = ModelFile {
        family: "logistic".to_owned(),
        features: names.clone(),
        tensors: [
            ("weights".to_owned(), weights.iter().map(|w| f64::from(*w)).collect()),
            ("intercept".to_owned(), vec![-1.0]),
        ]
        .into(),
        ..ModelFile::default()
    };
    let model = Model::load(&file).unwrap();
    let by_name: HashMap<String, f32> = names.iter().cloned().zip(weights.iter().copied()).collect();
    let mut block = Array2::zeros((0, 0));
    set.fill(&query, &stores, &all, &mut block);
    println!("{} candidates x {} features", all.len(), names.len());

    let columns = Array1::from(weights.clone());
    let (mut out, mut plain_out) = (vec![0.0; all.len()], vec![0.0; all.len()]);
    let mut scored = all.clone();
    let mut filled = block.clone();
    let times = medians(&mut [
        ("whole: fill and score", &mut || {
            black_box(rank(&set, &*model.scorer, &query, &stores, &mut scored));
        }),
        ("map per candidate", &mut || {
            black_box(map_per_candidate(&names, &query, &stores, &all, &by_name));
        }),
        ("fill", &mut || set.fill(&query, &stores, &all, black_box(&mut filled))),
        ("kernel dot", &mut || {
            dot_rows(black_box(block.as_slice().unwrap()), names.len(), &weights, &mut out);
        }),
        ("plain dot", &mut || {
            for (row, out) in black_box(block.as_slice().unwrap()).chunks(names.len()).zip(&mut plain_out) {
                *out = dot_plain(row, &weights);
            }
        }),
        ("ndarray dot", &mut || {
            black_box(black_box(&block).dot(&columns));
        }),
        ("recall", &mut || {
            black_box(recall_all(&plans, &query, &stores, &Deadline::never()).unwrap());
        }),
    ]);
    let labels =
        ["fill and score", "map per candidate", "fill", "kernel dot", "plain dot", "ndarray dot", "recall"];
    for (label, time) in labels.iter().zip(&times) {
        println!("{label:<20} {time:?}");
    }
    let ratio = |a: usize, b: usize| times[a].as_secs_f64() / times[b].as_secs_f64();
    println!("ratio: map per candidate / fill and score = {:.1}", ratio(1, 0));
    println!("ratio: ndarray dot / kernel dot = {:.1}", ratio(5, 3));
    println!("ratio: plain dot / kernel dot = {:.1}", ratio(4, 3));

    let mut criterion = Criterion::default().configure_from_args().sample_size(50);
    criterion.bench_function("rank 500", |b| {
        b.iter(|| rank(&set, &*model.scorer, &query, &stores, &mut scored));
    });
    criterion.final_summary();
}
