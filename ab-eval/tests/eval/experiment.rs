//! `weir-eval ab` on a log that the data layer wrote: what is counted, what is left out, what alarms.

use std::path::Path;

use data_layer::Config;
use data_layer::ingest::{Form, Ingest};
use data_layer::types::{Decision, DecisionItem, Id};
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::line::weir_eval;

const NOW: i64 = 1_790_000_000_000;

fn decision(n: usize, user: &str, bucket: &str) -> Decision {
    let item = |position: u32| DecisionItem {
        id: Id::new(&format!("i{position}")).unwrap(),
        position,
        score: 1.0,
        sources: vec![],
        propensity: None,
        features: vec![],
    };
    Decision {
        request_id: format!("r{n}"),
        time: NOW + n as i64,
        now_ms: NOW + n as i64,
        namespace: "main".into(),
        scene: "home".into(),
        user: Some(Id::new(user).unwrap()),
        buckets: [("rank".to_owned(), bucket.to_owned())].into(),
        epochs: [("rank".to_owned(), "e1".to_owned())].into(),
        items: (0..3).map(item).collect(),
        ..Decision::default()
    }
}

/// 200 people in two buckets; all see two places of three, and of bucket b one in two clicks the first, of a one in ten.
fn write_log(folder: &Path) {
    std::fs::write(folder.join("weir.toml"), "").unwrap();
    let config = Config::load_with(folder.join("weir.toml"), []).unwrap();
    let ingest = Ingest::open(&config).unwrap();
    let mut events: Vec<Value> = Vec::new();
    for n in 0..200 {
        let (user, bucket) = (format!("u{n}"), if n % 2 == 0 { "a" } else { "b" });
        ingest.decide(decision(n, &user, bucket));
        let (request, time) = (format!("r{n}"), NOW + 1000 + n as i64);
        events.push(json!({"type": "impression", "id": format!("s{n}"), "user": user, "scene": "home",
            "request_id": request, "items": [{"id": "i0", "position": 0}, {"id": "i1", "position": 1}], "time": time}));
        if n % if bucket == "a" { 20 } else { 4 } < 2 {
            events.push(json!({"type": "interaction", "id": format!("c{n}"), "user": user, "item": "i0",
                "action": "click", "request_id": request, "time": time + 5}));
        }
    }
    events.push(json!({"type": "interaction", "id": "blind", "user": "u0", "item": "i2", "action": "click",
        "request_id": "r0", "time": NOW + 3000}));
    let body = Value::Array(events).to_string();
    let receipt = block_on(ingest.submit(body.as_bytes(), Form::Auto, NOW + 10_000).unwrap()).unwrap();
    assert!(receipt.rejected.is_empty());
    ingest.close().unwrap();
}

#[test]
fn buckets_are_counted_from_the_log_of_a_server() {
    let folder = tempfile::tempdir().unwrap();
    write_log(folder.path());
    let log = folder.path().join("log").display().to_string();
    let out = folder.path().join("report.json").display().to_string();
    let line = ["ab", "--log", &log, "--experiment", "rank", "--format", "json", "--out", &out];
    let found = weir_eval(&line).json();
    let sums: Vec<Vec<u64>> = found["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| ["users", "impressions", "clicks"].map(|k| b[k].as_u64().unwrap()).to_vec())
        .collect();
    assert_eq!(sums, [[100, 200, 10], [100, 200, 50]]);
    assert_eq!(found["left_out"]["clicks_not_seen"], 1);
    assert_eq!(found["sample_ratio"]["ok"], true);
    assert!(found["buckets"][1]["p"].as_f64().unwrap() < 1e-6);
    assert!(found["buckets"][1]["difference"]["low"].as_f64().unwrap() > 0.0);
    assert_eq!(serde_json::from_str::<Value>(&std::fs::read_to_string(out).unwrap()).unwrap(), found);

    let skewed = weir_eval(&["ab", "--log", &log, "--experiment", "rank", "--shares", "a=0.9,b=0.1"]);
    assert!(skewed.out().contains("WARNING"), "{}", skewed.out());
    let experiments = folder.path().join("layers");
    std::fs::create_dir(&experiments).unwrap();
    let bucket = |name, share| format!("[[bucket]]\nname = \"{name}\"\nshare = {share}\n");
    let layer = format!(
        "layer = \"rank\"\nunit = \"user\"\nsalt = \"s\"\nstart = 2026-01-01T00:00:00Z\n{}{}",
        bucket("a", 0.9),
        bucket("b", 0.1)
    );
    std::fs::write(experiments.join("rank.toml"), layer).unwrap();
    let experiments = experiments.display().to_string();
    let filed = weir_eval(&["ab", "--log", &log, "--experiment", "rank", "--experiments", &experiments]);
    assert_eq!(filed.out(), skewed.out(), "{}", filed.err());
    let other = weir_eval(&["ab", "--log", &log, "--experiment", "colour"]);
    assert_eq!(other.code(), 1);
    assert!(other.err().contains("[\"rank\"]"), "{}", other.err());
}
