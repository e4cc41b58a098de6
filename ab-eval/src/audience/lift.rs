//! What item-to-item and recency are worth in a world, by the plainest code there is. For tests only.

use rustc_hash::{FxHashMap, FxHashSet};

use super::play::Row;
use super::{Past, Recipe};

/// Recall@20 for each person with something to find after the split, of several rankings.
pub struct Lift {
    pub popular: Vec<f64>,
    pub lately: Vec<f64>,
    pub item_cf: Vec<f64>,
    /// Item-to-item fed with the history of somebody else.
    pub stranger: Vec<f64>,
}

pub fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len().max(1) as f64
}

/// Mean of a − b and half the width of its 95 % interval (normal).
pub fn difference(a: &[f64], b: &[f64]) -> (f64, f64) {
    let d: Vec<f64> = a.iter().zip(b).map(|(x, y)| x - y).collect();
    let m = mean(&d);
    let variance = d.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (d.len() as f64 - 1.0);
    (m, 1.96 * (variance / d.len() as f64).sqrt())
}

pub fn lift(past: &Past) -> Lift {
    let Recipe { items, users, .. } = past.world.recipe;
    let cut = past.rows.len() * 8 / 10;
    let (train, test) = past.rows.split_at(cut);
    let split = test[0].time;
    let histories = histories(train, users);
    let mut truth: Vec<FxHashSet<u32>> = vec![FxHashSet::default(); users];
    test.iter().for_each(|r| drop(truth[r.person as usize].insert(r.item)));
    let (mut popular, mut lately) = (vec![0.0; items], vec![0.0; items]);
    for r in train.iter().filter(|r| !r.like) {
        popular[r.item as usize] += 1.0;
        let age = (split - r.time) as f64 / 86_400_000.0;
        lately[r.item as usize] += 0.5_f64.powf(age / 2.0);
    }
    let similar = similar(&histories, items);
    let mut out = Lift { popular: vec![], lately: vec![], item_cf: vec![], stranger: vec![] };
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
        out.item_cf.push(recall(&from(&histories[u])));
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
pub const POWER: f64 = 0.3;

fn recall(scores: &[f64], met: &FxHashSet<u32>, wanted: &FxHashSet<u32>) -> f64 {
    let mut order: Vec<u32> = (0..scores.len() as u32).filter(|i| !met.contains(i)).collect();
    let by = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    order.select_nth_unstable_by(20, by);
    order[..20].iter().filter(|i| wanted.contains(i)).count() as f64 / wanted.len() as f64
}
