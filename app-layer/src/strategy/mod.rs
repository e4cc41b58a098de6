//! Strategies: what the product wants beyond the model's score. One file per kind, one line in [`KINDS`].
//!
//! A strategy may change scores, and it may judge places. The driver, [`arrange`], does the rest: scores first, each strategy in
//! the order of the scene; then place by place the best candidate that no strategy refuses. So a later strategy can't undo an
//! earlier one, and no strategy can forge an item, show one twice, or lose one in silence.

pub mod blend;
pub mod boost;
pub mod window;

use compute_layer::{Candidates, Params, Query, Result, Stores, compute};
use data_layer::types::Schema;

use crate::trip::Trip;

/// Every kind of strategy there is.
pub const KINDS: &[Kind] = &[
    blend::KIND,  // mixes what the sources said, with or without a model
    boost::KIND,  // multiplies the score of what a rule picks
    window::KIND, // at most n of one attribute's value in any w places
];

/// A kind of strategy, as a scene names it.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    /// Takes its parameters out of the scene's table and checks them.
    pub make: fn(&mut Params, &Schema) -> Result<Box<dyn Strategy>>,
}

/// One wish of the product.
pub trait Strategy: Send + Sync + std::fmt::Debug {
    /// Changes scores, one per candidate, in order of the rows. What is not finite is taken as unchanged.
    fn score(&self, _: &Query<'_>, _: &Stores<'_>, _: &Candidates, _: &mut [f32]) {}

    /// Who judges the places of one request; `None` for a strategy that only changes scores. What is the same for all places is looked
    /// up here, once.
    fn judge<'a>(&'a self, _: &Query<'_>, _: &Stores<'_>, _: &'a Candidates) -> Option<Box<dyn Judge + 'a>> {
        None
    }
}

/// Judges the places of one request.
pub trait Judge {
    /// Whether the candidate in row `next` may follow the rows already `placed`.
    fn verdict(&self, placed: &[usize], next: usize) -> Verdict;
}

/// What a strategy says about one candidate at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It may stand here.
    Fine,
    /// Only if nothing else may.
    Last,
    /// It must not stand here.
    Never,
}

/// A strategy of a scene, by name.
#[derive(Debug)]
pub struct Named {
    /// Its name; default: its kind.
    pub name: String,
    /// What it does.
    pub strategy: Box<dyn Strategy>,
}

/// What a strategy did to one candidate, for explain.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Row of the candidate.
    pub row: usize,
    /// Place of the strategy in the scene.
    pub by: usize,
    /// What it did.
    pub what: Change,
}

/// The change itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// The score changed.
    Score {
        /// Before.
        from: f32,
        /// After.
        to: f32,
    },
    /// It had to wait at this place of the page, from 0.
    Held {
        /// The place that it did not get.
        at: usize,
    },
}

/// The page: rows in order, and who left places empty.
#[derive(Debug, Default, PartialEq)]
pub struct Arranged {
    /// Rows of the candidates shown, best place first; each row once.
    pub rows: Vec<usize>,
    /// Every change, where they were asked for.
    pub moves: Vec<Move>,
    /// Strategies that refused what was left, when the page is not full.
    pub refused_by: Vec<usize>,
}

/// Lets every strategy change the scores, then fills `query.size` places.
pub fn arrange(
    strategies: &[Named],
    query: &Query<'_>,
    stores: &Stores<'_>,
    candidates: &mut Candidates,
    trip: &mut Trip,
) -> Arranged {
    let tell_moves = trip.whole;
    let mut arranged = Arranged::default();
    rescore(strategies, query, stores, candidates, tell_moves.then_some(&mut arranged.moves));
    let all: &Candidates = candidates;
    let judges = strategies.iter().enumerate();
    let judges: Vec<(usize, Box<dyn Judge + '_>)> =
        judges.filter_map(|(by, named)| Some((by, named.strategy.judge(query, stores, all)?))).collect();
    let mut left = compute::top(stores.items, all.list(), all.len());
    if judges.is_empty() {
        left.truncate(query.size);
        arranged.rows = left;
    } else {
        while arranged.rows.len() < query.size && !left.is_empty() {
            let Some(at) = next(&judges, &left, &mut arranged, tell_moves) else { break };
            arranged.rows.push(left.remove(at));
        }
    }
    trip.done("strategies", arranged.rows.len());
    arranged
}

fn rescore(
    strategies: &[Named],
    query: &Query<'_>,
    stores: &Stores<'_>,
    candidates: &mut Candidates,
    mut moves: Option<&mut Vec<Move>>,
) {
    if strategies.is_empty() {
        return;
    }
    let mut scores: Vec<f32> = candidates.list().iter().map(|c| c.score).collect();
    for (by, named) in strategies.iter().enumerate() {
        named.strategy.score(query, stores, candidates, &mut scores);
        for (row, score) in scores.iter_mut().enumerate() {
            let from = candidates.list()[row].score;
            if !score.is_finite() {
                *score = from;
            }
            if let Some(moves) = moves.as_deref_mut().filter(|_| from != *score) {
                moves.push(Move { row, by, what: Change::Score { from, to: *score } });
            }
        }
        candidates.set_scores(scores.iter().copied());
    }
}

/// Where in `left` the next row stands: the first that is fine for all, else the first that nobody refuses.
fn next(
    judges: &[(usize, Box<dyn Judge + '_>)],
    left: &[usize],
    arranged: &mut Arranged,
    tell_moves: bool,
) -> Option<usize> {
    let mut last_resort = None;
    let mut refused: Vec<usize> = Vec::new();
    for (at, &row) in left.iter().enumerate() {
        let verdicts = judges.iter().map(|(by, judge)| (judge.verdict(&arranged.rows, row), *by));
        let worst = verdicts.max_by_key(|(verdict, _)| *verdict);
        let Some((verdict, by)) = worst.filter(|(verdict, _)| *verdict != Verdict::Fine) else {
            return Some(at);
        };
        match verdict {
            Verdict::Last => last_resort = last_resort.or(Some(at)),
            _ if !refused.contains(&by) => refused.push(by),
            _ => {}
        }
        if tell_moves && !arranged.moves.iter().any(|m| m.row == row && matches!(m.what, Change::Held { .. }))
        {
            arranged.moves.push(Move { row, by, what: Change::Held { at: arranged.rows.len() } });
        }
    }
    if last_resort.is_none() {
        arranged.refused_by = refused;
    }
    last_resort
}
