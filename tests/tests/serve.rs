//! A real server over HTTP: feedback changes the next answer, faults lose nothing, and versions change under load.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use data_layer::registry::{ModelFile, Registry};
use serde_json::{Value, json};
use tests::programs::{must, run};
use tests::server::Server;
use tests::site::{NOW, Site, catalogue, click, popular};

fn home(user: &str) -> Value {
    json!({"scene": "home", "user": user, "seed": 1, "now_ms": NOW})
}

#[test]
fn an_accepted_event_changes_the_next_answer_that_carries_its_position() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    client.send(&catalogue());

    for round in 0..20 {
        let user = format!("u{round}");
        let before = client.recommend(home(&user)).ids();
        assert_eq!(before[0], "i0", "who is new gets what is popular: {before:?}");

        let clicked = format!("i{}", 30 + round);
        let position = client.send(&[click(&format!("c{round}"), &user, &clicked, NOW - 1000)]);
        let mut request = home(&user);
        request["min_position"] = json!(position);
        let answer = client.recommend(request);
        let after = answer.ids();
        assert_ne!(before, after, "{}", answer.text);
        assert_eq!(after[0], format!("i{}", 31 + round), "what goes with {clicked} comes first: {after:?}");
        assert!(!after.contains(&clicked), "the seen filter leaves out what was clicked");
        assert_eq!(answer.json()["items"][0]["sources"][0], "item_cf");
        assert_eq!(answer.json()["degraded"], json!([]), "{}", answer.text);
    }
}

#[test]
fn the_same_question_gets_the_same_answer_also_after_a_restart() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let position = server.client.send(
        &catalogue()
            .into_iter()
            .chain((0..30).map(|n| {
                click(&format!("e{n}"), &format!("u{}", n % 3), &format!("i{}", n * 3), NOW - 5000 + n)
            }))
            .collect::<Vec<_>>(),
    );
    let ask = |server: &Server, user: &str| {
        let mut request = home(user);
        request["min_position"] = json!(position);
        request["fields"] = json!(["category", "price"]);
        server.client.recommend(request).json()["items"].clone()
    };
    let first: Vec<Value> = (0..4).map(|n| ask(&server, &format!("u{n}"))).collect();
    let again: Vec<Value> = (0..4).map(|n| ask(&server, &format!("u{n}"))).collect();
    assert_eq!(first, again);
    assert_eq!(server.stop(), Some(0), "asked to end, it ends with 0");

    let server = Server::start(&site.config());
    let replayed: Vec<Value> = (0..4).map(|n| ask(&server, &format!("u{n}"))).collect();
    assert_eq!(first, replayed, "what is replayed from the log is what was");
}

#[test]
fn the_request_can_steer() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    let position = client.send(&catalogue());
    let ask = |more: Value| {
        let mut request = home("u1");
        request["min_position"] = json!(position);
        for (key, value) in more.as_object().expect("an object") {
            request[key] = value.clone();
        }
        client.recommend(request)
    };
    assert_eq!(ask(json!({"size": 3})).ids(), ["i0", "i1", "i2"]);
    assert_eq!(ask(json!({"size": 3, "exclude": ["i0", "i2"]})).ids(), ["i1", "i3", "i4"]);
    assert_eq!(
        ask(json!({"size": 3, "filter": "category == 'music' && price > 4.0"})).ids(),
        ["i5", "i7", "i9"]
    );
    let chosen: BTreeSet<String> =
        ask(json!({"candidates": ["i50", "i3", "i99"]})).ids().into_iter().collect();
    assert_eq!(
        chosen,
        BTreeSet::from(["i3".to_owned(), "i50".to_owned(), "i99".to_owned()]),
        "only these are ranked"
    );
    assert_eq!(ask(json!({"scene": "related", "items": ["i40"], "size": 2})).ids(), ["i41", "i42"]);
    assert_eq!(ask(json!({"session": ["i60"], "size": 1})).status, 200);
    let fields = ask(json!({"size": 1, "fields": ["title"]})).json();
    assert_eq!(fields["items"][0]["attributes"], json!({"title": "No. 0"}));
    let explained = ask(json!({"size": 2, "explain": true})).json();
    assert!(explained["explain"]["stages"].is_array(), "{explained}");

    // Pages never repeat an item.
    let (mut seen, mut cursor) = (BTreeSet::new(), None::<Value>);
    for _ in 0..5 {
        let answer = ask(cursor.map_or(json!({"size": 8}), |c| json!({"size": 8, "cursor": c})));
        for id in answer.ids() {
            assert!(seen.insert(id.clone()), "{id} is on two pages");
        }
        cursor = Some(answer.json()["cursor"].clone());
    }
    assert_eq!(seen.len(), 40);
}

/// Twenty clicks of one user on five items, each with an id of its own.
fn batch(n: usize) -> Vec<Value> {
    let one = |i: usize| {
        click(&format!("k{n}-{i}"), &format!("u{}", n % 7), &format!("i{}", i % 5), NOW - 10_000 + n as i64)
    };
    (0..20).map(one).collect()
}

/// Sends batches from `next` on until the server dies in the middle of it; gives back the first that was not acknowledged.
fn send_until_killed(server: Server, next: usize) -> usize {
    let client = server.client.clone();
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            // No answer: the client can't know, and sends the batch again later.
            (next..)
                .find(|n| client.post("/v1/events", Value::from(batch(*n)).to_string()).status != 200)
                .unwrap_or(next)
        });
        std::thread::sleep(Duration::from_millis(150));
        server.kill();
        sender.join().expect("the sender ends")
    })
}

#[test]
fn killed_during_ingest_it_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let site = Site::new();
    let mut next = 0;
    for _ in 0..4 {
        next = send_until_killed(Server::start(&site.config()), next);
    }
    assert!(next > 4, "the test sent something: {next}");

    // Resend everything, the unanswered batch included: what was acknowledged is known, and each event counts exactly once.
    let server = Server::start(&site.config());
    let mut position = String::new();
    for n in 0..=next {
        let receipt = server.client.post("/v1/events", Value::from(batch(n)).to_string()).json();
        let (new, known) =
            (receipt["accepted"].as_u64().unwrap_or(99), receipt["duplicates"].as_u64().unwrap_or(99));
        assert_eq!(new + known, 20, "{receipt}");
        assert!(new == 0 || n == next, "batch {n} was acknowledged, and lost: {receipt}");
        position = receipt["position"].as_str().unwrap_or_default().to_owned();
    }
    let mut request = home("u1");
    request["min_position"] = json!(position);
    server.client.recommend(request);
    let clicks = |n: usize| {
        server.client.get(&format!("/v1/items/i{n}")).json()["counters"]["click"]["total"].as_u64()
    };
    let total: u64 = (0..5).filter_map(clicks).sum();
    assert_eq!(total, 20 * (next as u64 + 1), "every click once");
}

#[test]
fn tables_change_under_load_without_a_lost_request() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    client.send(&catalogue());
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|n| {
                let (stop, answered) = (&stop, &answered);
                scope.spawn(move || {
                    let mut seen = BTreeSet::new();
                    while !stop.load(Ordering::Relaxed) {
                        let answer = client.recommend(home(&format!("new{n}")));
                        let ids = answer.ids();
                        assert_eq!(ids.len(), 10, "{}", answer.text);
                        // One generation a request: the list is the ranking from its first item on, whole.
                        let first: usize = ids[0][1..].parse().expect("a number");
                        let expected: Vec<String> =
                            (0..10).map(|n| format!("i{}", (first + n) % 100)).collect();
                        assert_eq!(ids, expected);
                        seen.insert(first);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    seen
                })
            })
            .collect();
        for first in [10, 20, 30, 40, 50] {
            site.publish("popular", &popular(first), first);
            let told = client.post("/v1/tables/popular/publish", "{}");
            assert_eq!(told.status, 200, "{}", told.text);
        }
        let back = client.post("/v1/tables/popular/rollback", "{}");
        assert_eq!(back.status, 200, "{}", back.text);
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        askers.into_iter().flat_map(|a| a.join().expect("no request was lost")).collect::<BTreeSet<_>>()
    });
    assert!(answered.load(Ordering::Relaxed) > 20);
    assert!(seen.len() > 1, "generations changed while answers were given: {seen:?}");
    assert_eq!(client.recommend(home("last")).ids()[0], "i40", "rolled back to the one before");
}

/// A model that orders by the score of one source, or the other way round.
fn model(weight: f64) -> ModelFile {
    let tensors = [("weights".to_owned(), vec![weight]), ("intercept".to_owned(), vec![0.0])];
    ModelFile {
        format: 1,
        name: "order".into(),
        family: "logistic".into(),
        features: vec!["source.popular.rank".into()],
        tensors: tensors.into(),
        trained: BTreeMap::new(),
        metrics: BTreeMap::new(),
    }
}

#[test]
fn models_change_under_load_without_a_lost_request() {
    let site = Site::new();
    let config = data_layer::config::Config::load(site.config()).expect("a configuration");
    let registry = Registry::of(&config);
    registry.publish("order", &model(1.0)).expect("a model");
    let scene = std::fs::read_to_string(site.path("scenes/home.toml")).expect("a scene");
    site.write("scenes/home.toml", &scene.replace("[[filter]]", "[rank]\nmodel = \"order\"\n\n[[filter]]"));
    let server = Server::start(&site.config());
    let client = &server.client;
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = client.recommend(home("new"));
                let version = answer.json()["versions"]["model"].as_str().unwrap_or_default().to_owned();
                // One version a request: what it says it used is what it used.
                let forward = answer.ids()[0] == "i0";
                assert_eq!(forward, version == "order@1" || version == "order@3", "{}", answer.text);
                seen.insert(version);
            }
            seen
        });
        for weight in [-1.0, 1.0, -1.0] {
            registry.store("order", &model(weight)).expect("a model");
            let told = client.post("/v1/models/order/publish", "{}");
            assert_eq!(told.status, 200, "{}", told.text);
            std::thread::sleep(Duration::from_millis(60));
        }
        stop.store(true, Ordering::Relaxed);
        asker.join().expect("no request was lost")
    });
    assert!(seen.len() >= 3, "versions changed while answers were given: {seen:?}");
    assert_eq!(client.post("/v1/models/order/rollback", "{}").status, 200);
    assert_eq!(client.recommend(home("last")).ids()[0], "i0", "rolled back to the one before");
}

#[test]
fn one_server_a_folder_and_readers_beside_it() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let position = server.client.send(&catalogue());
    assert!(!position.is_empty());

    let second = Server::start_only(&site.config());
    let said = second.end();
    assert_eq!(said, Some(1), "a second server on the folder is refused");

    let config = site.text("weir.toml");
    must("weir", &["check", "--config", &config]);
    let table = site.text("tables/popular");
    assert!(must("weir", &["table", "get", &table, "all", "--format", "json"]).contains("\"i0\""));
    must("weir", &["table", "stat", &table]);
    must("weir", &["table", "verify", &table]);
    let out =
        must("weir", &["recommend", "--config", &config, "--scene", "home", "--user", "u1", "--size", "3"]);
    assert!(out.contains("i0"), "{out}");
    assert_eq!(server.client.get("/healthz").status, 200, "none of them disturbed it");
}

#[test]
fn operations_are_answered() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    let position = client.send(&catalogue());
    let mut request = home("u1");
    request["min_position"] = json!(position);
    client.recommend(request);
    for path in
        ["/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/tables", "/v1/tables/popular", "/v1/models"]
    {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    assert_eq!(client.get("/openapi.json").json()["openapi"].as_str().map(|v| &v[..3]), Some("3.1"));
    assert_eq!(client.get("/v1/tables/popular/all").json()["items"][0]["item"], "i0");
    let item = client.get("/v1/items/i7").json();
    assert_eq!(item["attributes"]["title"]["value"], "No. 7", "{item}");

    let position = client.send(&[click("a", "gone", "i9", NOW - 10)]);
    let mut request = home("gone");
    request["min_position"] = json!(position);
    client.recommend(request);
    let person = client.get("/v1/users/gone").json();
    assert_eq!(person["recent"][0]["item"], "i9", "{person}");
    assert_eq!(person["counters"]["click"]["total"], 1, "{person}");
    assert!(client.delete("/v1/users/gone").status < 300);
    let erased = client.get("/v1/users/gone");
    assert!(erased.status == 404 || erased.json()["recent"] == json!([]), "{}", erased.text);
    assert!(client.delete("/v1/items/i0").status < 300);
    let ids = client.recommend(home("after")).ids();
    assert!(!ids.contains(&"i0".to_owned()), "a deleted item is never returned: {ids:?}");
}

#[test]
fn scenes_and_configuration_errors_name_the_line_and_what_was_meant() {
    let site = Site::new();
    let config = site.text("weir.toml");
    let cases = [
        ("weir.toml", "namespace = \"main\"\n[server]\nlisen = \"127.0.0.1:1\"\n", "weir.toml:3", "listen"),
        (
            "scenes/home.toml",
            "scene = \"home\"\n[[recall]]\nkind = \"rankin\"\ntable = \"popular\"\n",
            "home.toml:3",
            "ranking",
        ),
        (
            "scenes/home.toml",
            "scene = \"home\"\n[[recall]]\nkind = \"ranking\"\ntable = \"populr\"\n",
            "home.toml:4",
            "popular",
        ),
        (
            "scenes/home.toml",
            "scene = \"home\"\nsiz = 3\n[[recall]]\nkind = \"ranking\"\ntable = \"popular\"\n",
            "home.toml:2",
            "size",
        ),
        (
            "scenes/home.toml",
            "scene = \"home\"\n[[recall]]\nkind = \"ranking\"\ntable = \"popular\"\n[[filter]]\nkind = \"rule\"\nrule = \"pric > 1.0\"\n",
            "home.toml:7",
            "pric",
        ),
        ("scenes/home.toml", "scene = \"home\n", "home.toml:1", ""),
        (
            "experiments/rank.toml",
            "layer = \"rank\"\nunit = \"user\"\nsalt = \"s\"\n[[bucket]]\nname = \"a\"\nshare = 0.5\n[[bucket]]\nname = \"b\"\nshare = 0.6\n",
            "rank.toml",
            "1",
        ),
    ];
    for (file, text, place, hint) in cases {
        let was = std::fs::read_to_string(site.path(file)).ok();
        site.write(file, text);
        let said = run("weir", &["check", "--config", &config]);
        let all = format!("{}{}", said.out, said.err);
        assert_ne!(said.code, 0, "{file} should be refused:\n{text}\n{all}");
        assert!(
            all.contains(place) && all.contains(hint),
            "{file}: expected {place} and {hint:?} in:\n{all}"
        );
        match was {
            Some(was) => site.write(file, &was),
            None => std::fs::remove_file(site.path(file)).expect("the file"),
        }
    }
    must("weir", &["check", "--config", &config]);
}
