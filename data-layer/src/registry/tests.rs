//! Versions count up, the pointer moves, and nothing that is damaged is served.

use super::*;

fn model(weight: f64) -> ModelFile {
    ModelFile {
        format: MODEL_FORMAT,
        name: "ctr".into(),
        family: "logistic".into(),
        features: vec!["item.age".into(), "source.count".into()],
        tensors: BTreeMap::from([
            ("weights".into(), vec![weight, 0.1]),
            ("intercept".into(), vec![-1.0 / 3.0]),
        ]),
        trained: BTreeMap::from([("seed".into(), "7".into())]),
        metrics: BTreeMap::from([("auc".into(), 0.71)]),
    }
}

fn config(folder: &Path) -> Config {
    Config::in_folder(folder).unwrap()
}

#[test]
fn versions_are_published_and_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::of(&config(folder.path()));
    assert!(registry.names().unwrap().is_empty() && registry.list("ctr").unwrap().is_empty());
    assert!(registry.load("ctr", None).unwrap_err().to_string().contains("train and publish"));
    for version in 1..=3 {
        assert_eq!(registry.publish("ctr", &model(f64::from(version))).unwrap(), version);
    }
    assert_eq!(registry.load("ctr", None).unwrap(), (3, model(3.0)));
    assert_eq!(registry.load("ctr", Some(1)).unwrap(), (1, model(1.0)), "bit for bit");
    assert_eq!(registry.rollback("ctr").unwrap(), 2);
    assert_eq!(registry.rollback("ctr").unwrap(), 1);
    assert!(registry.rollback("ctr").is_err());
    assert_eq!(registry.current("ctr").unwrap(), Some(1));
    assert_eq!(registry.publish("ctr", &model(4.0)).unwrap(), 4, "numbers are not used twice");
    assert_eq!(registry.activate("ctr", Some(2)).unwrap(), 2);
    let listed: Vec<(u32, bool)> =
        registry.list("ctr").unwrap().into_iter().map(|v| (v.version, v.current)).collect();
    assert_eq!(listed, [(4, false), (3, false), (2, true), (1, false)]);
    assert_eq!(registry.names().unwrap(), ["ctr"]);
    assert_eq!(registry.keep("ctr", 1).unwrap(), [1]);
}

#[test]
fn what_can_not_be_served_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::of(&config(folder.path()));
    for (spoil, part) in [
        (Box::new(|m: &mut ModelFile| m.format = 2) as Box<dyn Fn(&mut ModelFile)>, "format"),
        (Box::new(|m| m.features.push("item.age".into())), "stands twice"),
        (Box::new(|m| m.tensors.get_mut("weights").unwrap()[1] = f64::NAN), "tensors.weights[1]"),
        (Box::new(|m| m.metrics.insert("auc".into(), f64::INFINITY).map_or((), drop)), "metrics.auc"),
        (Box::new(|m| m.tensors.get_mut("weights").unwrap().push(1.0)), "expected 2 weights"),
        (Box::new(|m| m.tensors.remove("intercept").map_or((), drop)), "intercept"),
        (Box::new(|m| m.family.clear()), "family"),
    ] {
        let mut bad = model(1.0);
        spoil(&mut bad);
        let said = registry.publish("ctr", &bad).unwrap_err().to_string();
        assert!(said.contains(part), "{said}");
    }
    assert!(registry.publish("a/b", &model(1.0)).is_err());
    for outside in ["..", "../models", "/tmp", ""] {
        assert!(registry.rollback(outside).is_err() && registry.current(outside).is_err(), "{outside}");
        assert!(registry.keep(outside, 1).is_err() && registry.activate(outside, None).is_err(), "{outside}");
    }
    assert!(registry.names().unwrap().is_empty(), "nothing was left behind");
}

#[test]
fn damage_and_newer_forms_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::of(&config(folder.path()));
    registry.publish("ctr", &model(1.0)).unwrap();
    let path = registry.folder("ctr").join("1/model.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let said = |text: String| {
        std::fs::write(&path, text).unwrap();
        registry.load("ctr", None).unwrap_err()
    };
    assert!(matches!(said(text.replace("0.1", "0.2")), Error::Corrupt { .. }));
    assert!(matches!(said(text.replace("\"format\": 1", "\"format\": 9")), Error::Newer { found: 9, .. }));
    assert!(matches!(said(text[..text.len() / 2].to_owned()), Error::Invalid { .. }));
    assert!(matches!(said(text.replace("\"features\"", "\"feature\"")), Error::Invalid { .. }));
    std::fs::write(&path, &text).unwrap();
    assert!(registry.load("ctr", None).is_ok());
}

#[test]
fn publishing_mends_a_pointer_whatever_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::of(&config(folder.path()));
    registry.publish("ctr", &model(1.0)).unwrap();
    for bad in [&b""[..], b"seventeen\n", b"\xff\xfe\n", b"../1\n"] {
        std::fs::write(registry.folder("ctr").join("CURRENT"), bad).unwrap();
        assert!(registry.current("ctr").unwrap_err().to_string().contains("CURRENT:1"), "{bad:?}");
        assert_eq!(registry.activate("ctr", Some(1)).unwrap(), 1);
        std::fs::write(registry.folder("ctr").join("CURRENT"), bad).unwrap();
        let version = registry.publish("ctr", &model(2.0)).unwrap();
        assert_eq!(registry.load("ctr", None).unwrap().0, version);
    }
}

#[test]
fn models_swap_and_a_bad_one_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let models = Models::open(&config).unwrap();
    assert!(models.snapshot().model("ctr").is_none() && models.errors().is_empty());
    models.registry().publish("ctr", &model(1.0)).unwrap();
    let before = models.snapshot();
    assert_eq!(models.poll(), [ModelSwap { model: "ctr".into(), from: None, to: 1 }]);
    assert!(before.model("ctr").is_none(), "a snapshot never changes");
    assert!(models.poll().is_empty());
    models.registry().publish("ctr", &model(2.0)).unwrap();
    std::fs::write(models.registry().folder("ctr").join("2/model.json"), "{").unwrap();
    assert!(models.poll().is_empty());
    assert_eq!(models.snapshot().model("ctr").unwrap().label(), "ctr@1");
    assert_eq!((models.errors().len(), models.errors()[0].serving), (1, Some(1)));
    models.registry().rollback("ctr").unwrap();
    models.poll();
    assert!(models.errors().is_empty());
}
