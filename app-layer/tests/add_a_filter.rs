//! `docs/how-to/add-a-filter.md`, followed: the file of the how-to as it stands there, made from its keys, running in the driver.

mod site;

// snippet: the file
mod item_kind {
    //! Keeps items of the named kinds only.

    use app_layer::filter::{Filter, Kind};
    use compute_layer::{Bitmask, Candidate, Params, Query, Result, Stores};
    use data_layer::types::Schema;

    /// `kind = "item_kind"`: `only`, the name of a kind of items.
    pub const KIND: Kind = Kind { name: "item_kind", make };

    #[derive(Debug)]
    struct ItemKind {
        only: String,
    }

    fn make(params: &mut Params, _: &Schema) -> Result<Box<dyn Filter>> {
        Ok(Box::new(ItemKind { only: params.string("only")? }))
    }

    impl Filter for ItemKind {
        fn keep(&self, _: &Query<'_>, stores: &Stores<'_>, candidates: &[Candidate], mask: &mut Bitmask) {
            for (row, candidate) in candidates.iter().enumerate() {
                if stores.items.kind(candidate.item) != self.only {
                    mask.clear(row);
                }
            }
        }
    }
}
// end of snippet

use std::collections::BTreeMap;

use compute_layer::{Candidates, Params, Query, Stores};
use data_layer::Actions;
use data_layer::access::{Access, Snapshot};
use data_layer::live::{Items, Live};
use data_layer::types::{Event, ItemEvent, Record, Schema, Value};
use site::{NOW, id};

const DAY: i64 = 86_400_000;

/// Items `old`, `new` and `page`, the last of the kind `content`.
fn live() -> Live {
    let live = Live::new(Actions::default(), Schema::reserved());
    let item = |(name, days, kind): (&str, i64, &str)| {
        let created = Some(Value::Int(NOW - days * DAY));
        Event::Item(ItemEvent {
            id: id(name),
            kind: Some(kind.into()),
            time: 1,
            source: None,
            attributes: [("created".into(), created)].into(),
            deleted: None,
        })
    };
    let items = [("old", 400, "item"), ("new", 0, "item"), ("page", 100, "content")].map(item);
    let records: Vec<Record> = items
        .into_iter()
        .zip(1..)
        .map(|(event, sequence)| Record { sequence, received_ms: NOW, partition: 0, past: false, event })
        .collect();
    live.apply(&records).unwrap();
    live
}

/// Calls `with` with a query, stores and the three items as candidates that all score 1.
fn with<T>(live: &Live, with: impl FnOnce(&Query<'_>, &Stores<'_>, Candidates) -> T) -> T {
    let (items, actions, snapshot, context) =
        (live.items(), Actions::default(), Snapshot::default(), BTreeMap::new());
    let access = Access { snapshot: &snapshot, live: live.lists(), now_ms: NOW };
    let stores = Stores { items: &*items, access: &access };
    let query = Query {
        now_ms: NOW,
        seed: 0,
        person: None,
        state: None,
        session: &[],
        anchors: &[],
        history: 0,
        actions: &actions,
        size: 3,
        context: &context,
    };
    let all = ["old", "new", "page"].map(|name| items.ordinal(name).unwrap());
    let mut candidates = Candidates::given([], all).unwrap();
    candidates.set_scores([1.0; 3]);
    with(&query, &stores, candidates)
}

#[test]
fn the_filter_of_the_how_to_keeps_what_it_names() {
    let mut params = Params::new("filter.item_kind", "only = 'content'".parse().unwrap());
    let filter = (item_kind::KIND.make)(&mut params, &Schema::reserved()).unwrap();
    params.finish().unwrap();
    let live = live();
    with(&live, |query, stores, mut candidates| {
        let mut removed = Vec::new();
        app_layer::filter::sift(
            &vec![("filter.item_kind", &*filter)],
            query,
            stores,
            &mut candidates,
            Some(&mut removed),
        );
        let left: Vec<&str> = candidates.list().iter().map(|c| stores.items.id(c.item).as_str()).collect();
        assert_eq!(left, ["page"]);
        assert!(removed.iter().all(|r| r.by == "filter.item_kind"), "an explanation names it");
    });
}

#[test]
fn a_missing_key_is_refused() {
    let mut params = Params::new("filter.item_kind", Default::default());
    let error = (item_kind::KIND.make)(&mut params, &Schema::reserved()).unwrap_err().to_string();
    assert!(error.starts_with("filter.item_kind.only: "), "{error}");
}

#[test]
fn the_how_to_shows_the_code_that_ran() {
    site::assert_shown("add-a-filter.md", include_str!("add_a_filter.rs"));
}
