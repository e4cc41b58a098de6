//! Scored rows with what their metrics need prepared once: orders and groups. Resamples only change weights.

use crate::metric::binary;

/// Scored rows.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Whether the label is 1.
    pub labels: Vec<bool>,
    /// Scores, finite.
    pub scores: Vec<f64>,
    /// Weights of the file, 1 where it has none.
    pub weights: Vec<f64>,
    /// Rows by score, ascending.
    pub order: Vec<usize>,
    /// Whether all scores are chances.
    pub chances: bool,
    /// Users with both labels; `None` without such a column.
    pub users: Option<Vec<Group>>,
    /// Slates with both labels; `None` without such a column.
    pub slates: Option<Vec<Group>>,
    /// Unit of each row that resampling draws: its user, else its slate, else the row itself.
    pub units: Vec<u32>,
    /// Number of units.
    pub unit_count: usize,
}

/// Rows of a user or a slate that has both labels.
#[derive(Debug, Clone)]
pub struct Group {
    /// One of its rows; its weight in a resample stands for the group's.
    pub row: usize,
    /// Labels by score, greatest first; equal scores as the file has them.
    pub labels: Vec<bool>,
    /// AUC within the group.
    pub auc: f64,
    /// Sum of the weights of its rows.
    pub weight: f64,
}

impl Sample {
    /// Prepares rows. `users` and `slates` are dense numbers; a slate lies within one user where there are both.
    #[must_use]
    pub fn new(
        labels: Vec<bool>,
        scores: Vec<f64>,
        weights: Option<Vec<f64>>,
        users: Option<&[u32]>,
        slates: Option<&[u32]>,
    ) -> Self {
        let n = labels.len();
        let weights = weights.unwrap_or_else(|| vec![1.0; n]);
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let units: Vec<u32> = users.or(slates).map_or_else(|| (0..n as u32).collect(), <[u32]>::to_vec);
        let unit_count = units.iter().max().map_or(0, |u| *u as usize + 1);
        let chances = scores.iter().all(|s| (0.0..=1.0).contains(s));
        let group = |keys: &[u32]| groups(keys, &labels, &scores, &weights);
        let (users, slates) = (users.map(group), slates.map(group));
        Self { users, slates, labels, scores, weights, order, chances, units, unit_count }
    }
}

fn groups(keys: &[u32], labels: &[bool], scores: &[f64], weights: &[f64]) -> Vec<Group> {
    let mut rows: Vec<usize> = (0..keys.len()).collect();
    rows.sort_by(|&a, &b| keys[a].cmp(&keys[b]).then(scores[b].total_cmp(&scores[a])));
    let one = |rows: &[usize]| {
        let pick = |from: &[f64]| rows.iter().map(|&r| from[r]).collect::<Vec<f64>>();
        let labels: Vec<bool> = rows.iter().map(|&r| labels[r]).collect();
        let (scores, weights) = (pick(scores), pick(weights));
        let auc = binary::auc(&labels, &scores, Some(&weights))?;
        Some(Group { row: rows[0], labels, auc, weight: weights.iter().sum() })
    };
    rows.chunk_by(|&a, &b| keys[a] == keys[b]).filter_map(one).collect()
}
