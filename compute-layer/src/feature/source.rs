//! What the recalls said about a candidate. The features that let a model keep the order of a ranking and bend it for the person.

use ndarray::ArrayViewMut1;

use super::{Feature, Kind, Scope, log_size};
use crate::{Candidates, Query, Result, Stores};

/// `source.X.score`, `.relative`, `.rank`, `.log_rank`, `.present`, and `source.count`.
pub const KIND: Kind = Kind { name: "source", bind, names };

/// Ranks from here on have `log_rank` 0.
const LAST: f32 = 10_000.0;

/// The forms a source's word comes in.
const FORMS: [(&str, Form); 5] = [
    ("score", Form::Score),
    ("relative", Form::Relative),
    ("rank", Form::Rank),
    ("log_rank", Form::LogRank),
    ("present", Form::Present),
];

#[derive(Debug, Clone, Copy)]
enum Form {
    /// sign · ln(1 + |score|).
    Score,
    /// Score over the best of the source's list, −1..=1.
    Relative,
    /// 60 / (59 + rank), 0..=1.
    Rank,
    /// 1 − ln(rank) / ln(10,000), 0..=1.
    LogRank,
    /// 1 where it is in the list.
    Present,
}

struct Source {
    source: usize,
    form: Form,
}

/// Number of sources that hold the candidate.
struct Count;

/// A source that the scene does not have.
struct Absent;

fn bind(name: &str, scope: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
    if name == "source.count" {
        return Some(Ok(Box::new(Count)));
    }
    let (source, form) = split(name)?;
    Some(Ok(match scope.sources.iter().position(|s| s == source) {
        Some(source) => Box::new(Source { source, form }),
        None => Box::new(Absent),
    }))
}

fn split(name: &str) -> Option<(&str, Form)> {
    let (source, form) = name.strip_prefix("source.")?.rsplit_once('.')?;
    let form = FORMS.iter().find(|(word, _)| *word == form)?.1;
    (!source.is_empty()).then_some((source, form))
}

/// Whether the name is of a source that is not among these.
pub(super) fn names_absent(name: &str, sources: &[String]) -> bool {
    split(name).is_some_and(|(source, _)| sources.iter().all(|s| s != source))
}

fn names(scope: &Scope<'_>) -> Vec<String> {
    let of = |source: &String| FORMS.map(|(form, _)| format!("source.{source}.{form}"));
    scope.sources.iter().flat_map(of).chain(["source.count".to_owned()]).collect()
}

impl Feature for Source {
    fn fill(&self, _: &Query<'_>, _: &Stores<'_>, candidates: &Candidates, column: ArrayViewMut1<'_, f32>) {
        let best = candidates.best_of(self.source);
        let said = candidates.scores_of(self.source).iter().zip(candidates.ranks_of(self.source));
        for (x, (&score, &rank)) in column.into_iter().zip(said).filter(|(_, (_, rank))| **rank > 0) {
            *x = match self.form {
                Form::Score => log_size(score),
                Form::Relative if best > 0.0 => (score / best).clamp(-1.0, 1.0),
                Form::Relative => 0.0,
                Form::Rank => 60.0 / (59.0 + rank as f32),
                Form::LogRank => (1.0 - (rank as f32).ln() / LAST.ln()).max(0.0),
                Form::Present => 1.0,
            };
        }
    }
}

impl Feature for Count {
    fn fill(&self, _: &Query<'_>, _: &Stores<'_>, candidates: &Candidates, column: ArrayViewMut1<'_, f32>) {
        for (x, candidate) in column.into_iter().zip(candidates.list()) {
            *x = candidate.sources.count_ones() as f32;
        }
    }
}

impl Feature for Absent {
    fn fill(&self, _: &Query<'_>, _: &Stores<'_>, _: &Candidates, _: ArrayViewMut1<'_, f32>) {}
}
