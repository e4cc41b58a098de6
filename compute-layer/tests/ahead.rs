//! What recalls read of lazy tables is what was read ahead, of every kind there is; and they find with it what they find in memory.

mod world;

use std::collections::BTreeSet;
use std::sync::Mutex;

use compute_layer::recall::{KINDS, ahead};
use compute_layer::{Deadline, Lists, RecallPlan, Stores, compute};
use data_layer::access::{Ahead, ListSpec, Wanted};
use data_layer::live::{Scored, UserState};
use data_layer::types::Person;
use world::{NOW, World};

/// Fails where a list is read that was not wanted, notes those that are.
struct Guarded<'a> {
    world: &'a World,
    wanted: Vec<Wanted>,
    read: Mutex<BTreeSet<(String, String)>>,
}

impl Lists for Guarded<'_> {
    fn list(
        &self,
        spec: &ListSpec,
        key: &str,
        at_most: usize,
        out: &mut Vec<Scored>,
    ) -> compute_layer::Result<bool> {
        if spec.table == "lazy" {
            let covered = self.wanted.iter().any(|wanted| wanted.covers(spec, key, at_most));
            assert!(covered, "{key:?} of {spec:?} was not wanted");
            self.read.lock().unwrap().insert((format!("{spec:?}"), key.to_owned()));
        }
        self.world.lists.list(spec, key, at_most, out)
    }
}

/// Recalls of every kind, of a lazy table and of one in memory.
fn plans() -> Vec<RecallPlan> {
    let texts = [
        "kind = 'item_to_item'\ntable = 'lazy'\nfrom = 'recent'",
        "kind = 'item_to_item'\nname = 'session'\ntable = 'lazy'\nfrom = 'session'\nsimilar = 3",
        "kind = 'item_to_item'\nname = 'anchors'\ntable = 'lazy'\nlive = 'trending'\nfrom = 'items'",
        "kind = 'item_to_item'\nname = 'memory'\ntable = 'warm'\nfrom = 'recent'",
        "kind = 'ranking'\ntable = 'lazy'\nkey = 'all'\ndepth = 2000",
        "kind = 'user_list'\ntable = 'lazy'",
    ];
    let plans = RecallPlan::parse_all(texts.map(|text| toml::from_str(text).unwrap())).unwrap();
    for kind in KINDS {
        assert!(plans.iter().any(|plan| plan.kind == kind.name), "add a recall of kind {} here", kind.name);
    }
    plans
}

fn world() -> World {
    let mut world = World::of(0..40);
    for table in ["lazy", "warm"] {
        for n in 0..40 {
            let near: Vec<String> = (1..6).map(|d| format!("i{}", (n + d * 7) % 40)).collect();
            let list: Vec<(&str, f32)> = near.iter().map(|id| (id.as_str(), 1.0 / (n + 1) as f32)).collect();
            world.list(table, &format!("i{n}"), &list);
        }
        world.list(table, "all", &[("i3", 2.0), ("i1", 1.0)]);
        world.list(table, "u", &[("i5", 2.0), ("i6", 1.0)]);
    }
    world
}

#[test]
fn every_kind_reads_what_was_wanted_and_nothing_else() {
    let (world, plans) = (world(), plans());
    let lazy = BTreeSet::from(["lazy".to_owned()]);
    let person = Person::user("u".parse().unwrap());
    for round in 0..30 {
        let actions =
            (0..round).map(|n| world.acted(&format!("i{}", n * 11 % 40), "click", 1.0, NOW - n as i64));
        let state = UserState { actions: actions.collect(), ..UserState::default() };
        let (session, anchors) = (vec![world.ordinal("i2"), world.ordinal("i7")], vec![world.ordinal("i9")]);
        let mut query = world.query((round % 3 > 0).then_some(&person), Some(&state));
        query.session = &session[..round % 3];
        query.anchors = &anchors[..round % 2];
        let items = world.live.items();
        let wanted = ahead::wanted(&plans, &query, &world.stores(&items), &lazy);
        let count = wanted.iter().map(|wanted| wanted.keys().len()).sum::<usize>();
        let guarded = Guarded { world: &world, wanted, read: Mutex::default() };
        let stores = Stores { items: &*items, access: &guarded };
        let (ahead_of, _) = compute::recall_all(&plans, &query, &stores, &Deadline::never()).unwrap();
        assert_eq!(guarded.read.lock().unwrap().len(), count, "nothing is wanted that nobody reads");
        let (plain, _) =
            compute::recall_all(&plans, &query, &world.stores(&items), &Deadline::never()).unwrap();
        assert_eq!(ahead_of.list(), plain.list());
    }
}

#[test]
fn tables_in_memory_cost_no_reading_ahead() {
    let (world, plans) = (world(), plans());
    let items = world.live.items();
    let none = ahead::wanted(&plans, &world.query(None, None), &world.stores(&items), &BTreeSet::new());
    assert!(none.is_empty());
}

#[test]
fn what_was_not_read_ahead_is_left_out_and_never_read_here() {
    let (world, plans) = (world(), plans());
    let lazy = BTreeSet::from(["lazy".to_owned()]);
    let items = world.live.items();
    let (none, query) = (Ahead::none(), world.query(None, None));
    let over = ahead::Over::new(NoLazy(&world), &none, &lazy);
    let stores = Stores { items: &*items, access: &over };
    let (found, degraded) = compute::recall_all(&plans, &query, &stores, &Deadline::never()).unwrap();
    assert_eq!(found.len(), 0);
    assert_eq!((degraded.len(), degraded[0].stage.as_str()), (1, "recall.ranking"));
    assert!(degraded[0].detail.contains("lazy table lazy was not asked for ahead"), "{degraded:?}");
}

/// Lists whose lazy table must not be touched.
struct NoLazy<'a>(&'a World);

impl Lists for NoLazy<'_> {
    fn list(
        &self,
        spec: &ListSpec,
        key: &str,
        at_most: usize,
        out: &mut Vec<Scored>,
    ) -> compute_layer::Result<bool> {
        assert_ne!(spec.table, "lazy", "read on this thread");
        self.0.lists.list(spec, key, at_most, out)
    }
}
