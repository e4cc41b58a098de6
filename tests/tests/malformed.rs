//! Requests that make no sense get a 4xx that names the field, never a 5xx; and nothing acknowledged before is lost by them.

use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::server::Server;
use tests::site::{NOW, Site, catalogue, click};

fn assert_problem(answer: &Answer, statuses: &[u16], what: &str) {
    assert!(
        statuses.contains(&answer.status),
        "{what}: expected {statuses:?}, got {} {}",
        answer.status,
        answer.text
    );
    assert!(answer.kind.starts_with("application/problem+json"), "{what}: {} {}", answer.kind, answer.text);
    let problem = answer.json();
    assert_eq!(problem["status"], answer.status, "{what}: {problem}");
    assert!(problem["title"].is_string() && problem["type"].is_string(), "{what}: {problem}");
}

fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    errors.iter().filter_map(|e| e["pointer"].as_str()).collect()
}

#[test]
fn recommend_names_the_wrong_field() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    client.send(&catalogue());

    let long = "x".repeat(257);
    let many: Vec<String> = (0..5001).map(|n| format!("i{n}")).collect();
    let cases = [
        (json!({"scene": "home", "sizee": 3}), "sizee"),
        (json!({"scene": "home", "size": 0}), "size"),
        (json!({"scene": "home", "size": 501}), "size"),
        (json!({"scene": "home", "size": -1}), "size"),
        (json!({"scene": "home", "size": "ten"}), "size"),
        (json!({"scene": "home", "size": 1.5}), "size"),
        (json!({"scene": "home", "user": 42}), "user"),
        (json!({"scene": "home", "user": ""}), "user"),
        (json!({"scene": "home", "user": long}), "user"),
        (json!({"scene": "home", "user": "a\u{0}b"}), "user"),
        (json!({"scene": 1}), "scene"),
        (json!({"scene": "home", "items": "i1"}), "items"),
        (json!({"scene": "home", "items": [1]}), "items"),
        (json!({"scene": "home", "items": vec!["i1"; 51]}), "items"),
        (json!({"scene": "home", "session": vec!["i1"; 201]}), "session"),
        (json!({"scene": "home", "exclude": many}), "exclude"),
        (json!({"scene": "home", "candidates": many}), "candidates"),
        (json!({"scene": "home", "filter": "price >"}), "filter"),
        (json!({"scene": "home", "filter": "prize > 1.0"}), "filter"),
        (json!({"scene": "home", "filter": "price == 'a'"}), "filter"),
        (json!({"scene": "home", "filter": "price"}), "filter"),
        (json!({"scene": "home", "filter": "(".repeat(5000)}), "filter"),
        (json!({"scene": "home", "filter": "!".repeat(100_000)}), "filter"),
        (json!({"scene": "home", "cursor": "nonsense"}), "cursor"),
        (json!({"scene": "home", "min_position": "nonsense"}), "min_position"),
        (json!({"scene": "home", "fields": [3]}), "fields"),
        (json!({"scene": "home", "seed": "x"}), "seed"),
        (json!({"scene": "home", "explain": "yes"}), "explain"),
        (json!({"scene": "home", "pool": "p"}), "pool"),
    ];
    for (request, field) in cases {
        let answer = client.post("/v1/recommend", request.to_string());
        let what: String = request.to_string().chars().take(120).collect();
        assert_problem(&answer, &[422, 400], &what);
        let problem = answer.json();
        let named = pointers(&problem).iter().any(|p| p.trim_start_matches(['#', '/']).starts_with(field));
        assert!(named, "{what}: expected a pointer to {field} in {problem}");
    }
    assert_eq!(client.recommend(json!({"scene": "home"})).ids().len(), 10, "it still answers");
}

#[test]
fn what_is_no_request_at_all_is_refused() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    for body in [
        "",
        "{",
        "null",
        "[]",
        "3",
        "\"home\"",
        "{\"scene\":\"home\"",
        "{\"scene\":\"home\"}}",
        "\u{feff}{}",
        "{}",
    ] {
        assert_problem(&client.post("/v1/recommend", body), &[400, 422], body);
    }
    assert_problem(&client.post("/v1/recommend", [0xff, 0xfe, 0x00]), &[400, 422], "bytes");
    assert_problem(&client.post("/v1/recommend", "[".repeat(100_000)), &[400, 413, 422], "deep nesting");
    assert_problem(
        &client.post("/v1/recommend", json!({"scene": "nowhere"}).to_string()),
        &[404],
        "unknown scene",
    );
    let large = format!("{{\"scene\":\"home\",\"user\":\"{}\"}}", "x".repeat(40 << 20));
    let answer = client.post("/v1/recommend", large);
    assert!([0, 413].contains(&answer.status), "too large: {} {}", answer.status, answer.text);
    for path in [
        "/v1/nothing",
        "/v1/tables/none",
        "/v1/tables/none/x",
        "/v1/items/none",
        "/v1/users/none",
        "/v1/tables/..%2f..%2fetc/x",
    ] {
        let answer = client.get(path);
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
    }
    for (path, body) in [
        ("/v1/tables/popular/publish", "{\"generation\":\"none\"}"),
        ("/v1/tables/none/publish", "{}"),
        ("/v1/tables/popular/publish", "{\"generatoin\":\"x\"}"),
        ("/v1/tables/popular/publish", "{"),
        ("/v1/tables/popular/publish", "{\"generation\":\"../../x\"}"),
        ("/v1/models/none/publish", "{}"),
        ("/v1/models/none/rollback", "{}"),
    ] {
        let answer = client.post(path, body);
        assert!((400..500).contains(&answer.status), "{path} {body}: {} {}", answer.status, answer.text);
    }
    assert!((400..500).contains(&client.get("/v1/recommend").status), "the wrong method");
    assert_eq!(client.recommend(json!({"scene": "home"})).ids().len(), 10, "it still answers");
}

#[test]
fn good_events_of_a_batch_are_taken_and_bad_ones_named() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    client.send(&catalogue());
    let bad = [
        json!({"type": "interaction", "user": "u1", "item": "i1", "action": "clik", "time": NOW}),
        json!({"type": "interaction", "user": 7, "item": "i1", "action": "click", "time": NOW}),
        json!({"type": "interaction", "item": "i1", "action": "click", "time": NOW}),
        json!({"type": "interaction", "user": "u1", "action": "click", "time": NOW}),
        json!({"type": "interaction", "user": "u1", "item": "i1", "action": "click", "time": "yesterday"}),
        json!({"type": "interaction", "user": "u1", "item": "i1", "action": "click", "time": 99_999_999_999_999_i64}),
        json!({"type": "interaction", "user": "u1", "item": "i1", "action": "click", "value": "much", "time": NOW}),
        json!({"type": "item", "id": "i1", "time": NOW, "attributes": {"price": "cheap"}}),
        json!({"type": "item", "id": "", "time": NOW}),
        json!({"type": "item", "id": "i\n1", "time": NOW}),
        json!({"type": "party", "id": "p"}),
        json!({"id": "no type"}),
        json!({"type": "edge", "from": "u1", "to": "u2", "time": NOW}),
        json!({"type": "load", "source": "c", "id": "x", "phase": "middle", "time": NOW}),
        json!({"type": "impression", "user": "u1", "items": "i1", "time": NOW}),
        json!({"type": "interaction", "retracted": true, "time": NOW}),
        json!(null),
        json!([1]),
        json!("click"),
    ];
    for (n, event) in bad.iter().enumerate() {
        let batch = json!([click(&format!("g{n}"), "good", "i3", NOW - 100), event]);
        let answer = client.post("/v1/events", batch.to_string());
        assert_eq!(answer.status, 200, "{event}: {}", answer.text);
        let receipt = answer.json();
        assert_eq!(receipt["accepted"], 1, "{event}: {receipt}");
        assert_eq!(receipt["rejected"][0]["index"], 1, "{event}: {receipt}");
        assert!(receipt["rejected"][0]["detail"].as_str().is_some_and(|d| d.len() > 5), "{event}: {receipt}");
    }
    assert_eq!(clicks(client, "i3"), bad.len() as u64, "the good ones count, each once");
}

fn clicks(client: &Client, item: &str) -> u64 {
    let position = client.send(&[json!({"type": "item", "id": item, "time": NOW, "attributes": {}})]);
    client.recommend(json!({"scene": "home", "min_position": position}));
    client.get(&format!("/v1/items/{item}")).json()["counters"]["click"]["total"].as_u64().unwrap_or(0)
}

#[test]
fn bodies_of_events_come_in_forms() {
    let site = Site::new();
    let server = Server::start(&site.config());
    let client = &server.client;
    let one = |n: usize| click(&format!("f{n}"), "u1", "i8", NOW - 100).to_string();
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).expect("memory");
        encoder.finish().expect("memory")
    };
    assert_eq!(client.post("/v1/events", one(1)).json()["accepted"], 1, "an object");
    assert_eq!(
        client.post("/v1/events", format!("[{},{}]", one(2), one(3))).json()["accepted"],
        2,
        "an array"
    );
    let lines = format!("{}\n{}\n\n{}\n", one(4), one(5), one(1));
    let receipt = client.post_as("/v1/events", "application/x-ndjson", &lines).json();
    assert_eq!(
        (&receipt["accepted"], &receipt["duplicates"]),
        (&json!(2), &json!(1)),
        "lines, one known: {receipt}"
    );
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let send = |encoding: &str, body: &[u8]| {
        let request =
            agent.post(format!("{}/v1/events", client.url)).header("content-type", "application/json");
        request.header("content-encoding", encoding).send(body).map(|r| r.status().as_u16()).unwrap_or(0)
    };
    assert_eq!(send("gzip", &gzip(&one(6))), 200);
    assert_eq!(send("zstd", &zstd::encode_all(one(7).as_bytes(), 1).expect("memory")), 200);
    assert_eq!(send("br", one(8).as_bytes()), 415, "other encodings are refused");
    let broken = send("gzip", b"not gzip at all");
    assert!((400..500).contains(&broken), "{broken}");
    for body in ["", "nonsense", "{", "[", "3"] {
        let answer = client.post("/v1/events", body);
        assert!((400..500).contains(&answer.status), "{body:?}: {} {}", answer.status, answer.text);
    }
    assert_eq!(clicks(client, "i8"), 7);
}
