//! Claim: a whole request in process — read, recall, filter, features, score, strategies, presentation, decision to the log — costs little more than its
//! compute stages, and a fraction of what a first version by string-keyed maps costs.
//!
//! Measured: 2,500 items, three sources (neighbours of 50 recent actions, a ranking, the user's list), about 500 candidates after the filters, a
//! logistic model of 12 features, three strategies, 20 items returned; decisions go to the log. Peers in the same run: (1) the compute stages alone, (2) the
//! same candidates found, joined, scored and arranged by `HashMap<String, …>` and a struct of names per candidate, its lists already in memory.
//! Prints medians and ratios; absolute times on a shared machine mean little.

#[path = "../tests/site/mod.rs"]
mod site;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

use app_layer::request::Request;
use app_layer::{Engine, flow};
use compute_layer::{Deadline, Query, Stores, compute};
use criterion::Criterion;
use data_layer::registry::{ModelFile, Registry};
use site::{NOW, Site, catalogue, click, feed, id};

const ITEMS: usize = 2_500;

const SCENE: &str = "scene = 'home'\nsize = 20\ndeadline_ms = 1000\nfallback = ['hot']
[[recall]]\nname = 'cf'\nkind = 'item_to_item'\ntable = 'cf'\nquota = 300
[[recall]]\nname = 'hot'\nkind = 'ranking'\ntable = 'hot'\nquota = 200
[[recall]]\nname = 'mine'\nkind = 'user_list'\ntable = 'mine'\nquota = 100
[[filter]]\nkind = 'seen'
[[filter]]\nkind = 'rule'\nrule = 'price < 2400.0'
[rank]\nmodel = 'ctr'
[[strategy]]\nname = 'near'\nkind = 'boost'\nrule = \"category == 'c1'\"\nfactor = 1.1
[[strategy]]\nname = 'mix'\nkind = 'blend'\nkeep = 1.0\nweights = { cf = 0.05 }
[[strategy]]\nname = 'variety'\nkind = 'window'\nattribute = 'category'\nat_most = 3\nwithin = 5\n";

const FEATURES: [&str; 12] = [
    "source.cf.score",
    "source.cf.rank",
    "source.hot.score",
    "source.hot.rank",
    "source.mine.present",
    "source.count",
    "item.popularity",
    "item.recent_7d",
    "item.idle",
    "item.rate",
    "match.category",
    "item.price",
];

/// Numbers that look random and are the same each run.
fn draw(n: usize) -> usize {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995).rotate_left(23).wrapping_mul(0xff51_afd7_ed55_8ccd)
        >> 20
}

/// Lists of a table, by key.
type Lists = HashMap<String, Vec<(String, f32)>>;

fn lists() -> (Lists, Lists, Lists) {
    let list = |seed: usize, length: usize| {
        let items: HashSet<usize> = (0..length).map(|n| draw(seed * 7_919 + n) % ITEMS).collect();
        let mut items: Vec<usize> = items.into_iter().collect();
        items.sort_unstable_by_key(|n| draw(n + seed));
        site::ranking(items.into_iter())
    };
    let near = (0..ITEMS).map(|n| (format!("i{n}"), list(n, 50))).collect();
    (near, [("all".to_owned(), list(77_777, 1_000))].into(), [("u".to_owned(), list(99_999, 200))].into())
}

fn town() -> (Site, Engine, (Lists, Lists, Lists)) {
    let site = Site::new();
    let all = lists();
    for (name, lists) in [("cf", &all.0), ("hot", &all.1), ("mine", &all.2)] {
        let mut rows: Vec<(&str, Vec<(String, f32)>)> =
            lists.iter().map(|(k, l)| (k.as_str(), l.clone())).collect();
        rows.sort_by_key(|row| row.0);
        site.publish(name, NOW, &rows);
    }
    let weights = (0..FEATURES.len()).map(|n| (draw(n) % 100) as f64 / 100.0 - 0.4).collect();
    let model = ModelFile {
        format: 1,
        family: "logistic".into(),
        features: FEATURES.iter().map(|f| (*f).to_owned()).collect(),
        tensors: BTreeMap::from([("weights".into(), weights), ("intercept".into(), vec![-1.0])]),
        ..ModelFile::default()
    };
    Registry::of(&site.config()).publish("ctr", &model).unwrap();
    site.write("scenes/home.toml", SCENE);
    // The schema comes from the catalogue's events; the price is in the configuration already.
    let engine = site.open();
    feed(&engine, catalogue(ITEMS));
    feed(&engine, (0..50).map(|n| click("u", draw(n * 31) % ITEMS, NOW - n as i64 * 3_600_000)).collect());
    feed(
        &engine,
        (0..5_000)
            .map(|n| click(&format!("p{}", n % 400), draw(n) % ITEMS, NOW - n as i64 * 60_000))
            .collect(),
    );
    (site, engine, all)
}

/// A candidate as a first version would have it.
#[derive(Default, Clone)]
struct Wide {
    id: String,
    sources: HashMap<String, (f32, usize)>,
    features: HashMap<String, f32>,
    score: f32,
}

/// What a first version knows of an item.
struct Known {
    category: String,
    price: f32,
    clicks: f32,
}

/// The same request by maps of strings: recall, filters, features, score, strategies; no log, no explanation, no JSON.
fn first_version(
    lists: &(Lists, Lists, Lists),
    items: &HashMap<String, Known>,
    recent: &[String],
    weights: &HashMap<String, f32>,
) -> Vec<String> {
    let mut found: HashMap<String, Wide> = HashMap::new();
    let mut near: HashMap<String, f32> = HashMap::new();
    for item in recent {
        for (other, score) in lists.0.get(item).into_iter().flatten() {
            *near.entry(other.clone()).or_default() += score;
        }
    }
    let mut near: Vec<(String, f32)> = near.into_iter().collect();
    near.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (name, list, quota) in
        [("cf", &near, 300), ("hot", &lists.1["all"], 200), ("mine", &lists.2["u"], 100)]
    {
        for (rank, (item, score)) in list.iter().take(quota).enumerate() {
            let wide =
                found.entry(item.clone()).or_insert_with(|| Wide { id: item.clone(), ..Wide::default() });
            wide.sources.insert(name.to_owned(), (*score, rank + 1));
        }
    }
    let seen: HashSet<&String> = recent.iter().collect();
    let mut taste: HashMap<&str, f32> = HashMap::new();
    recent
        .iter()
        .for_each(|item| *taste.entry(&items[item].category).or_default() += 1.0 / recent.len() as f32);
    let mut all: Vec<Wide> =
        found.into_values().filter(|w| !seen.contains(&w.id) && items[&w.id].price < 2400.0).collect();
    for wide in &mut all {
        let known = &items[&wide.id];
        for name in ["cf", "hot", "mine"] {
            let (score, rank) = wide.sources.get(name).copied().unwrap_or_default();
            wide.features.insert(format!("source.{name}.score"), score.ln_1p());
            wide.features.insert(format!("source.{name}.rank"), 60.0 / (59.0 + rank as f32));
        }
        wide.features.insert("source.count".to_owned(), wide.sources.len() as f32);
        for name in ["item.popularity", "item.recent_7d", "item.idle", "item.rate"] {
            wide.features.insert(name.to_owned(), known.clicks.ln_1p());
        }
        wide.features
            .insert("match.category".to_owned(), taste.get(known.category.as_str()).copied().unwrap_or(0.0));
        wide.features.insert("item.price".to_owned(), known.price);
        let sum: f32 = weights
            .iter()
            .map(|(name, weight)| weight * wide.features.get(name).copied().unwrap_or(0.0))
            .sum();
        wide.score = 1.0 / (1.0 + (-sum).exp());
        if known.category == "c1" {
            wide.score *= 1.1;
        }
        wide.score += wide.sources.get("cf").map_or(0.0, |(_, rank)| 0.05 * 60.0 / (59.0 + *rank as f32));
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut page: Vec<String> = Vec::new();
    while page.len() < 20 {
        let window = &page[page.len().saturating_sub(4)..];
        let fits =
            |w: &Wide| window.iter().filter(|id| items[*id].category == items[&w.id].category).count() < 3;
        let Some(at) = all.iter().position(fits) else { break };
        page.push(all.remove(at).id);
    }
    page
}

/// Medians of many runs in turns, so that each meets the same neighbours on the machine.
fn medians(runs: &mut [&mut dyn FnMut()]) -> Vec<Duration> {
    let mut times = vec![Vec::new(); runs.len()];
    for _ in 0..300 {
        for (run, times) in runs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed());
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    times.iter().map(|times| times[times.len() / 2]).collect()
}

fn main() {
    let (_site, engine, all) = town();
    let request = Request { scene: "home".into(), user: Some(id("u")), now_ms: None, ..Request::default() };
    let mut whole =
        || drop(black_box(futures::executor::block_on(flow::recommend(&engine, &request)).unwrap()));

    let scenes = engine.scenes();
    let work = scenes.work(scenes.scene("home").unwrap(), &BTreeMap::new()).unwrap();
    let rank = work.rank.as_ref().unwrap();
    let (state, context) = (engine.live().person(&request.person().unwrap()), BTreeMap::new());
    let person = request.person();
    let mut candidates_left = 0;
    let mut alone = || {
        let world = engine.world();
        let stores = Stores { items: &*world.items, access: &world.access(NOW) };
        let query = Query {
            now_ms: NOW,
            seed: 0,
            person: person.as_ref(),
            state: state.as_deref(),
            session: &[],
            anchors: &[],
            history: 100,
            actions: engine.actions(),
            size: 20,
            context: &context,
        };
        let (mut found, _) = compute::recall_all(&work.recalls, &query, &stores, &Deadline::never()).unwrap();
        compute::rank(&rank.features, &*rank.model.scorer, &query, &stores, &mut found);
        candidates_left = found.len();
        black_box(compute::top(stores.items, found.list(), 20));
    };

    let items: HashMap<String, Known> = (0..ITEMS)
        .map(|n| {
            (
                format!("i{n}"),
                Known { category: format!("c{}", n % 3), price: n as f32, clicks: (draw(n) % 50) as f32 },
            )
        })
        .collect();
    let recent: Vec<String> = (0..50).map(|n| format!("i{}", draw(n * 31) % ITEMS)).collect();
    let weights: HashMap<String, f32> = FEATURES
        .iter()
        .enumerate()
        .map(|(n, f)| ((*f).to_owned(), (draw(n) % 100) as f32 / 100.0 - 0.4))
        .collect();
    let mut plain = || drop(black_box(first_version(&all, &items, &recent, &weights)));

    let times = medians(&mut [&mut whole, &mut alone, &mut plain]);
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    println!(
        "whole flow {:?}, compute stages alone {:?}, first version {:?} ({candidates_left} candidates before filters)",
        times[0], times[1], times[2]
    );
    println!("the whole flow takes {:.2} times its compute stages", ratio(times[0], times[1]));
    println!("the whole flow is {:.1} times as fast as the first version", ratio(times[2], times[0]));

    engine.metrics().fold();
    let text = engine.metrics().render(&engine);
    for line in text.lines().filter(|line| line.starts_with("weir_stage_seconds_sum")) {
        println!("all runs: {line}");
    }

    let mut criterion =
        Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).configure_from_args();
    criterion.bench_function("flow/whole", |b| {
        b.iter(|| futures::executor::block_on(flow::recommend(&engine, &request)).unwrap())
    });
    criterion.final_summary();
}
