//! Items similar to items: item-based collaborative filtering at request time. From what the person did lately, from the session, or
//! from the items the page is about. Finds seen items too; leaving them out is a filter's matter.
//!
//! `score(j) = Σ_i w_i · S(i, j)` over the items `i` it starts from, with `S` the table's scores.

use data_layer::types::time::DAY;
use data_layer::types::{Millis, Ordinal};
use rustc_hash::FxHashMap;

use crate::recall::{Kind, Outcome, Recall, list_spec, sort_scored};
use crate::{Deadline, Params, Query, Result, Stores};
use data_layer::access::ListSpec;
use data_layer::live::Scored;

/// `kind = "item_to_item"`: `table` (with `live`, `merge`, `live_weight`, `live_half_life`), `from`, `half_life`, `fade`, `equal`, `similar`.
pub const KIND: Kind = Kind { name: "item_to_item", make };

/// Where it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// The person's newest actions, and the session's items that are not among them.
    Recent,
    /// The session's items.
    Session,
    /// The anchors of the request.
    Items,
}

const FROM: [(&str, From); 3] =
    [("recent", From::Recent), ("session", From::Session), ("items", From::Items)];

#[derive(Debug)]
struct ItemToItem {
    list: ListSpec,
    from: From,
    /// An action this much older than the person's newest one weighs half.
    half_life: Millis,
    /// Each further item of a session weighs this much of the one before.
    fade: f64,
    /// Every item weighs 1, whatever was done with it and when.
    equal: bool,
    /// At most this many neighbours of each item.
    similar: usize,
}

fn make(params: &mut Params) -> Result<Box<dyn Recall>> {
    let from = FROM[params.choice_or("from", 0, &FROM.map(|(word, _)| word))?].1;
    let half_life = params.span_or("half_life", 30 * DAY)?;
    if half_life <= 0 {
        return Err(params.wrong("half_life", "expected a span above 0".to_owned()));
    }
    Ok(Box::new(ItemToItem {
        from,
        half_life,
        fade: params.number_or("fade", 0.9, 0.0..=1.0)?,
        equal: params.flag_or("equal", false)?,
        similar: params.count_or("similar", 200, 1..=5_000)?,
        list: list_spec(params)?,
    }))
}

impl ItemToItem {
    /// The items it starts from, each once, newest first, with their weights.
    fn starts(&self, query: &Query<'_>) -> Vec<(Ordinal, f32)> {
        let mut starts = Starts::default();
        match self.from {
            From::Items => query.anchors.iter().for_each(|&item| starts.add(item, 1.0)),
            From::Session => self.add_session(query, &mut starts),
            From::Recent => {
                let mut session = Starts::default();
                self.add_session(query, &mut session);
                self.add_recent(query, &mut starts);
                session.list.retain(|(item, _)| !starts.at.contains_key(item));
                session.list.append(&mut starts.list);
                starts.list = session.list;
            }
        }
        if self.equal {
            starts.list.iter_mut().for_each(|(_, weight)| *weight = if *weight < 0.0 { 0.0 } else { 1.0 });
        }
        starts.list.retain(|(_, weight)| weight.is_finite() && *weight != 0.0);
        starts.list
    }

    fn add_session(&self, query: &Query<'_>, starts: &mut Starts) {
        for (place, &item) in query.session.iter().enumerate() {
            if !starts.at.contains_key(&item) {
                starts.add(item, self.fade.powi(place as i32) as f32);
            }
        }
    }

    /// Ages count from the person's newest action, so that scores of someone who was away keep their size.
    fn add_recent(&self, query: &Query<'_>, starts: &mut Starts) {
        let newest = query.recent().iter().map(|acted| acted.time).max().unwrap_or(0);
        for acted in query.recent() {
            let age = newest.saturating_sub(acted.time) as f64;
            let decay = (-age / self.half_life as f64).exp2() as f32;
            starts.add(acted.item, query.weight(acted) * decay);
        }
    }
}

impl ItemToItem {
    /// Sums over the lists of all starts, as many as there is time for.
    fn sum(
        &self,
        starts: &[(Ordinal, f32)],
        stores: &Stores<'_>,
        until: &Deadline<'_>,
    ) -> (FxHashMap<Ordinal, f32>, Result<Outcome>) {
        let mut sums: FxHashMap<Ordinal, f32> = FxHashMap::default();
        let keys: Vec<&str> = starts.iter().map(|(item, _)| stores.items.id(*item).as_str()).collect();
        let outcome = stores.access.lists(&self.list, &keys, self.similar, until, &mut |at, list| {
            let weight = starts[at].1;
            for neighbour in list {
                *sums.entry(neighbour.item).or_insert(0.0) += weight * neighbour.score;
            }
        });
        (sums, outcome)
    }
}

#[derive(Default)]
struct Starts {
    list: Vec<(Ordinal, f32)>,
    at: FxHashMap<Ordinal, usize>,
}

impl Starts {
    fn add(&mut self, item: Ordinal, weight: f32) {
        let at = *self.at.entry(item).or_insert(self.list.len());
        match self.list.get_mut(at) {
            Some((_, sum)) => *sum += weight,
            None => self.list.push((item, weight)),
        }
    }
}

impl Recall for ItemToItem {
    fn recall(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        until: &Deadline<'_>,
        depth: usize,
        out: &mut Vec<Scored>,
    ) -> Result<Outcome> {
        let starts = self.starts(query);
        let (sums, outcome) = self.sum(&starts, stores, until);
        out.extend(
            sums.into_iter().filter(|(_, sum)| *sum > 0.0).map(|(item, score)| Scored { item, score }),
        );
        if depth > 0 && out.len() > depth {
            let (_, last, _) = out.select_nth_unstable_by(depth - 1, |a, b| b.score.total_cmp(&a.score));
            let least = last.score;
            out.retain(|scored| scored.score >= least);
        }
        sort_scored(stores.items, out);
        outcome
    }

    fn lists(&self) -> Vec<&ListSpec> {
        vec![&self.list]
    }
}
