//! Laws of recall and its driver: sums, weights, quotas, deadlines, and that no source breaks an answer.

mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use compute_layer::compute::{recall_all, recall_given};
use compute_layer::recall::{Kind, list_spec};
use compute_layer::{Clock, Deadline, Outcome, Params, Query, Recall, RecallPlan, Stores};
use data_layer::access::ListSpec;
use data_layer::live::Scored;
use data_layer::types::{Id, Person};
use proptest::prelude::*;
use world::{DAY, NOW, World, plans, state};

const CF: &str = "[[recall]]\nname = 'cf'\nkind = 'item_to_item'\ntable = 'cf'\n";

fn small() -> World {
    let mut world = World::of(0..10);
    world.list("cf", "i0", &[("i1", 0.5), ("i2", 0.25)]);
    world.list("cf", "i3", &[("i2", 1.0), ("i4", 0.5)]);
    world.list("hot", "all", &[("i9", 9.0), ("i8", 8.0), ("i2", 2.0)]);
    world.list("mine", "u1", &[("i7", 1.0)]);
    world
}

/// What the sources find: (id, score of the first source that has it).
fn found(world: &World, toml: &str, query: &Query<'_>) -> Vec<(String, f32)> {
    let items = world.live.items();
    let (all, degraded) = recall_all(&plans(toml), query, &world.stores(&items), &Deadline::never()).unwrap();
    assert_eq!(degraded, []);
    let score = |row: usize| all.sources_of(row).next().map_or(0.0, |(_, score, _)| score);
    let rows = all.list().iter().enumerate().map(|(row, c)| (c.item, score(row)));
    rows.map(|(item, score)| (world.ids([item]).remove(0), score)).collect()
}

fn pairs(list: &[(&str, f32)]) -> Vec<(String, f32)> {
    list.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect()
}

#[test]
fn item_to_item_sums_over_what_the_person_did() {
    let world = small();
    // The newest action is a like (3); a click (1) lies one half-life before it.
    let recent = state(vec![
        world.acted("i3", "like", 1.0, NOW - 5 * DAY),
        world.acted("i0", "click", 1.0, NOW - 35 * DAY),
    ]);
    let query = world.query(None, Some(&recent));
    assert_eq!(found(&world, CF, &query), pairs(&[("i2", 3.0 + 0.125), ("i4", 1.5), ("i1", 0.25)]));
    let equal = format!("{CF}equal = true\n");
    assert_eq!(found(&world, &equal, &query), pairs(&[("i2", 1.25), ("i1", 0.5), ("i4", 0.5)]).in_order());
    let one = Query { history: 1, ..query };
    assert_eq!(found(&world, CF, &one), pairs(&[("i2", 3.0), ("i4", 1.5)]));
}

trait Ties {
    fn in_order(self) -> Self;
}

impl Ties for Vec<(String, f32)> {
    /// Equal scores stand in order of the hash of the id.
    fn in_order(mut self) -> Self {
        self.sort_by(|a, b| {
            b.1.total_cmp(&a.1).then(Id::new(&a.0).unwrap().tie().cmp(&Id::new(&b.0).unwrap().tie()))
        });
        self
    }
}

#[test]
fn what_is_disliked_counts_against_its_neighbours() {
    let world = small();
    let recent = state(vec![world.acted("i3", "dislike", 1.0, NOW), world.acted("i0", "like", 1.0, NOW)]);
    let query = world.query(None, Some(&recent));
    assert_eq!(found(&world, CF, &query), pairs(&[("i1", 1.5)]));
}

#[test]
fn it_starts_from_the_session_or_the_anchors_too() {
    let world = small();
    let (i0, i3) = (world.ordinal("i0"), world.ordinal("i3"));
    let recent = state(vec![world.acted("i3", "click", 1.0, NOW)]);
    let query = Query { session: &[i0, i3], anchors: &[i3], ..world.query(None, Some(&recent)) };
    let from = |from: &str| found(&world, &format!("{CF}from = '{from}'\n"), &query);
    assert_eq!(from("items"), pairs(&[("i2", 1.0), ("i4", 0.5)]));
    assert_eq!(from("session"), pairs(&[("i2", 0.25 + 0.9), ("i1", 0.5), ("i4", 0.45)]));
    // i3 is known already and counts once; i0 is new.
    assert_eq!(from("recent"), pairs(&[("i2", 1.25), ("i1", 0.5), ("i4", 0.5)]).in_order());
}

#[test]
fn lists_for_all_and_lists_for_one_user() {
    let world = small();
    let toml = "[[recall]]\nkind = 'ranking'\ntable = 'hot'\nquota = 2\n[[recall]]\nkind = 'user_list'\ntable = 'mine'\n";
    let id = Id::new("u1").unwrap();
    let (user, visitor) = (Person::user(id.clone()), Person::anonymous(id));
    let of = |person| found(&world, toml, &world.query(Some(person), None));
    assert_eq!(of(&user), pairs(&[("i9", 9.0), ("i8", 8.0), ("i7", 1.0)]));
    assert_eq!(of(&visitor), pairs(&[("i9", 9.0), ("i8", 8.0)]));
}

#[test]
fn a_candidate_carries_what_every_source_says_beyond_its_quota() {
    let world = small();
    let recent = state(vec![world.acted("i3", "click", 1.0, NOW)]);
    let toml = format!("{CF}[[recall]]\nname = 'hot'\nkind = 'ranking'\ntable = 'hot'\nquota = 1\n");
    let items = world.live.items();
    let (all, _) = recall_all(
        &plans(&toml),
        &world.query(None, Some(&recent)),
        &world.stores(&items),
        &Deadline::never(),
    )
    .unwrap();
    assert_eq!(world.ids(all.list().iter().map(|c| c.item)), ["i2", "i4", "i9"]);
    assert_eq!(all.sources_of(0).collect::<Vec<_>>(), [(0, 1.0, 1), (1, 2.0, 3)]);
    assert_eq!((all.source_rank(1, 1), all.source_rank(1, 2)), (0, 1));
    for (row, candidate) in all.list().iter().enumerate() {
        for source in 0..2 {
            assert_eq!(candidate.sources >> source & 1 == 1, all.source_rank(source, row) > 0);
        }
    }
}

#[test]
fn given_items_are_the_candidates_and_nothing_else_is() {
    let world = small();
    let given = ["i5", "i2", "i5"].map(|id| world.ordinal(id));
    let items = world.live.items();
    let toml = "[[recall]]\nkind = 'ranking'\ntable = 'hot'\n";
    let (all, _) = recall_given(
        &given,
        &plans(toml),
        &world.query(None, None),
        &world.stores(&items),
        &Deadline::never(),
    )
    .unwrap();
    assert_eq!(world.ids(all.list().iter().map(|c| c.item)), ["i5", "i2"]);
    assert_eq!((all.source_rank(0, 0), all.source_rank(0, 1)), (0, 3));
}

/// Each look at this clock takes a microsecond.
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn micros(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

#[test]
fn a_late_source_hands_over_what_it_has_and_is_named() {
    let mut world = World::of(0..200);
    let keys: Vec<String> = (0..100).map(|i| format!("i{i}")).collect();
    for key in &keys {
        world.list("cf", key, &[("i150", 1.0)]);
    }
    world.list("hot", "all", &[("i199", 1.0)]);
    let recent = state(keys.iter().map(|key| world.acted(key, "click", 1.0, NOW)).collect());
    let toml =
        format!("{CF}share = 1\n[[recall]]\nname = 'hot'\nkind = 'ranking'\ntable = 'hot'\nshare = 3\n");
    let items = world.live.items();
    let run = |budget| {
        let clock = Ticks(AtomicU64::new(0));
        let until = Deadline::after(&clock, budget);
        let (all, degraded) =
            recall_all(&plans(&toml), &world.query(None, Some(&recent)), &world.stores(&items), &until)
                .unwrap();
        (
            all.list()
                .iter()
                .enumerate()
                .map(|(row, c)| (world.ids([c.item]).remove(0), all.source_score(0, row)))
                .collect::<Vec<_>>(),
            degraded,
        )
    };
    let (found, degraded) = run(20);
    assert_eq!(degraded.len(), 1);
    assert_eq!((degraded[0].stage.as_str(), degraded[0].cause.as_str()), ("recall.cf", "deadline"));
    assert!(degraded[0].detail.contains("of 100"), "{}", degraded[0].detail);
    let partial = found.iter().find(|(id, _)| id == "i150").map_or(0.0, |(_, score)| *score);
    assert!(partial > 0.0 && partial < 100.0, "{partial}");
    assert!(found.iter().any(|(id, _)| id == "i199"), "the other source still counts");
    let (found, degraded) = run(0);
    assert_eq!((found.len(), degraded.len()), (0, 2));
    assert_eq!(run(10_000).1, []);
}

#[test]
fn a_missing_table_is_named_and_the_rest_still_answers() {
    let world = small();
    let toml = "[[recall]]\nname = 'gone'\nkind = 'ranking'\ntable = 'gone'\n[[recall]]\nkind = 'ranking'\ntable = 'hot'\n";
    let items = world.live.items();
    let (all, degraded) =
        recall_all(&plans(toml), &world.query(None, None), &world.stores(&items), &Deadline::never())
            .unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!((degraded[0].stage.as_str(), degraded[0].cause.as_str()), ("recall.gone", "missing"));
}

/// A source that breaks every promise.
#[derive(Debug)]
struct Rogue(ListSpec);

impl Recall for Rogue {
    fn recall(
        &self,
        _: &Query<'_>,
        _: &Stores<'_>,
        _: &Deadline<'_>,
        _: usize,
        out: &mut Vec<Scored>,
    ) -> compute_layer::Result<Outcome> {
        let bad = [(1, 5.0), (1, 4.0), (2, f32::NAN), (3, f32::INFINITY), (4_000_000, 1.0), (4, 1.0)];
        out.extend(bad.map(|(item, score)| Scored { item, score }));
        Ok(Outcome::Whole)
    }

    fn lists(&self) -> Vec<&ListSpec> {
        vec![&self.0]
    }
}

const ROGUE: Kind =
    Kind { name: "rogue", make: |params: &mut Params| Ok(Box::new(Rogue(list_spec(params)?))) };

#[test]
fn no_source_repeats_forges_or_spoils() {
    let world = small();
    let table = "kind = 'rogue'\ntable = 'x'".parse().unwrap();
    let plan = RecallPlan::parse_with(&[ROGUE], table).unwrap();
    let items = world.live.items();
    let (all, _) =
        recall_all(&[plan], &world.query(None, None), &world.stores(&items), &Deadline::never()).unwrap();
    assert_eq!(all.list().iter().map(|c| c.item).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(all.scores_of(0), [5.0, 1.0]);
}

#[test]
fn what_does_not_check_is_refused_with_its_place() {
    let parse =
        |text: &str| RecallPlan::parse(text.parse().unwrap()).map(|p| p.name).unwrap_err().to_string();
    for (text, says) in [
        ("kind = 'rankin'", "recall.rankin.kind: unknown kind \"rankin\"; did you mean \"ranking\"?"),
        ("name = 'a'", "recall.a.kind: this key is required"),
        ("kind = 'ranking'", "recall.ranking.table: missing field `table`"),
        (
            "kind = 'ranking'\ntable = 't'\nqouta = 3",
            "recall.ranking.qouta: unknown key; did you mean \"quota\"?",
        ),
        ("kind = 'ranking'\ntable = 't'\nfrom = 'recent'", "recall.ranking.from: unknown key"),
        (
            "kind = 'ranking'\ntable = 't'\nquota = 0",
            "recall.ranking.quota: expected a whole number from 1 to 5000",
        ),
        ("kind = 'ranking'\ntable = 't'\nquota = 10\ndepth = 5", "recall.ranking.depth"),
        ("kind = 'item_to_item'\ntable = 't'\nfrom = 'item'", "did you mean \"items\"?"),
        ("kind = 'item_to_item'\ntable = 't'\nhalf_life = '0d'", "expected a span above 0"),
        ("kind = 'ranking'\nname = 'a.b'\ntable = 't'", "expected letters"),
    ] {
        assert!(parse(text).contains(says), "{text}: {}", parse(text));
    }
    let same = ["kind = 'ranking'\ntable = 't'"; 2].map(|text| text.parse().unwrap());
    assert!(RecallPlan::parse_all(same).unwrap_err().to_string().contains("two recalls of this name"));
    let many = (0..65).map(|i| format!("kind = 'ranking'\ntable = 't'\nname = 'r{i}'").parse().unwrap());
    assert!(RecallPlan::parse_all(many).unwrap_err().to_string().contains("at most 64 recalls, found 65"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The sums of `item_to_item` are those of the definition, and no item stands twice, in order of score.
    #[test]
    fn item_to_item_is_what_its_formula_says(
        links in prop::collection::vec((0_usize..12, 0_usize..12, 0.01_f32..1.0), 0..80),
        deeds in prop::collection::vec((0_usize..12, prop::sample::select(vec!["view", "click", "like", "dislike"]), 0_i64..90), 0..20),
    ) {
        let mut world = World::of(0..12);
        let mut table: BTreeMap<usize, BTreeMap<usize, f32>> = BTreeMap::new();
        for (from, to, score) in links {
            table.entry(from).or_default().insert(to, score);
        }
        for (from, list) in &table {
            let list: Vec<(String, f32)> = list.iter().map(|(to, score)| (format!("i{to}"), *score)).collect();
            let list: Vec<(&str, f32)> = list.iter().map(|(to, score)| (to.as_str(), *score)).collect();
            world.list("cf", &format!("i{from}"), &list);
        }
        world.lists.tables.entry("cf".to_owned()).or_default();
        let recent = state(deeds.iter().map(|(i, action, days)| world.acted(&format!("i{i}"), action, 1.0, NOW - days * DAY)).collect());
        let newest = deeds.iter().map(|deed| deed.2).min().unwrap_or(0);
        let mut expected = [0.0_f64; 12];
        for (i, action, days) in &deeds {
            let weight = match *action { "view" => 0.1, "click" => 1.0, "like" => 3.0, _ => -2.0 };
            let decay = 0.5_f64.powf((days - newest) as f64 / 30.0);
            for (to, score) in table.get(i).into_iter().flatten() {
                expected[*to] += weight * decay * f64::from(*score);
            }
        }
        let items = world.live.items();
        let query = world.query(None, Some(&recent));
        let (all, _) = recall_all(&plans(CF), &query, &world.stores(&items), &Deadline::never()).unwrap();
        let scores = all.scores_of(0);
        prop_assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]));
        for (i, expected) in expected.iter().enumerate() {
            let got = all.find(world.ordinal(&format!("i{i}"))).map_or(0.0, |row| f64::from(scores[row]));
            prop_assert!((got - expected.max(0.0)).abs() < 1e-4, "i{}: {} {}", i, got, expected);
        }
    }
}
