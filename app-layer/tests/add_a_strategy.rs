//! `docs/how-to/add-a-strategy.md`, followed: the file of the how-to as it stands there, made from its keys, running in the driver.

mod site;

// snippet: the file
mod fresh {
    //! Lifts new items: `score × (1 + lift · 0.5^(age / half_life))`. An item without a time of creation stays as it is.

    use app_layer::strategy::{Kind, Strategy};
    use compute_layer::{Candidates, Params, Query, Result, Stores};
    use data_layer::types::Schema;
    use data_layer::types::time::DAY;

    /// `kind = "fresh"`: `lift` (1.0), `half_life` (`7d`).
    pub const KIND: Kind = Kind { name: "fresh", make };

    #[derive(Debug)]
    struct Fresh {
        lift: f32,
        half_life_days: f32,
    }

    fn make(params: &mut Params, _: &Schema) -> Result<Box<dyn Strategy>> {
        let lift = params.number_or("lift", 1.0, 0.0..=100.0)? as f32;
        let half_life = params.span_or("half_life", 7 * DAY)?;
        if half_life <= 0 {
            return Err(params.wrong("half_life", "expected a span above zero, such as \"7d\"".to_owned()));
        }
        Ok(Box::new(Fresh { lift, half_life_days: half_life as f32 / DAY as f32 }))
    }

    impl Strategy for Fresh {
        fn score(&self, query: &Query<'_>, stores: &Stores<'_>, candidates: &Candidates, scores: &mut [f32]) {
            let today = (query.now_ms as f64 / DAY as f64) as f32;
            for (candidate, score) in candidates.list().iter().zip(scores) {
                if let Some(created) = stores.items.row(candidate.item).created_days() {
                    let age = (today - created).max(0.0);
                    *score *= 1.0 + self.lift * 0.5_f32.powf(age / self.half_life_days);
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
    let items = [("old", 400, "item"), ("new", 0, "item"), ("page", 6, "content")].map(item);
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
fn the_strategy_of_the_how_to_lifts_what_is_new() {
    let mut params = Params::new("strategy.fresh", "lift = 0.5\nhalf_life = '3d'".parse().unwrap());
    let strategy = (fresh::KIND.make)(&mut params, &Schema::reserved()).unwrap();
    params.finish().unwrap();
    let named = [app_layer::strategy::Named { name: "fresh".into(), strategy }];
    let live = live();
    let order = with(&live, |query, stores, mut candidates| {
        let page = app_layer::strategy::arrange(
            &named,
            query,
            stores,
            &mut candidates,
            &mut app_layer::trip::Trip::start(true),
        );
        assert!((candidates.list()[1].score - 1.5).abs() < 1e-3, "today's item has the whole lift");
        assert_eq!(page.moves.iter().filter(|m| m.row == 1).count(), 1, "an explanation tells of it");
        page.rows
    });
    assert_eq!(order, [1, 2, 0]);
}

#[test]
fn a_wrong_key_is_refused() {
    let mut params = Params::new("strategy.fresh", "half_life = '0d'".parse().unwrap());
    let error = (fresh::KIND.make)(&mut params, &Schema::reserved()).unwrap_err().to_string();
    assert!(error.starts_with("strategy.fresh.half_life: "), "{error}");
}

#[test]
fn the_how_to_shows_the_code_that_ran() {
    site::assert_shown("add-a-strategy.md", include_str!("add_a_strategy.rs"));
}
