//! Lazy tables: their lists are right, they are read away from the requests' threads, and while they hang everything else is served.

mod site;

use std::net::TcpStream;
use std::sync::Arc;

use app_layer::Engine;
use serde_json::{Value as Json, json};
use site::wire::{answer, ask, ids, recommend, served};
use site::{NOW, Site, catalogue, click, feed, ranking};

const LAZY: &str = "scene = \"deep\"\nsize = 5\ndeadline_ms = 10000\n
[[recall]]\nname = \"near\"\nkind = \"item_to_item\"\ntable = \"cf\"\nfrom = \"recent\"\n
[[recall]]\nname = \"hot\"\nkind = \"ranking\"\ntable = \"hot\"\nquota = 3\nweight = 0.01\n";

const WARM: &str = "scene = \"plain\"\nsize = 5\n[[recall]]\nkind = \"ranking\"\ntable = \"hot\"\n";

/// A site whose table `cf` is lazy and `hot` is warm, read by the scenes `deep` and `plain`.
fn site(lazy: bool) -> Site {
    let site = Site::new();
    let residency = if lazy { "lazy" } else { "warm" };
    site.write(
        "weir.toml",
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n[tables]\nreaders = 2\n[tables.cf]\nresidency = \"{residency}\"\n\
             [schema]\ncategory = \"string\"\nprice = \"float\"\n"
        ),
    );
    site.tables(60);
    site.write("scenes/deep.toml", LAZY);
    let hasty = LAZY.replace("deep", "hasty").replace("10000", "20");
    site.write("scenes/hasty.toml", &hasty);
    site.write("scenes/plain.toml", WARM);
    site
}

fn opened(site: &Site) -> Engine {
    let engine = site.open();
    feed(&engine, catalogue(60));
    feed(&engine, (0..20).map(|n| click("u", n * 3, NOW - n as i64 * 1_000)).collect());
    engine
}

#[test]
fn lists_of_lazy_tables_are_the_lists_of_warm_ones() {
    let (lazy, warm) = (site(true), site(false));
    let answers: Vec<Json> =
        [&lazy, &warm]
            .map(|site| {
                let engine = Arc::new(opened(site));
                let mut got = Json::Null;
                served(&engine, |at| {
                    got = answer(recommend(
                        at,
                        json!({"scene": "deep", "user": "u", "seed": 1, "now_ms": NOW}),
                    ));
                    let stages = &answer(recommend(
                        at,
                        json!({"scene": "deep", "user": "u", "explain": true}),
                    ))["explain"]["stages"];
                    let waves =
                        stages.as_array().unwrap().iter().filter(|stage| stage["name"] == "lists").count();
                    assert_eq!(waves, usize::from(!engine.lazy().is_empty()), "{stages}");
                    let list = answer(ask(at, "GET /v1/tables/cf/i3", ""));
                    assert_eq!(list["items"][0]["item"], "i4");
                });
                got
            })
            .to_vec();
    assert_eq!(answers[0]["degraded"], json!([]));
    assert_eq!((ids(&answers[0]).len(), ids(&answers[0])), (5, ids(&answers[1])));
    assert_eq!(answers[0]["items"], answers[1]["items"]);
    let sources = answers[0]["items"][0]["sources"].to_string();
    assert!(sources.contains("near"), "{sources}");
}

#[test]
fn while_the_disk_hangs_one_worker_serves_everything_else() {
    let site = site(true);
    let engine = Arc::new(opened(&site));
    served(&engine, |at| {
        let hold = engine.readers().unwrap().hold();
        let stuck: Vec<TcpStream> = (0..8)
            .map(|_| recommend(at, json!({"scene": "deep", "user": "u", "seed": 1, "now_ms": NOW})))
            .collect();
        for n in 0..50 {
            let plain = answer(recommend(at, json!({"scene": "plain", "user": format!("u{n}")})));
            assert_eq!(plain["degraded"], json!([]));
            assert_eq!(ids(&plain), ["i0", "i1", "i2", "i3", "i4"]);
        }
        // An event counts, and the same scene answers in time where it may not wait long.
        let events = r#"{"type":"interaction","user":"new","item":"i9","action":"click","time":1}"#;
        assert_eq!(answer(ask(at, "POST /v1/events", events))["accepted"], 1);
        let hasty = answer(recommend(at, json!({"scene": "hasty", "user": "u"})));
        assert_eq!(hasty["degraded"][0]["stage"], "recall.near", "{hasty}");
        assert_eq!(hasty["degraded"][0]["cause"], "deadline");
        let detail = hasty["degraded"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("20 of 20 lists of table cf: not read within "), "{detail}");
        assert_eq!(ids(&hasty), ["i0", "i1", "i2"], "what is in memory is there");
        for stream in &stuck {
            stream.set_nonblocking(true).unwrap();
            let nothing = stream.peek(&mut [0]).unwrap_err();
            assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "none of them was answered yet");
            stream.set_nonblocking(false).unwrap();
        }
        drop(hold);
        for stream in stuck {
            let deep = answer(stream);
            assert_eq!((ids(&deep).len(), &deep["degraded"]), (5, &json!([])));
        }
    });
}

#[test]
fn who_has_all_the_time_reads_on_the_spot() {
    let site = site(true);
    drop(opened(&site));
    let engine = Engine::read_only(site.config()).unwrap();
    assert!(engine.readers().is_none());
    let request = app_layer::request::Request {
        scene: "deep".into(),
        user: Some(site::id("u")),
        ..app_layer::request::Request::default()
    };
    let answer = futures::executor::block_on(app_layer::flow::recommend(&engine, &request)).unwrap();
    assert_eq!((answer.items.len(), answer.degraded.len()), (5, 0));
}

#[test]
fn a_lazy_table_that_is_not_there_is_missing() {
    let site = site(true);
    std::fs::remove_dir_all(site.path().join("tables/cf")).unwrap();
    std::fs::create_dir_all(site.path().join("tables/cf")).unwrap();
    let engine = Arc::new(opened(&site));
    served(&engine, |at| {
        let got = answer(recommend(at, json!({"scene": "deep", "user": "u"})));
        let missing = json!({"stage": "recall.near", "cause": "missing", "detail": "table cf is not there"});
        assert_eq!(got["degraded"][0], missing);
        // It comes.
        site.publish("cf", NOW, &[("i3", ranking(40..50))]);
        engine.refresh();
        let got = answer(recommend(at, json!({"scene": "deep", "user": "u"})));
        assert_eq!((&got["degraded"], ids(&got)[0]), (&json!([]), "i40"));
    });
}
