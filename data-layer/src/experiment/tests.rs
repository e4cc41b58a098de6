//! Laws of assignment: shares are exact, layers independent, growth keeps members; and errors that name the line.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Layer, Layers, SLOTS, assign};
use crate::types::{Id, Person};

fn layer(name: &str, salt: &str, shares: &[f64]) -> Layer {
    let buckets: String = shares
        .iter()
        .enumerate()
        .map(|(i, share)| format!("[[bucket]]\nname = \"b{i}\"\nshare = {share}\n"))
        .collect();
    Layer::parse(&format!("layer = \"{name}\"\nsalt = \"{salt}\"\n{buckets}"), "x.toml").unwrap()
}

fn members(layer: &Layer, bucket: &str) -> BTreeSet<usize> {
    let owner = |slot: &usize| layer.buckets[usize::from(layer.slots[*slot])].name == bucket;
    (0..SLOTS as usize).filter(owner).collect()
}

#[test]
fn two_layers_are_independent() {
    let (a, b) = (layer("recall", "s", &[0.5, 0.3, 0.2]), layer("rank", "s", &[0.6, 0.4]));
    let mut cells = [[0_f64; 2]; 3];
    let users = 100_000;
    for user in 0..users {
        let id = format!("u{user}");
        let place = |layer: &Layer| {
            let name = &assign(layer, &id, 0).unwrap().name;
            layer.buckets.iter().position(|bucket| bucket.name == *name).unwrap()
        };
        cells[place(&a)][place(&b)] += 1.0;
    }
    let mut chi = 0.0;
    for (i, share) in [0.5, 0.3, 0.2].iter().enumerate() {
        for (j, other) in [0.6, 0.4].iter().enumerate() {
            let expected = f64::from(users) * share * other;
            chi += (cells[i][j] - expected).powi(2) / expected;
        }
    }
    // Five degrees of freedom (shares are given, not fitted): the 0.999 quantile is 20.5.
    assert!(chi < 20.5, "chi-square {chi}");
}

#[test]
fn another_salt_draws_anew() {
    let (a, b) = (layer("x", "1", &[0.5, 0.5]), layer("x", "2", &[0.5, 0.5]));
    let same = (0..10_000).filter(|u| {
        assign(&a, &u.to_string(), 0).unwrap().name == assign(&b, &u.to_string(), 0).unwrap().name
    });
    let same = same.count();
    assert!((4_700..5_300).contains(&same), "{same}");
}

proptest! {
    #[test]
    fn shares_are_exact(cuts in prop::collection::vec(0_u32..=10_000, 1..12)) {
        let mut cuts = cuts;
        cuts.extend([0, 10_000]);
        cuts.sort_unstable();
        let shares: Vec<f64> = cuts.windows(2).map(|w| f64::from(w[1] - w[0]) / 10_000.0).collect();
        let layer = layer("x", "s", &shares);
        for (bucket, share) in layer.buckets.iter().zip(&shares) {
            prop_assert_eq!(members(&layer, &bucket.name).len() as f64, (share * 10_000.0).round());
        }
    }

    #[test]
    fn of_three_buckets_those_that_grow_keep_who_is_in_them(
        before in (0_u32..=10_000, 0_u32..=10_000), after in (0_u32..=10_000, 0_u32..=10_000),
    ) {
        let make = |(a, b): (u32, u32)| {
            let (low, high) = (a.min(b), a.max(b));
            let share = |slots: u32| f64::from(slots) / 10_000.0;
            layer("x", "s", &[share(low), share(high - low), share(10_000 - high)])
        };
        let (old, new) = (make(before), make(after));
        for (was, is) in old.buckets.iter().zip(&new.buckets) {
            let grows_alone = new.buckets.iter().zip(&old.buckets).all(|(n, o)| n.name == is.name || n.slots <= o.slots);
            let treated = is.name != "b0";
            if is.slots >= was.slots && (treated || grows_alone) {
                prop_assert!(members(&old, &was.name).is_subset(&members(&new, &is.name)), "{}", is.name);
            }
        }
    }
}

#[test]
fn five_small_buckets_can_grow_at_once() {
    let old = layer("x", "s", &[0.8, 0.05, 0.05, 0.05, 0.05]);
    let new = layer("x", "s", &[0.2, 0.2, 0.2, 0.2, 0.2]);
    let added = layer("x", "s", &[0.7, 0.05, 0.05, 0.05, 0.05, 0.1]);
    for bucket in ["b1", "b2", "b3", "b4"] {
        assert!(members(&old, bucket).is_subset(&members(&new, bucket)), "{bucket}");
        assert_eq!(members(&old, bucket), members(&added, bucket), "{bucket}");
    }
}

const FILE: &str = r#"layer = "rank"
unit = "user"
salt = "2026-11"
start = 1970-01-01T00:00:10Z

[[bucket]]
name = "a"
share = 0.5

[[bucket]]
name = "b"
share = 0.5
set = { "home.rank.model" = "ctr@18", "home.strategy.variety.lambda" = 0.6 }
remove = ["home.recall.hot"]

[whitelist]
u1 = "b"
"#;

#[test]
fn a_file_reads_as_it_says() {
    let layer = Layer::parse(FILE, "rank.toml").unwrap();
    let id = |text: &str| Id::new(text).unwrap();
    assert_eq!(assign(&layer, "u1", 0).unwrap().name, "b");
    assert!(assign(&layer, "u2", 9_999).is_none());
    assert!(assign(&layer, "u2", 10_000).is_some());
    assert_eq!(layer.buckets[1].set["home.rank.model"].as_str(), Some("ctr@18"));
    assert_eq!(layer.buckets[1].remove, ["home.recall.hot"]);
    assert_eq!(layer.bucket("b").map(super::Bucket::share), Some(0.5));
    let people = [Person::anonymous(id("x")), Person::user(id("u9"))];
    assert_eq!(layer.unit_of(&people), Some(&id("u9")));
}

#[test]
fn an_epoch_is_of_what_is_said_and_not_how() {
    let epoch = |text: &str| Layer::parse(text, "rank.toml").unwrap().epoch;
    assert_eq!(epoch(FILE), epoch(&format!("# a comment\n{FILE}")));
    assert_ne!(epoch(FILE), epoch(&FILE.replace("0.6", "0.7")));
    assert_ne!(epoch(FILE), epoch(&FILE.replace("u1 =", "u3 =")));
    assert_ne!(
        epoch(FILE),
        epoch(&FILE.replace("share = 0.5\nset", "share = 0.4\nset").replacen("0.5", "0.6", 1))
    );
}

#[test]
fn errors_name_the_line() {
    for (from, to, line, says) in [
        ("salt", "slat", 3, "did you mean `salt`?"),
        ("unit = \"user\"", "unit = \"usr\"", 2, "user"),
        ("start = 1970-01-01T00:00:10Z", "start = 1970-01-01", 4, "RFC 3339"),
        ("share = 0.5\nset", "share = 0.6\nset", 12, "sum to 1, found 0.5 + 0.6"),
        ("share = 0.5\nset", "share = -0.5\nset", 12, "from 0 to 1"),
        ("name = \"b\"", "name = \"a\"", 11, "two buckets"),
        ("\"home.rank.model\"", "\"home\"", 13, "expected a path"),
        ("\"home.rank.model\"", "home.rank.model", 13, "in quotes"),
        ("\"home.recall.hot\"", "\"home.rank\"", 14, "by the same bucket"),
        ("u1 = \"b\"", "u1 = \"c\"", 17, "no bucket is called"),
    ] {
        let text = FILE.replace(from, to);
        assert_ne!(text, FILE, "{from}");
        let error = Layer::parse(&text, "rank.toml").expect_err(to).to_string();
        assert!(error.starts_with(&format!("rank.toml:{line}:")) && error.contains(says), "{to}: {error}");
    }
}

#[test]
fn one_key_belongs_to_one_layer() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Layers::load(dir.path().join("none")).unwrap().iter().count(), 0);
    std::fs::write(dir.path().join("a.toml"), FILE).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "x").unwrap();
    assert_eq!(Layers::load(dir.path()).unwrap().get("rank").unwrap().buckets.len(), 2);
    std::fs::write(dir.path().join("b.toml"), FILE).unwrap();
    assert!(Layers::load(dir.path()).unwrap_err().to_string().contains("also in"));
    let other = FILE.replace("layer = \"rank\"", "layer = \"other\"");
    std::fs::write(dir.path().join("b.toml"), other).unwrap();
    assert!(Layers::load(dir.path()).unwrap_err().to_string().contains("a key belongs to one layer"));
}

#[test]
fn the_example_of_the_document_and_those_of_the_demo_read() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = std::fs::read_to_string(docs.join("experiments.md")).unwrap();
    let example = text.split("```toml experiment\n").nth(1).unwrap().split("```").next().unwrap();
    let layer = Layer::parse(example, "experiments.md").unwrap();
    assert_eq!(layer.buckets.iter().map(|b| b.slots).collect::<Vec<_>>(), [8_000, 1_000, 1_000]);
    assert_eq!(Layers::load(docs.join("examples/demo/experiments")).unwrap().iter().count(), 1);
}
