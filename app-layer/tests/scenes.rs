//! Scene and experiment files: every fault at once with its line, what buckets change, and what happens while a table or model is away.

mod site;

use std::collections::BTreeMap;

use app_layer::request::Request;
use app_layer::{Engine, Error, flow};
use data_layer::registry::{ModelFile, Registry};
use data_layer::types::event::UserEvent;
use data_layer::types::{Event, Person};
use site::{Site, block, catalogue, feed, id};

const HOME: &str = "scene = \"home\"
size = 5
fallback = [\"hot\"]
[[recall]]
name = \"cf\"
kind = \"item_to_item\"
table = \"cf\"
[[recall]]
name = \"hot\"
kind = \"ranking\"
table = \"hot\"
quota = 10
";

fn site() -> Site {
    let site = Site::new();
    site.tables(30);
    site.write("scenes/home.toml", HOME);
    site
}

/// `file:line: …` of every fault, sorted.
fn faults(site: &Site) -> Vec<String> {
    match Engine::read_only(site.config()) {
        Err(Error::Files(faults)) => {
            let folder = format!("{}/", site.path().display());
            faults.iter().map(|fault| fault.to_string().replace(&folder, "")).collect()
        }
        Err(other) => panic!("{other}"),
        Ok(_) => Vec::new(),
    }
}

fn ask(engine: &Engine, user: &str) -> app_layer::present::Answer {
    let request = Request { scene: "home".into(), user: Some(id(user)), ..Request::default() };
    block(flow::recommend(engine, &request)).unwrap()
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    let site = site();
    site.write(
        "scenes/home.toml",
        "scene = \"home\"\nsiez = 5\nfallback = [\"hto\"]\n[[recall]]\nname = \"hot\"\nkind = \"rankin\"\ntable = \"hot\"\n[[recall]]\nkind = \"ranking\"\ntable = \"htt\"\nqota = 3\n[[filter]]\nkind = \"rule\"\nrule = \"pric < 3.0\"\n[[strategy]]\nkind = \"boost\"\nrule = \"price < 3.0\"\nfactor = \"x\"\n[rank]\nmodel = \"ctr\"\n[explore]\nmethod = \"epsilon\"\n",
    );
    site.write("scenes/bad.toml", "scene = \"x\"\nsize = = 3\n");
    let told = faults(&site);
    assert_eq!(told.len(), 1, "a file that is no TOML comes first: {told:?}");
    assert!(told[0].starts_with("scenes/bad.toml:2: "), "{told:?}");
    std::fs::remove_file(site.path().join("scenes/bad.toml")).unwrap();
    let told = faults(&site);
    for expected in [
        "home.toml:2: siez: ",
        "did you mean \"size\"?",
        "home.toml:3: fallback: ",
        "home.toml:6: recall.hot.kind: ",
        "home.toml:11: recall.ranking.qota: ",
        "home.toml:14: filter.rule.rule: ",
        "home.toml:18: strategy.boost.factor: ",
        "home.toml:20: rank.model: ",
        "home.toml:22: explore.method: ",
    ] {
        assert!(told.iter().any(|fault| fault.contains(expected)), "{expected:?} is not in {told:#?}");
    }
}

#[test]
fn experiments_are_checked_against_the_scenes() {
    let site = site();
    let layer = |name: &str, set: &str| {
        format!(
            "layer = \"{name}\"\n[[bucket]]\nname = \"a\"\nshare = 0.5\n[[bucket]]\nname = \"b\"\nshare = 0.5\n{set}\n"
        )
    };
    site.write("experiments/one.toml", &layer("one", "set = { \"home.recall.hot.quota\" = \"many\", \"hoem.size\" = 3 }\nremove = [\"home.recall.cff\"]"));
    let told = faults(&site);
    for expected in [
        "one.toml:8: bucket.b.set.hoem.size: unknown scene \"hoem\"",
        "no recall named \"cff\"; did you mean \"cf\"?",
    ] {
        assert!(told.iter().any(|f| f.contains(expected)), "{expected:?} is not in {told:#?}");
    }
    site.write("experiments/one.toml", &layer("one", "set = { \"home.recall.hot.quota\" = \"many\" }"));
    let told = faults(&site);
    assert!(told.len() == 1 && told[0].contains("experiments/one.toml:8: recall.hot.quota: "), "{told:#?}");
    site.write("experiments/one.toml", &layer("one", "set = { \"home.recall.hot.quota\" = 3 }"));
    site.write("experiments/two.toml", &layer("two", "remove = [\"home.recall.hot\"]"));
    let told = faults(&site);
    assert!(told.len() == 1 && told[0].contains("a key belongs to one layer"), "{told:#?}");
}

#[test]
fn a_bucket_changes_what_runs_and_is_told() {
    let site = site();
    site.write(
        "experiments/size.toml",
        "layer = \"size\"\n[[bucket]]\nname = \"a\"\nshare = 0.5\n[[bucket]]\nname = \"b\"\nshare = 0.5\nset = { \"home.size\" = 2 }\nremove = [\"home.recall.hot\"]\n[whitelist]\nua = \"a\"\nub = \"b\"\n",
    );
    let engine = site.open();
    feed(&engine, catalogue(30));
    let (a, b) = (ask(&engine, "ua"), ask(&engine, "ub"));
    assert_eq!((a.buckets["size"].as_str(), a.items.len()), ("a", 5));
    assert_eq!(
        (b.buckets["size"].as_str(), b.items.len()),
        ("b", 0),
        "its only source of the unknown is gone"
    );
    assert_ne!(a.versions.scene, b.versions.scene);
    feed(&engine, vec![site::click("ub", 3, site::NOW)]);
    assert_eq!(ask(&engine, "ub").items.len(), 2);
}

#[test]
fn without_a_model_the_blend_ranks_and_a_published_one_is_swapped_in() {
    let site = site();
    site.write("scenes/home.toml", &format!("{HOME}[rank]\nmodel = \"ctr\"\n"));
    assert!(faults(&site)[0].contains("unknown model \"ctr\""), "no folder: it is refused");
    std::fs::create_dir_all(site.path().join("models/ctr")).unwrap();
    let engine = site.open();
    feed(&engine, catalogue(30));
    let before = ask(&engine, "u");
    assert_eq!((before.versions.model.as_deref(), before.items[0].id.as_str()), (None, "i0"));
    assert!(before.degraded.iter().any(|d| d.stage == "rank" && d.cause == "missing"));

    let model = ModelFile {
        format: 1,
        family: "logistic".into(),
        features: vec!["item.price".into()],
        tensors: BTreeMap::from([("weights".into(), vec![1.0]), ("intercept".into(), vec![0.0])]),
        ..ModelFile::default()
    };
    Registry::of(&site.config()).publish("ctr", &model).unwrap();
    engine.refresh();
    let after = ask(&engine, "u");
    assert_eq!(after.versions.model.as_deref(), Some("ctr@1"));
    assert_eq!(after.items[0].id, "i9", "the dearest of the candidates");
    assert!(after.degraded.is_empty(), "{:?}", after.degraded);

    // One that no scene can feed, published by other hands: what runs stays, and it is said.
    assert!(engine.would_run("ctr", 1).is_ok() && engine.unfit().is_none());
    let wrong = ModelFile { features: vec!["item.prize".into()], ..model.clone() };
    Registry::of(&site.config()).publish("ctr", &wrong).unwrap();
    engine.refresh();
    assert!(engine.would_run("ctr", 2).unwrap_err().to_string().contains("item.prize"));
    assert!(engine.unfit().is_some_and(|why| why.contains("ctr@2")), "{:?}", engine.unfit());
    assert_eq!(ask(&engine, "u").versions.model.as_deref(), Some("ctr@1"));
    Registry::of(&site.config()).rollback("ctr").unwrap();
    engine.refresh();
    assert!(engine.unfit().is_none());
}

#[test]
fn the_fallback_fills_the_page_and_says_so() {
    let site = site();
    let engine = site.open();
    feed(&engine, catalogue(30));
    let request = Request { scene: "home".into(), size: Some(25), ..Request::default() };
    let answer = block(flow::recommend(&engine, &request)).unwrap();
    assert_eq!(answer.items.len(), 25, "more than the quota of 10");
    assert!(answer.degraded.iter().any(|d| d.cause == "few" && d.detail.contains("hot")));
}

#[test]
fn the_fallback_leads_nobody_off_the_path_that_is_not_personal() {
    let site = site();
    site.publish("promoted", site::NOW, &[("all", site::ranking(100..110))]);
    let promoted = "[[recall]]\nname = \"promoted\"\nkind = \"ranking\"\ntable = \"promoted\"\n";
    let scene = HOME.replace("fallback", "non_personal = [\"hot\"]\nfallback");
    site.write("scenes/home.toml", &format!("{scene}{promoted}"));
    let engine = site.open();
    let said = [("personalize".into(), Some(data_layer::types::Value::Bool(false)))].into();
    let quiet =
        UserEvent { person: Person::user(id("quiet")), time: site::NOW, source: None, attributes: said };
    feed(&engine, vec![Event::User(quiet)]);
    let ask = |user| {
        let request =
            Request { scene: "home".into(), user: Some(id(user)), size: Some(40), ..Request::default() };
        block(flow::recommend(&engine, &request)).unwrap().items
    };
    let promoted = |items: &[app_layer::present::Shown]| {
        items.iter().filter(|item| item.sources.contains(&"promoted".to_owned())).count()
    };
    assert_eq!((ask("quiet").len(), promoted(&ask("quiet"))), (30, 0));
    assert_eq!((ask("other").len(), promoted(&ask("other"))), (40, 10));
}
