//! Filters: what must not be shown. One file per kind, one line in [`KINDS`]; what holds for every scene is in [`always`].

pub mod always;
pub mod rule;
pub mod seen;

use compute_layer::{Bitmask, Candidate, Candidates, Params, Query, Result, Stores};
use data_layer::types::{Ordinal, Schema};

use crate::ask::Asked;
use crate::scene::Work;
use crate::trip::Trip;

/// Every kind of filter there is.
pub const KINDS: &[Kind] = &[
    seen::KIND, // the person acted on it, with positive weight, within a window
    rule::KIND, // a rule over attributes
];

/// A kind of filter, as a scene names it.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The word in `kind = "…"`.
    pub name: &'static str,
    /// Takes its parameters out of the scene's table and checks them.
    pub make: fn(&mut Params, &Schema) -> Result<Box<dyn Filter>>,
}

/// Decides for each candidate whether it may be shown.
pub trait Filter: Send + Sync + std::fmt::Debug {
    /// Clears the bit of every candidate that must not be shown. Bits already cleared stay so.
    fn keep(&self, query: &Query<'_>, stores: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask);
}

/// A filter of a scene, by name.
#[derive(Debug)]
pub struct Named {
    /// Its name; default: its kind.
    pub name: String,
    /// What it does.
    pub filter: Box<dyn Filter>,
}

/// An item that was taken out, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The item.
    pub item: Ordinal,
    /// `filter.NAME`, or the field of the request that says so.
    pub by: String,
}

/// The filters of one request, by name.
pub type Ordered<'a> = Vec<(&'a str, &'a dyn Filter)>;

/// First what always holds, then the request's own rule, then the scene's filters in its order.
#[must_use]
pub fn in_order<'a>(always: &'a always::Always, asked: &'a Asked<'_>, work: &'a Work) -> Ordered<'a> {
    let own = asked.filter.iter().map(|rule| ("request.filter", rule as &dyn Filter));
    let scene = work.filters.iter().map(|named| (named.name.as_str(), &*named.filter));
    always.each().into_iter().chain(own).chain(scene).collect()
}

/// The filter stage: keeps what all filters keep.
pub fn run(
    filters: &Ordered<'_>,
    query: &Query<'_>,
    stores: &Stores<'_>,
    candidates: &mut Candidates,
    trip: &mut Trip,
) {
    let told = trip.whole.then_some(&mut trip.removed);
    sift(filters, query, stores, candidates, told);
    trip.done("filter", candidates.len());
}

/// Runs filters in order. With `told`, every removal is noted with its first cause.
pub fn sift(
    filters: &Ordered<'_>,
    query: &Query<'_>,
    stores: &Stores<'_>,
    candidates: &mut Candidates,
    mut told: Option<&mut Vec<Removed>>,
) {
    let mut mask = Bitmask::all(candidates.len());
    let mut before = told.is_some().then(|| mask.clone());
    for (name, filter) in filters {
        filter.keep(query, stores, candidates.list(), &mut mask);
        if let (Some(told), Some(before)) = (told.as_deref_mut(), before.as_mut()) {
            let rows = candidates.list().iter().enumerate();
            let gone = rows.filter(|(row, _)| before.get(*row) && !mask.get(*row));
            told.extend(gone.map(|(_, c)| Removed { item: c.item, by: (*name).to_owned() }));
            before.clone_from(&mask);
        }
    }
    candidates.retain(&mask);
}
