//! The laws of the public: a seed decides every byte; taste, and knowing what is popular lately, each help by a known
//! amount; in the null world neither does. What they are worth is measured here by the plainest code there is.

use rustc_hash::{FxHashMap, FxHashSet};

use super::play::Row;
use super::{Laws, Past, Recipe, files, make};

/// Recall@20 for each person with something to find after the split, of several rankings.
struct Lift {
    popular: Vec<f64>,
    lately: Vec<f64>,
    item_cf: Vec<f64>,
    /// Item-to-item fed with the history of somebody else.
    stranger: Vec<f64>,
    /// A plain ranker: popular lately and item-to-item, each over its greatest score.
    ranker: Vec<f64>,
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
}

/// Mean of a − b and half the width of its 95 % interval (normal).
fn difference(a: &[f64], b: &[f64]) -> (f64, f64) {
    let d: Vec<f64> = a.iter().zip(b).map(|(x, y)| x - y).collect();
    let m = mean(&d);
    let variance = d.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (d.len() as f64 - 1.0);
    (m, 1.96 * (variance / d.len() as f64).sqrt())
}

fn lift(past: &Past) -> Lift {
    let Recipe { items, users, .. } = past.world.recipe;
    let cut = past.rows.len() * 8 / 10;
    let (train, test) = past.rows.split_at(cut);
    let split = test[0].time;
    let histories = histories(train, users);
    let mut truth: Vec<FxHashSet<u32>> = vec![FxHashSet::default(); users];
    test.iter().for_each(|r| {
        truth[r.person as usize].insert(r.item);
    });
    let (mut popular, mut lately) = (vec![0.0; items], vec![0.0; items]);
    for r in train.iter().filter(|r| !r.like) {
        popular[r.item as usize] += 1.0;
        let age = (split - r.time) as f64 / 86_400_000.0;
        lately[r.item as usize] += 0.5_f64.powf(age / 2.0);
    }
    let similar = similar(&histories, items);
    let mut out = Lift { popular: vec![], lately: vec![], item_cf: vec![], stranger: vec![], ranker: vec![] };
    for u in 0..users {
        let met: FxHashSet<u32> = histories[u].iter().copied().collect();
        let wanted: FxHashSet<u32> = truth[u].difference(&met).copied().collect();
        if wanted.is_empty() {
            continue;
        }
        let recall = |scores: &[f64]| recall(scores, &met, &wanted);
        out.popular.push(recall(&popular));
        out.lately.push(recall(&lately));
        let from = |history: &[u32]| {
            let mut scores: Vec<f64> = popular.iter().map(|p| p * 1e-9).collect();
            for i in history {
                for (j, s) in &similar[*i as usize] {
                    scores[*j as usize] += s;
                }
            }
            scores
        };
        let own = from(&histories[u]);
        out.ranker.push(recall(&blend(&lately, &own)));
        out.item_cf.push(recall(&own));
        out.stranger.push(recall(&from(&histories[(u + users / 2) % users])));
    }
    out
}

fn histories(train: &[Row], users: usize) -> Vec<Vec<u32>> {
    let mut histories = vec![Vec::new(); users];
    train.iter().filter(|r| !r.like).for_each(|r| histories[r.person as usize].push(r.item));
    histories
}

/// Co-occurrence over the square root of the degree of the item it comes from: flat enough that without taste it is
/// popularity with a little noise.
fn similar(histories: &[Vec<u32>], items: usize) -> Vec<Vec<(u32, f64)>> {
    let mut counts: Vec<FxHashMap<u32, f64>> = vec![FxHashMap::default(); items];
    let mut degree = vec![0.0_f64; items];
    for history in histories {
        for &i in history {
            degree[i as usize] += 1.0;
            for &j in history.iter().filter(|&&j| j != i) {
                *counts[i as usize].entry(j).or_insert(0.0) += 1.0;
            }
        }
    }
    (0..items)
        .map(|i| {
            let mut row: Vec<(u32, f64)> = counts[i]
                .iter()
                .map(|(&j, &c)| (j, c / degree[i].powf(0.5) / degree[j as usize].powf(POWER)))
                .collect();
            row.sort_unstable_by_key(|(j, _)| *j);
            row
        })
        .collect()
}

/// Exponent of the degree of the item that is recommended.
const POWER: f64 = 0.3;

fn recall(scores: &[f64], met: &FxHashSet<u32>, wanted: &FxHashSet<u32>) -> f64 {
    let mut order: Vec<u32> = (0..scores.len() as u32).filter(|i| !met.contains(i)).collect();
    let by = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    order.select_nth_unstable_by(20, by);
    order[..20].iter().filter(|i| wanted.contains(i)).count() as f64 / wanted.len() as f64
}

/// The sum of two scores, each over its greatest.
fn blend(a: &[f64], b: &[f64]) -> Vec<f64> {
    let most = |x: &[f64]| x.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let (p, q) = (most(a), most(b));
    a.iter().zip(b).map(|(a, b)| a / p + b / q).collect()
}

fn past(seed: u64, laws: Laws) -> Past {
    make(&Recipe { seed, users: 1200, items: 600, days: 30, laws }, || ())
}

#[test]
fn taste_recency_and_a_ranker_help_by_a_known_amount() {
    let lift = lift(&past(1, Laws::default()));
    let (popular, lately) = (mean(&lift.popular), mean(&lift.lately));
    let (cf, ranker) = (mean(&lift.item_cf), mean(&lift.ranker));
    let figures = format!("popular {popular:.4} lately {lately:.4} item_cf {cf:.4} ranker {ranker:.4}");
    for (name, list) in [("lately", &lift.lately), ("item_cf", &lift.item_cf), ("ranker", &lift.ranker)] {
        let (more, half) = difference(list, &lift.popular);
        assert!(more - half > 0.015, "{name} over popular: {more:.4} ± {half:.4}; {figures}");
    }
    let (own, half) = difference(&lift.item_cf, &lift.stranger);
    assert!(own - half > 0.02, "own history over a stranger's: {own:.4} ± {half:.4}; {figures}");
    let (more, half) = difference(&lift.ranker, &lift.lately);
    assert!(more - half > 0.0, "ranker over lately: {more:.4} ± {half:.4}; {figures}");
}

#[test]
fn without_taste_there_is_no_lift() {
    for seed in 1..=2 {
        let lift = lift(&past(seed, Laws::null()));
        let (more, half) = difference(&lift.item_cf, &lift.popular);
        assert!(more - half <= 0.0 && more + half >= -0.005, "item_cf over popular: {more:.4} ± {half:.4}");
        let (own, half) = difference(&lift.item_cf, &lift.stranger);
        assert!((own - half..=own + half).contains(&0.0), "own history: {own:.4} ± {half:.4}");
    }
}

#[test]
fn a_seed_decides_every_byte_and_truth_reads_back() {
    let recipe = Recipe { seed: 9, users: 80, items: 60, days: 6, laws: Laws::default() };
    let written = || {
        let dir = tempfile::tempdir().unwrap();
        let past = make(&recipe, || ());
        files::write(&past, dir.path()).unwrap();
        assert_eq!(files::read_truth(dir.path()).unwrap(), past.world);
        let names = ["audience.inter", "audience.item", "audience.user", "truth/world.json"];
        names.map(|n| std::fs::read(dir.path().join(n)).unwrap())
    };
    assert_eq!(written(), written());
    let other = make(&Recipe { seed: 10, ..recipe.clone() }, || ());
    assert_ne!(other.rows, make(&recipe, || ()).rows);
}

#[test]
fn the_past_is_in_order_and_nothing_is_met_before_it_exists() {
    let past = past(2, Laws::default());
    assert!(past.rows.is_sorted());
    let mut clicked = FxHashSet::default();
    for row in &past.rows {
        let item = &past.world.items[row.item as usize];
        let person = &past.world.people[row.person as usize];
        assert!(row.time >= item.created && row.time >= person.joined);
        assert!(row.time >= past.world.start() && row.time < super::world::END);
        assert!(row.like || clicked.insert((row.person, row.item)), "clicked twice");
    }
}

#[test]
fn truth_that_is_newer_or_broken_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(files::read_truth(dir.path()).unwrap_err().to_string().contains("world.json"));
    std::fs::create_dir(dir.path().join("truth")).unwrap();
    std::fs::write(dir.path().join("truth/world.json"), "{}").unwrap();
    assert!(files::read_truth(dir.path()).unwrap_err().to_string().contains("audience make"));
}
