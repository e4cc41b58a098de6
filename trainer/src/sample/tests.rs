//! The loop from DATA to a served model, on a checkerboard with a known answer.

use std::sync::Arc;

use data_layer::access::{Access, Tables};
use data_layer::config::Config;
use data_layer::registry::Registry;

use super::bootstrap::{Moments, Plan};
use super::*;
use crate::data::{Cells, Data, Interactions, Report, Sheet};
use crate::model::Spec;
use crate::offline::{Settings, Target, method};

const DAY: i64 = 86_400_000;

/// A checkerboard: two halves of people and of items, everybody takes items of their own half only; 20 days.
fn board() -> Data {
    let mut rows = Interactions::default();
    for step in 0..20_i64 {
        for user in 0..40_i64 {
            let half = user % 2;
            let item = (user * 7 + step * 3 + step * user) % 30;
            rows.push(
                &format!("u{user}"),
                &format!("i{}", 2 * item + half),
                "click",
                1.0,
                DAY * (1000 + step) + user,
            );
        }
    }
    let ids: Vec<String> = (0..60).map(|i| format!("i{i}")).collect();
    let side = ids.iter().enumerate().map(|(i, _)| Some(["even", "odd"][i % 2].to_owned())).collect();
    Data {
        interactions: rows.sorted(),
        items: Sheet { ids, columns: vec![("side".into(), Cells::Text(side))] },
        users: Sheet::default(),
        report: Report { times: true, ..Report::default() },
    }
}

struct Site {
    dir: tempfile::TempDir,
    config: Config,
    scene: Scene,
}

fn site(past: &Data) -> Site {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("weir.toml"), "namespace = \"main\"\n").unwrap();
    let config = Config::load(dir.path().join("weir.toml")).unwrap();
    for name in ["item_cf", "popular"] {
        let method = method(name).unwrap();
        let settings = Settings::read(&[], method.settings()).unwrap();
        let lists = method.build(past, &settings, Target::Items, 100).unwrap();
        crate::publish::table(&config, name, past, &lists, method.ranking(), false).unwrap();
    }
    let scene = "scene = \"home\"\n\
        [[recall]]\nname = \"item_cf\"\nkind = \"item_to_item\"\ntable = \"item_cf\"\n\
        [[recall]]\nname = \"popular\"\nkind = \"ranking\"\ntable = \"popular\"\n\
        [[filter]]\nkind = \"seen\"\n";
    let path = dir.path().join("home.toml");
    std::fs::write(&path, scene).unwrap();
    let scene = Scene::load(&path).unwrap();
    Site { dir, config, scene }
}

fn sampled(all: &Data, site: &Site, plan: Plan) -> (Samples, About) {
    let mut world = World::new(&site.config, all).unwrap();
    let tables = Tables::open(&site.config, Arc::clone(&world.live)).unwrap();
    let (snapshot, live) = (tables.snapshot(), Arc::clone(&world.live));
    let access = Access { snapshot: &snapshot, live: live.lists(), now_ms: 0 };
    bootstrap::run(all, &mut world, &site.scene, &access, &[], plan).unwrap()
}

fn past(all: &Data, until: i64) -> Data {
    let rows = &all.interactions;
    Data { interactions: rows.pick((0..rows.len()).filter(|r| rows.time[*r] < until)), ..all.clone() }
}

fn plan(moments: Moments) -> Plan {
    Plan { from: DAY * 1012, to: DAY * 1020, moments, most: 10_000, negatives: 1.0, seed: 1 }
}

#[test]
fn the_loop_learns_a_checkerboard_and_serving_scores_the_same() {
    let all = board();
    let site = site(&past(&all, DAY * 1012));
    let (samples, about) = sampled(&all, &site, plan(Moments::Snapshot));
    assert_eq!(about.requests, 40);
    let dir = site.dir.path().join("samples");
    write(&dir, &samples, &about).unwrap();
    assert_eq!(read(&dir).unwrap(), (samples.clone(), about.clone()));

    let spec = site.dir.path().join("model.toml");
    std::fs::write(
        &spec,
        "features = [\"source.item_cf.score\"]\noptional = [\"match.*\", \"item.popularity\"]\n",
    )
    .unwrap();
    let spec = Spec::load(&spec).unwrap();
    let (model, metrics) = crate::model::train::train(&samples, &about, &spec).unwrap();
    assert_eq!(model.features, ["source.item_cf.score", "item.popularity", "match.side"]);
    assert!(metrics.grouped_auc.unwrap() > 0.6, "{metrics:?}");
    let again = crate::model::train::train(&samples, &about, &spec).unwrap();
    assert_eq!(serde_json::to_string(&model).unwrap(), serde_json::to_string(&again.0).unwrap());

    let registry = Registry::of(&site.config);
    assert_eq!(registry.publish("ctr", &model).unwrap(), 1);
    let (_, stored) = registry.load("ctr", None).unwrap();
    let served = compute_layer::Model::load(&stored).unwrap();
    let columns: Vec<usize> =
        model.features.iter().map(|f| about.features.iter().position(|g| g == f).unwrap()).collect();
    let block = ndarray::Array2::from_shape_fn((samples.len(), 3), |(r, c)| samples.features[columns[c]][r]);
    let mut scores = vec![0.0; samples.len()];
    served.scorer.score(block.view(), &mut scores);
    let wide = block.mapv(f64::from);
    let plain = (crate::model::logistic::FAMILY.score)(&model.tensors, &wide);
    for (a, b) in scores.iter().zip(&plain) {
        assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn labels_come_after_the_request_and_seen_items_do_not_come_back() {
    let all = board();
    let site = site(&past(&all, DAY * 1012));
    for moments in [Moments::Snapshot, Moments::Parts(4), Moments::Sessions(DAY / 2)] {
        let (samples, about) = sampled(&all, &site, plan(moments));
        assert!(about.positives > 0);
        let rows = &all.interactions;
        for r in 0..samples.len() {
            let request = samples.request[r] as usize;
            let (now, user) = (samples.times[request], samples.users[request].as_str());
            let times: Vec<i64> = (0..rows.len())
                .filter(|k| {
                    rows.users.text(rows.user[*k]) == user
                        && rows.items.text(rows.item[*k]) == samples.items[r]
                })
                .map(|k| rows.time[k])
                .collect();
            assert!(times.iter().all(|t| *t >= now), "{moments:?}: {user} met {} before", samples.items[r]);
            assert_eq!(samples.labels[r] == 1, !times.is_empty(), "{moments:?}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_rows_and_fewer_negatives_leave_all_positives() {
    let all = board();
    let site = site(&past(&all, DAY * 1012));
    let thin = Plan { negatives: 0.3, ..plan(Moments::Snapshot) };
    let (whole, few) = (sampled(&all, &site, plan(Moments::Snapshot)).0, sampled(&all, &site, thin).0);
    assert_eq!(few, sampled(&all, &site, thin).0);
    assert_eq!(few.positives(), whole.positives());
    assert!(few.len() < whole.len());
    assert_eq!(sampled(&all, &site, Plan { most: 7, ..thin }).1.requests, 7);
}
