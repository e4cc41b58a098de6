//! Metrics of ranked lists, one file each, on the visible list [`METRICS`]. A new one is a file and a line. Metrics of
//! scored rows are in [`binary`]. How sure we are of a number is not decided here but in `inference`.

use crate::input::Catalogue;

pub mod auc;
pub mod binary;
pub mod coverage;
pub mod diversity;
pub mod gini;
pub mod hit_rate;
pub mod map;
pub mod mrr;
pub mod ndcg;
pub mod novelty;
pub mod recall;
pub mod scored;

/// Every metric of ranked lists, in the order of reports.
pub const METRICS: [Metric; 10] = [
    recall::METRIC,
    ndcg::METRIC,
    map::METRIC,
    mrr::METRIC,
    hit_rate::METRIC,
    coverage::METRIC,
    novelty::METRIC,
    gini::METRIC,
    diversity::METRIC,
    auc::METRIC,
];

/// One metric.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name; cut ones are reported as `name@k`.
    pub name: &'static str,
    /// How it is computed.
    pub kind: Kind,
}

/// How a metric is computed. `None` where it is not defined: such users are left out of that metric's mean.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Of one user's first `k`; reported as the mean over users.
    PerUser(fn(&Look<'_>, usize) -> Option<f64>),
    /// Of one user's whole list; reported as the mean over users.
    WholeList(fn(&Look<'_>) -> Option<f64>),
    /// Of how often each item was shown among the first `k` of all users. Takes positive counts (any order) and the size of
    /// the catalogue.
    Overall(fn(&mut [u32], usize) -> Option<f64>),
}

/// One user's list beside what the user took.
pub struct Look<'a> {
    /// Items, best first.
    pub listed: &'a [u32],
    /// Whether the item at that place was taken; as long as `listed`.
    pub hits: &'a [bool],
    /// How many the user took; at least 1.
    pub relevant: usize,
    /// What is known of items.
    pub catalogue: &'a Catalogue,
}

impl Look<'_> {
    /// Number of hits among the first `k`.
    #[must_use]
    pub fn found(&self, k: usize) -> usize {
        self.hits.iter().take(k).filter(|h| **h).count()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A metric's value for hits at some places, `relevant` taken, in a catalogue of `size`.
    pub fn of(metric: Metric, hits: &[bool], relevant: usize, k: usize, size: usize) -> Option<f64> {
        let listed: Vec<u32> = (0..hits.len() as u32).collect();
        let catalogue = Catalogue { size, ..Catalogue::default() };
        let look = Look { listed: &listed, hits, relevant, catalogue: &catalogue };
        match metric.kind {
            Kind::PerUser(f) => f(&look, k),
            Kind::WholeList(f) => f(&look),
            Kind::Overall(_) => None,
        }
    }
}
