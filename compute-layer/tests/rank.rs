//! Laws of features, scoring and order: finite, independent of the other candidates, the same under any numbering of items.

mod world;

use compute_layer::compute::{blend, rank, recall_all, top};
use compute_layer::{Bitmask, Candidates, Deadline, FeatureSet, Model, Query};
use data_layer::live::Acted;
use data_layer::registry::ModelFile;
use data_layer::types::{Ordinal, Value};
use ndarray::Array2;
use proptest::prelude::*;
use world::{DAY, NOW, World, click, item, plans, schema, state, texts};

const SCENE: &str = "
[[recall]]
name = 'cf'
kind = 'item_to_item'
table = 'cf'
[[recall]]
name = 'lately'
kind = 'ranking'
table = 'lately'
";

/// Thirty items; `lately` ranks them all, `cf` knows a few neighbours of i0.
fn town(order: impl Iterator<Item = usize>) -> World {
    let mut world = World::of(order);
    world.apply((0..30).map(|i| {
        let genre = if i % 2 == 0 { texts(&["drama"]) } else { texts(&["comedy", "short"]) };
        let id = format!("i{i}");
        item(
            &id,
            &[
                ("genre", genre),
                ("price", Value::Float(f64::from(i))),
                ("created", Value::Int(NOW - i64::from(i) * DAY)),
            ],
        )
    }));
    world.apply((0..40).map(|n| click("u9", &format!("i{}", n % 7), NOW - n * DAY / 4)));
    let ids: Vec<String> = (0..30).map(|i| format!("i{i}")).collect();
    let lately: Vec<(&str, f32)> =
        ids.iter().zip(0..).map(|(id, n)| (id.as_str(), 900.0 - 30.0 * n as f32)).collect();
    world.list("lately", "all", &lately);
    world.list("cf", "i0", &[("i20", 0.02), ("i25", 0.015), ("i3", 0.001)]);
    world
}

fn names() -> Vec<String> {
    FeatureSet::all_names(&["cf".to_owned(), "lately".to_owned()], &schema())
}

fn recalled(world: &World, query: &Query<'_>) -> Candidates {
    let items = world.live.items();
    recall_all(&plans(SCENE), query, &world.stores(&items), &Deadline::never()).unwrap().0
}

fn block(world: &World, query: &Query<'_>, candidates: &Candidates) -> Array2<f32> {
    let set = FeatureSet::bind(&names(), candidates.names(), &schema()).unwrap();
    let items = world.live.items();
    let mut block = Array2::zeros((0, 0));
    set.fill(query, &world.stores(&items), candidates, &mut block);
    block
}

fn model(weights: &[(&str, f64)]) -> Model {
    Model::load(&ModelFile {
        family: "logistic".to_owned(),
        features: weights.iter().map(|(name, _)| (*name).to_owned()).collect(),
        tensors: [
            ("weights".to_owned(), weights.iter().map(|w| w.1).collect()),
            ("intercept".to_owned(), vec![-2.0]),
        ]
        .into(),
        ..ModelFile::default()
    })
    .unwrap()
}

fn slate(world: &World, query: &Query<'_>, weights: &[(&str, f64)]) -> Vec<String> {
    let model = model(weights);
    let mut candidates = recalled(world, query);
    let set = FeatureSet::bind(&model.features, candidates.names(), &schema()).unwrap();
    let items = world.live.items();
    rank(&set, &*model.scorer, query, &world.stores(&items), &mut candidates);
    let rows = top(&*items, candidates.list(), 10);
    drop(items);
    world.ids(rows.into_iter().map(|row| candidates.list()[row].item))
}

fn fan(world: &World) -> Vec<Acted> {
    vec![world.acted("i0", "like", 1.0, NOW - DAY)]
}

#[test]
fn a_linear_model_can_keep_a_ranking_and_bend_it_for_the_person() {
    let world = town(0..30);
    let recent = state(fan(&world));
    let query = world.query(None, Some(&recent));
    let first_ten: Vec<String> = (0..10).map(|i| format!("i{i}")).collect();
    for form in ["score", "relative", "rank", "log_rank"] {
        let name = format!("source.lately.{form}");
        assert_eq!(slate(&world, &query, &[(&name, 1.0)]), first_ten, "{form}");
    }
    let both = slate(&world, &query, &[("source.lately.log_rank", 3.0), ("source.cf.relative", 4.0)]);
    assert_eq!(both[..3], ["i20", "i25", "i0"]);
    let stranger = world.query(None, None);
    assert_eq!(
        slate(&world, &stranger, &[("source.lately.log_rank", 3.0), ("source.cf.relative", 4.0)]),
        first_ten
    );
}

#[test]
fn numbering_of_items_decides_nothing() {
    let weights = [("match.genre", 1.0), ("source.count", 0.5), ("item.recent_7d", 0.1)];
    let slates: Vec<Vec<String>> =
        [town(0..30), town((0..30).rev()), town((0..30).map(|i| (i * 7 + 3) % 30))]
            .iter()
            .map(|world| {
                let recent = state(fan(world));
                slate(world, &world.query(None, Some(&recent)), &weights)
            })
            .collect();
    assert_eq!(slates[0], slates[1]);
    assert_eq!(slates[0], slates[2]);
}

#[test]
fn features_have_the_values_that_the_document_says() {
    let world = town(0..30);
    let recent = state(fan(&world));
    let query = world.query(None, Some(&recent));
    let candidates = recalled(&world, &query);
    let (block, names) = (block(&world, &query, &candidates), names());
    let value = |id: &str, name: &str| {
        let row = candidates.find(world.ordinal(id)).unwrap();
        let column = names.iter().position(|n| n == name).unwrap_or_else(|| panic!("{name}"));
        block[[row, column]]
    };
    let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} {b}");
    near(value("i25", "source.cf.score"), (3.0_f32 * 0.015).ln_1p());
    near(value("i25", "source.cf.relative"), 0.75);
    near(value("i25", "source.cf.rank"), 60.0 / 61.0);
    near(value("i1", "source.lately.log_rank"), 1.0 - 2.0_f32.ln() / 10_000.0_f32.ln());
    near(value("i1", "source.cf.present"), 0.0);
    near(value("i20", "source.count"), 2.0);
    near(value("i0", "item.popularity"), 6.0_f32.ln_1p());
    near(value("i29", "item.popularity"), 0.0);
    near(value("i29", "item.rate"), 0.05);
    near(value("i3", "item.age"), 3.0_f32.ln_1p());
    near(value("i0", "item.idle"), 0.0);
    near(value("i29", "item.idle"), 3_650.0_f32.ln_1p());
    near(value("i5", "user.activity"), 1.0_f32.ln_1p());
    near(value("i5", "user.idle"), 1.0_f32.ln_1p());
    near(value("i2", "match.genre"), 1.0);
    near(value("i1", "match.genre"), 0.0);
    near(value("i1", "anchor.match.genre"), 0.0);
    near(value("i7", "item.price"), 7.0);
    near(value("i7", "item.price.known"), 1.0);
}

#[test]
fn names_that_do_not_exist_are_refused_and_absent_sources_are_not() {
    let sources = ["cf".to_owned()];
    let bind = |name: &str| FeatureSet::bind(&[name], &sources, &schema());
    for (name, says) in [
        ("item.populrity", "no item attribute \"populrity\""),
        ("match.genr", "did you mean \"genre\"?"),
        ("match.price", "expected a bool, int, string or strings"),
        ("item.genre", "match.genre compares such values"),
        ("user.activty", "did you mean \"user.activity\"?"),
        ("nonsense", "no such feature"),
    ] {
        let error = bind(name).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    assert_eq!(bind("source.gone.score").unwrap().absent(), ["source.gone.score"]);
    assert!(bind("source.cf.score").unwrap().absent().is_empty());
}

#[test]
fn a_blend_mixes_sources_by_rank_and_weight() {
    let world = town(0..30);
    let recent = state(fan(&world));
    let query = world.query(None, Some(&recent));
    let mut candidates = recalled(&world, &query);
    blend(&plans(SCENE), &mut candidates);
    let rows = top(&*world.live.items(), candidates.list(), 2);
    assert_eq!(world.ids(rows.into_iter().map(|row| candidates.list()[row].item)), ["i3", "i20"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn features_are_finite_and_each_candidate_stands_alone(
        now in prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), any::<i64>(), Just(NOW)],
        scores in prop::collection::vec(prop_oneof![any::<f32>(), Just(f32::NAN), Just(f32::MAX)], 30),
        values in prop::collection::vec((0_usize..30, any::<f32>(), any::<i64>()), 0..6),
        keep in prop::collection::vec(any::<bool>(), 30),
    ) {
        let mut world = town(0..30);
        let list: Vec<(String, f32)> = scores.iter().enumerate().map(|(i, s)| (format!("i{i}"), *s)).collect();
        let list: Vec<(&str, f32)> = list.iter().map(|(id, s)| (id.as_str(), *s)).collect();
        world.list("lately", "all", &list);
        let recent = state(values.iter().map(|(i, value, time)| world.acted(&format!("i{i}"), "rate", *value, *time)).collect());
        let anchors: Vec<Ordinal> = vec![1, 2];
        let query = Query { now_ms: now, anchors: &anchors, ..world.query(None, Some(&recent)) };
        let mut candidates = recalled(&world, &query);
        let whole = block(&world, &query, &candidates);
        prop_assert!(whole.iter().all(|x| x.is_finite() && x.abs() <= 1e9));
        let mut mask = Bitmask::all(candidates.len());
        (0..candidates.len()).filter(|row| !keep[*row]).for_each(|row| mask.clear(row));
        let kept: Vec<usize> = (0..candidates.len()).filter(|row| mask.get(*row)).collect();
        candidates.retain(&mask);
        let part = block(&world, &query, &candidates);
        for (at, row) in kept.into_iter().enumerate() {
            prop_assert_eq!(part.row(at), whole.row(row));
        }
    }

    #[test]
    fn the_best_few_are_the_beginning_of_the_whole_order(
        scores in prop::collection::vec(prop_oneof![Just(0.5_f32), Just(1.0), any::<f32>()], 0..30), at_most in 0_usize..35,
    ) {
        let world = World::of(0..30);
        let mut candidates = Candidates::given([], 0..scores.len() as Ordinal).unwrap();
        candidates.set_scores(scores);
        prop_assert!(candidates.list().iter().all(|c| c.score.is_finite()));
        let items = world.live.items();
        let (few, all) = (top(&*items, candidates.list(), at_most), top(&*items, candidates.list(), usize::MAX));
        prop_assert_eq!(all.len(), candidates.len());
        prop_assert_eq!(&few[..], &all[..at_most.min(all.len())]);
    }
}
