//! Judges ranked lists: every metric of the list in `metric`, with intervals, and against a baseline on the same users.

use rustc_hash::FxHashMap;

use crate::inference::bootstrap::{Estimate, Resampling, means, normal, percentile};
use crate::input::{Catalogue, Lists, Truth};
use crate::metric::{Kind, Look, METRICS};

/// Resamples for figures over all lists at once: each needs all lists counted again.
const OVERALL_RESAMPLES: usize = 200;

/// What to judge.
pub struct Case<'a> {
    /// The lists.
    pub lists: &'a Lists,
    /// Lists to compare with.
    pub baseline: Option<&'a Lists>,
    /// What users took.
    pub truth: &'a Truth,
    /// Users to judge by, in an order that does not depend on files: those with something relevant.
    pub users: &'a [u32],
    /// What is known of items.
    pub catalogue: &'a Catalogue,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// `recall@20`, or `auc`.
    pub name: String,
    /// The figure and its interval.
    pub estimate: Estimate,
    /// Less the baseline's, with the interval of the paired difference.
    pub difference: Option<Estimate>,
}

/// A figure before it is computed: which metric, cut where.
struct Column {
    name: String,
    kind: Kind,
    k: usize,
}

/// Computes every metric that the data allows, in the order of the list of metrics.
#[must_use]
pub fn judge(case: &Case<'_>, cuts: &[usize], resampling: Resampling) -> Vec<Figure> {
    let columns: Vec<Column> = METRICS
        .iter()
        .flat_map(|m| match m.kind {
            Kind::WholeList(_) => vec![Column { name: m.name.to_owned(), kind: m.kind, k: usize::MAX }],
            _ => cuts.iter().map(|&k| Column { name: format!("{}@{k}", m.name), kind: m.kind, k }).collect(),
        })
        .collect();
    let (overall, per_user): (Vec<_>, Vec<_>) =
        columns.iter().partition(|c| matches!(c.kind, Kind::Overall(_)));
    let mut figures: FxHashMap<&str, Figure> = FxHashMap::default();
    for figure in per_user_figures(case, &per_user, resampling) {
        figures.insert(&columns[index(&columns, &figure.name)].name, figure);
    }
    for column in overall {
        if let Some(figure) = overall_figure(case, column, resampling) {
            figures.insert(&column.name, figure);
        }
    }
    columns.iter().filter_map(|c| figures.remove(c.name.as_str())).collect()
}

fn index(columns: &[Column], name: &str) -> usize {
    columns.iter().position(|c| c.name == name).unwrap_or_default()
}

/// Rows of cells, one row for each user; NaN where a metric is not defined for the user.
fn cells(case: &Case<'_>, lists: &Lists, columns: &[&Column]) -> Vec<f64> {
    let mut cells = Vec::with_capacity(case.users.len() * columns.len());
    let mut hits = Vec::new();
    for &user in case.users {
        let Some(relevant) = case.truth.of(user) else { continue };
        let listed = lists.of(user);
        hits.clear();
        hits.extend(listed.iter().map(|i| relevant.contains(i)));
        let look = Look { listed, hits: &hits, relevant: relevant.len(), catalogue: case.catalogue };
        cells.extend(columns.iter().map(|c| {
            let value = match c.kind {
                Kind::PerUser(f) => f(&look, c.k),
                Kind::WholeList(f) => f(&look),
                Kind::Overall(_) => None,
            };
            value.unwrap_or(f64::NAN)
        }));
    }
    cells
}

fn per_user_figures(case: &Case<'_>, columns: &[&Column], resampling: Resampling) -> Vec<Figure> {
    let (n, width) = (case.users.len(), columns.len());
    let ours = cells(case, case.lists, columns);
    let theirs = case.baseline.map(|lists| cells(case, lists, columns));
    let (mut resampled, mut differences) = (vec![Vec::new(); width], vec![Vec::new(); width]);
    for b in 0..resampling.times {
        let counts = resampling.counts(n, b);
        let a = means(&ours, width, Some(&counts));
        if let Some(theirs) = &theirs {
            let b = means(theirs, width, Some(&counts));
            differences.iter_mut().zip(a.iter().zip(b)).for_each(|(d, (a, b))| d.push(a - b));
        }
        resampled.iter_mut().zip(a).for_each(|(r, a)| r.push(a));
    }
    let values = means(&ours, width, None);
    let base = theirs.map(|cells| means(&cells, width, None));
    let mut figures = Vec::new();
    for (c, column) in columns.iter().enumerate() {
        if !values[c].is_finite() {
            continue; // not defined for anybody: the data it needs is not there
        }
        let difference = base
            .as_ref()
            .filter(|b| b[c].is_finite())
            .map(|base| percentile(values[c] - base[c], std::mem::take(&mut differences[c])));
        let estimate = percentile(values[c], std::mem::take(&mut resampled[c]));
        figures.push(Figure { name: column.name.clone(), estimate, difference });
    }
    figures
}

/// How often each item was shown; only items that were.
fn shown(case: &Case<'_>, lists: &Lists, k: usize, counts: Option<&[u32]>, into: &mut Vec<u32>) -> Vec<u32> {
    into.iter_mut().for_each(|c| *c = 0);
    for (n, &user) in case.users.iter().enumerate() {
        let weight = counts.map_or(1, |c| c[n]);
        for &item in lists.of(user).iter().take(k) {
            if item as usize >= into.len() {
                into.resize(item as usize + 1, 0);
            }
            into[item as usize] += weight;
        }
    }
    into.iter().copied().filter(|c| *c > 0).collect()
}

fn overall_figure(case: &Case<'_>, column: &Column, resampling: Resampling) -> Option<Figure> {
    let Kind::Overall(metric) = column.kind else { return None };
    let mut buffer = Vec::new();
    let mut measure = |lists: &Lists, counts: Option<&[u32]>| {
        metric(&mut shown(case, lists, column.k, counts, &mut buffer), case.catalogue.size)
    };
    let value = measure(case.lists, None)?;
    let base = case.baseline.and_then(|b| measure(b, None));
    let (mut resampled, mut differences) = (Vec::new(), Vec::new());
    for b in 0..resampling.times.min(OVERALL_RESAMPLES) {
        let counts = resampling.counts(case.users.len(), b);
        let Some(ours) = measure(case.lists, Some(&counts)) else { continue };
        resampled.push(ours);
        if let Some(theirs) = case.baseline.and_then(|lists| measure(lists, Some(&counts))) {
            differences.push(ours - theirs);
        }
    }
    Some(Figure {
        name: column.name.clone(),
        estimate: normal(value, &resampled),
        difference: base.map(|base| normal(value - base, &differences)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Resampling = Resampling { times: 100, seed: 1 };

    fn judged(lists: &Lists, baseline: Option<&Lists>) -> Vec<Figure> {
        let truth = Truth::from_pairs([(0, 1), (0, 2), (1, 3), (2, 4)]);
        let catalogue = Catalogue { size: 10, ..Catalogue::default() };
        let case = Case { lists, baseline, truth: &truth, users: &[0, 1, 2], catalogue: &catalogue };
        judge(&case, &[2], HOW)
    }

    fn value(figures: &[Figure], name: &str) -> f64 {
        figures.iter().find(|f| f.name == name).unwrap().estimate.value
    }

    #[test]
    fn users_without_a_list_count_as_zero() {
        let lists = Lists::from_rows([(0, vec![1, 5]), (1, vec![3])]);
        let figures = judged(&lists, None);
        assert_eq!(value(&figures, "recall@2"), 0.5);
        assert_eq!(value(&figures, "hit_rate@2"), 2.0 / 3.0);
        assert_eq!(value(&figures, "coverage@2"), 0.3);
        assert!(figures.iter().all(|f| !f.name.starts_with("novelty") && !f.name.starts_with("diversity")));
        for f in &figures {
            assert!(f.estimate.low <= f.estimate.value && f.estimate.value <= f.estimate.high, "{f:?}");
        }
    }

    #[test]
    fn nothing_differs_from_itself_and_the_seed_decides() {
        let lists = Lists::from_rows([(0, vec![1, 5]), (1, vec![3])]);
        let figures = judged(&lists, Some(&lists));
        for f in &figures {
            assert_eq!(f.difference, Some(Estimate { value: 0.0, low: 0.0, high: 0.0 }), "{}", f.name);
        }
        assert_eq!(figures, judged(&lists, Some(&lists)));
    }
}
