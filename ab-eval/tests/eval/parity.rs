//! Figures agree with public tools to 1e-6. `tests/parity/make.py` made the case and the values once, with ranx and
//! scikit-learn; they are checked in.

use crate::line::{fixture, weir_eval};
use serde_json::Value;

const CLOSE: f64 = 1e-6;

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("expected.json")).unwrap()).unwrap()
}

fn agree(found: &Value, wanted: &Value, of: impl Fn(&Value) -> f64) {
    let wanted = wanted.as_object().unwrap();
    assert!(!wanted.is_empty());
    for (name, value) in wanted {
        let (found, value) = (of(&found[name]), value.as_f64().unwrap());
        assert!((found - value).abs() < CLOSE, "{name}: expected {value}, found {found}");
    }
}

fn ranking(recs: &str, more: &[&str]) -> Value {
    let (recs, truth) = (fixture(recs), fixture("truth.inter"));
    let mut line = vec!["ranking", "--recs", &recs, "--truth", &truth, "--k", "5,10,20", "--catalogue", "64"];
    line.extend(["--format", "json", "--resamples", "200"]);
    line.extend(more);
    weir_eval(&line).json()
}

#[test]
fn ranked_lists_agree_with_ranx_and_scikit_learn() {
    let expected = expected();
    for name in ["recs", "baseline"] {
        let found = ranking(&format!("{name}.csv"), &[]);
        assert_eq!(found["users"], 40);
        agree(&found["metrics"], &expected[name], |m| m["value"].as_f64().unwrap());
    }
}

#[test]
fn differences_are_those_of_the_figures_and_have_intervals() {
    let expected = expected();
    let baseline = fixture("baseline.csv");
    let found = ranking("recs.csv", &["--baseline", &baseline]);
    for (name, value) in expected["recs"].as_object().unwrap() {
        let d = &found["metrics"][name]["difference"];
        let wanted = value.as_f64().unwrap() - expected["baseline"][name].as_f64().unwrap();
        let of = |key: &str| d[key].as_f64().unwrap();
        assert!((of("value") - wanted).abs() < CLOSE, "{name}: {d}");
        assert!(of("low") <= of("value") && of("value") <= of("high"), "{name}: {d}");
    }
    // The lists were made better on purpose.
    assert!(found["metrics"]["recall@20"]["difference"]["low"].as_f64().unwrap() > 0.0);
}

#[test]
fn scored_rows_agree_with_scikit_learn_and_ranx() {
    let scored = fixture("scored.csv");
    let found = weir_eval(&["ctr", "--scored", &scored, "--k", "5,10", "--format", "json"]).json();
    agree(&found["metrics"], &expected()["scored"], |m| m["value"].as_f64().unwrap());
    assert_eq!(found["undefined"], serde_json::json!({}));
}
