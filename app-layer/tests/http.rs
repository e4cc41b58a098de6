//! The HTTP interface against its contract, in process: statuses and their order, problem documents, encodings, keys, pages.

mod site;

#[path = "http/erasure.rs"]
mod erasure;
#[path = "http/schema.rs"]
mod schema;
#[path = "http/tables.rs"]
mod tables;

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::http::header::HeaderMap;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::Data;
use actix_web::{App, http::StatusCode};
use app_layer::{Engine, api};
use data_layer::access::Scrubber;
use data_layer::ingest::{Flow, Lane};
use data_layer::keylist::{Op, Writer};
use data_layer::publish::Folder;
use serde_json::{Value as Json, json};
use site::{NOW, Site, block, catalogue, feed};

const HOME: &str = "scene = \"home\"\nsize = 5\nfallback = [\"hot\"]\nnon_personal = [\"hot\"]\n
[[recall]]\nname = \"cf\"\nkind = \"item_to_item\"\ntable = \"cf\"\nfrom = \"recent\"\n
[[recall]]\nname = \"hot\"\nkind = \"ranking\"\ntable = \"hot\"\n
[[filter]]\nkind = \"seen\"\n
[[strategy]]\nname = \"cheap\"\nkind = \"boost\"\nrule = \"price < 0.5\"\nfactor = 2.0\n";

fn site() -> Site {
    let site = Site::new();
    site.tables(60);
    site.write("scenes/home.toml", HOME);
    site
}

fn served(site: &Site) -> Data<Engine> {
    let engine = site.open();
    feed(&engine, catalogue(60));
    Data::from(Arc::new(engine))
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    json: Json,
    text: String,
}

fn call(engine: &Data<Engine>, request: TestRequest) -> Got {
    block(async {
        let app = init_service(
            App::new().app_data(engine.clone()).wrap(from_fn(api::around)).configure(api::routes),
        )
        .await;
        let answer = call_service(&app, request.to_request()).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.into_body().try_into_bytes().unwrap_or_default();
        let text = String::from_utf8_lossy(&body).into_owned();
        Got { status, headers, json: serde_json::from_str(&text).unwrap_or(Json::Null), text }
    })
}

fn post(engine: &Data<Engine>, path: &str, body: impl Into<Vec<u8>>) -> Got {
    call(engine, TestRequest::post().uri(path).set_payload(body.into()))
}

fn recommend(engine: &Data<Engine>, body: Json) -> Got {
    post(engine, "/v1/recommend", body.to_string())
}

fn ids(got: &Got) -> Vec<String> {
    assert_eq!(got.status, 200, "{}", got.text);
    got.json["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_answer_has_the_form_of_the_contract() {
    let site = site();
    let engine = served(&site);
    let got =
        recommend(&engine, json!({"scene": "home", "user": "u1", "fields": ["price"], "explain": true}));
    assert_eq!(ids(&got), ["i0", "i1", "i2", "i3", "i4"]);
    let item = &got.json["items"][0];
    assert_eq!(item["sources"], json!(["hot"]));
    assert_eq!(
        (&item["propensity"], &item["position"], &item["attributes"]),
        (&Json::Null, &json!(0), &json!({"price": 0.0}))
    );
    assert_eq!(got.json["user"], "u1");
    assert!(got.json["versions"]["tables"]["hot"].as_str().unwrap().starts_with("2026"));
    assert_eq!(got.json["versions"]["model"], Json::Null);
    assert!(got.json["cursor"].is_string() && got.json["took_us"].is_u64());
    assert_eq!(got.json["explain"]["moves"][0]["by"], "cheap");
    assert_eq!(
        got.headers.get("x-request-id").unwrap().to_str().unwrap(),
        got.json["request_id"].as_str().unwrap()
    );
}

#[test]
fn statuses_come_in_their_order_and_name_the_field() {
    let site = site();
    let engine = served(&site);
    assert_eq!(post(&engine, "/v1/recommend", "{not json").status, 400);
    assert_eq!(
        recommend(&engine, json!({"scene": "hme", "size": 0})).status,
        404,
        "before what is wrong with fields"
    );
    let got = recommend(
        &engine,
        json!({"scene": "home", "siez": 3, "pool": "p", "filter": "pric < 3.0", "size": 501}),
    );
    assert_eq!(got.status, 422);
    assert_eq!(got.headers.get("content-type").unwrap(), "application/problem+json");
    let pointers: Vec<&str> =
        got.json["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers.len(), 3, "{}", got.text);
    let got = recommend(&engine, json!({"scene": "home", "filter": "pric < 3.0", "fields": ["prise"]}));
    assert!(got.text.contains("did you mean `price`?") && got.text.contains("/fields/0"), "{}", got.text);
    assert_eq!(call(&engine, TestRequest::put().uri("/v1/recommend")).status, 405);
    assert_eq!(call(&engine, TestRequest::get().uri("/v1/nothing")).status, 404);
    let large = format!("{{\"scene\":\"home\",\"user\":\"{}\"}}", "x".repeat(17 << 20));
    assert_eq!(post(&engine, "/v1/recommend", large).status, 413);
}

#[test]
fn a_request_of_megabytes_is_refused_in_a_few_words() {
    let site = site();
    let engine = served(&site);
    let long = "x".repeat(8 << 20);
    let many: serde_json::Map<String, Json> = (0..100_000).map(|n| (format!("k{n}"), Json::Null)).collect();
    for (path, body, status) in [
        ("/v1/recommend", json!({ "scene": long }), 404),
        ("/v1/recommend", json!({"scene": "home", "fields": [long]}), 422),
        ("/v1/recommend", json!({"scene": "home", long.as_str(): 1}), 422),
        ("/v1/recommend", Json::Object(many), 422),
        ("/v1/tables/hot/publish", json!({long.as_str(): 1}), 422),
    ] {
        let got = post(&engine, path, body.to_string());
        assert_eq!(got.status, status);
        assert!(got.text.len() < 32 << 10, "{} bytes", got.text.len());
    }
}

#[test]
fn ids_of_the_client_are_echoed() {
    let site = site();
    let engine = served(&site);
    let request = TestRequest::get()
        .uri("/healthz")
        .insert_header(("X-Request-Id", "r-1"))
        .insert_header(("traceparent", "00-a-b-01"));
    let got = call(&engine, request);
    assert_eq!(got.headers.get("x-request-id").unwrap(), "r-1");
    assert_eq!(got.headers.get("traceparent").unwrap(), "00-a-b-01");
}

#[test]
fn events_come_in_every_form_and_change_the_next_answer() {
    let site = site();
    let engine = served(&site);
    let click = |user: &str, item: &str| json!({"type": "interaction", "user": user, "item": item, "action": "click", "time": NOW});
    let lines = format!("{}\n{}\nnonsense\n", click("u1", "i20"), click("u2", "i20"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let packed = [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(lines.as_bytes(), 0).unwrap())];
    for (encoding, body) in packed {
        let request = TestRequest::post().uri("/v1/events").insert_header(("Content-Encoding", encoding));
        let got =
            call(&engine, request.insert_header(("Content-Type", "application/x-ndjson")).set_payload(body));
        assert_eq!(got.status, 200, "{}", got.text);
        assert_eq!(got.json["rejected"][0]["index"], 2);
        assert_eq!(got.json["accepted"].as_u64().unwrap() + got.json["duplicates"].as_u64().unwrap(), 2);
    }
    let brotli =
        TestRequest::post().uri("/v1/events").insert_header(("Content-Encoding", "br")).set_payload("x");
    assert_eq!(call(&engine, brotli).status, 415);
    assert_eq!(post(&engine, "/v1/events", "").status, 400);
    let beacon =
        TestRequest::post().uri("/v1/events").insert_header(("Content-Type", "text/plain;charset=UTF-8"));
    let got = call(&engine, beacon.set_payload(click("u3", "i30").to_string()));
    assert_eq!(got.json["accepted"], 1, "{}", got.text);

    let answer = recommend(
        &engine,
        json!({"scene": "home", "user": "u3", "min_position": got.json["position"], "size": 60, "explain": true}),
    );
    assert!(!ids(&answer).contains(&"i30".to_owned()), "what was acted on is seen");
    assert!(
        answer.json["items"].as_array().unwrap().iter().any(|i| i["sources"][0] == "cf"),
        "and brings what is near it"
    );
    let later =
        recommend(&engine, json!({"scene": "home", "user": "u3", "min_position": "1.00000000000000ff.1"}));
    assert_eq!(later.json["degraded"][0]["cause"], "position", "{}", later.text);
    let feedback = json!({"type": "impression", "user": "u3", "request_id": answer.json["request_id"], "items": [{"id": "i1"}, {"id": "i2"}], "time": NOW});
    post(&engine, "/v1/events", feedback.to_string());
    let metrics = call(&engine, TestRequest::get().uri("/metrics")).text;
    assert!(
        metrics.contains("weir_feedback_total{kind=\"impression\",scene=\"home\",layer=\"\",bucket=\"\"} 2"),
        "{metrics}"
    );
}

#[test]
fn a_wrong_clock_is_corrected_by_what_the_call_says() {
    let site = site();
    let engine = served(&site);
    let now = data_layer::types::time::now();
    let behind = now - 7_200_000;
    let act = |item: &str| json!({"type": "interaction", "user": "late", "item": item, "action": "click", "time": behind});
    let call_says = format!("/v1/events?sent_at={behind}");
    assert_eq!(post(&engine, &call_says, json!([act("i1")]).to_string()).json["accepted"], 1);
    let envelope = json!({"sent_at": behind, "events": [act("i2")]});
    let got = post(&engine, "/v1/events", envelope.to_string());
    assert_eq!(got.json["accepted"], 1, "{}", got.text);
    recommend(&engine, json!({"scene": "home", "user": "late", "min_position": got.json["position"]}));
    let user = call(&engine, TestRequest::get().uri("/v1/users/late"));
    for done in user.json["recent"].as_array().unwrap() {
        assert!(done["time"].as_i64().unwrap() >= now, "{}", user.text);
    }
    let past = json!([act("i4")]).to_string();
    assert_eq!(post(&engine, "/v1/events?lane=backfill", past).json["accepted"], 1);
    for wrong in ["/v1/events?sent_at=soon", "/v1/events?sentat=1", "/v1/events?lane=fast"] {
        let got = post(&engine, wrong, json!([act("i3")]).to_string());
        assert_eq!(got.status, 422, "{wrong}: {}", got.text);
    }
}

#[test]
fn who_comes_when_there_is_no_room_is_told_when_to_come_again() {
    let site = site();
    let engine = served(&site);
    let ingest = engine.ingest().unwrap();
    let click =
        json!({"type": "interaction", "user": "u", "item": "i1", "action": "click", "time": NOW}).to_string();
    let refused = |status: u16, path: &str, body: &str| {
        let got = post(&engine, path, body.to_owned());
        assert_eq!(got.status, status, "{}", got.text);
        assert_eq!(got.headers.get("retry-after").unwrap(), "1");
    };
    let all = engine.config().server.event_memory;
    let taken = ingest.admission().admit(Lane::Live, all).unwrap();
    refused(429, "/v1/events", &click);
    refused(429, "/v1/recommend", r#"{"scene":"home"}"#);
    drop(taken);
    for flow in [Flow::Behind, Flow::Failed] {
        ingest.admission().set_flow(flow);
        refused(503, "/v1/events", &click);
        assert_eq!(recommend(&engine, json!({"scene": "home"})).status, 200);
    }
    ingest.admission().set_flow(Flow::Open);
    assert_eq!(post(&engine, "/v1/events", click).json["accepted"], 1);
    let metrics = call(&engine, TestRequest::get().uri("/metrics")).text;
    assert!(metrics.contains("weir_ingest_total{outcome=\"turned_away\"} 4"), "{metrics}");
    assert_eq!(ingest.admission().used(), 0);
}

/// A kilobyte that unpacks to more than there may be, in both encodings, and a tree that would be many times its text.
#[test]
fn bombs_are_refused_within_their_limit() {
    let site = site();
    let engine = served(&site);
    let limit = engine.config().server.body_limit;
    let zeros = vec![b' '; 4 * limit];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    let bombs = [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(&zeros[..], 1).unwrap())];
    for (encoding, bomb) in bombs {
        let request = TestRequest::post().uri("/v1/events").insert_header(("Content-Encoding", encoding));
        assert_eq!(call(&engine, request.set_payload(bomb)).status, 413);
    }
    let tree = format!("{{\"scene\":\"home\",\"items\":[{}0]}}", "0,".repeat(300_000));
    assert_eq!(post(&engine, "/v1/recommend", tree.clone()).status, 400);
    let got = post(&engine, "/v1/events", format!("[{tree},{{}}]"));
    assert_eq!(got.json["rejected"].as_array().unwrap().len(), 2, "{}", got.text);
    let bodies = engine.bodies();
    assert!(bodies.peak() <= 5 * limit && bodies.used() == 0, "{} {}", bodies.peak(), bodies.used());
}

#[test]
fn items_and_users_are_shown_and_removed() {
    let site = site();
    let engine = served(&site);
    feed(&engine, vec![site::click("a/b c", 7, NOW)]);
    let item = call(&engine, TestRequest::get().uri("/v1/items/i7"));
    assert_eq!(item.json["attributes"]["category"], json!({"value": "c1", "time": NOW - 1_000}));
    assert_eq!(item.json["counters"]["click"]["total"], 1);
    let user = call(&engine, TestRequest::get().uri("/v1/users/a%2Fb%20c"));
    assert_eq!(user.json["recent"][0]["item"], "i7", "{}", user.text);
    for (path, status) in [("/v1/users/a%2Fb%20c", 200), ("/v1/items/i7", 200)] {
        assert_eq!(call(&engine, TestRequest::delete().uri(path)).status, status);
        assert_eq!(call(&engine, TestRequest::get().uri(path)).status, 404);
        assert_eq!(call(&engine, TestRequest::delete().uri(path)).status, 404);
    }
    assert!(!ids(&recommend(&engine, json!({"scene": "home", "size": 60}))).contains(&"i7".to_owned()));
}

#[test]
fn a_removal_wins_over_a_clock_that_is_ahead() {
    let site = site();
    let engine = served(&site);
    let ahead = data_layer::types::time::now() + 60_000;
    let said = json!({"type": "item", "id": "i7", "time": ahead, "deleted": false});
    let got = post(&engine, "/v1/events", said.to_string());
    assert_eq!(got.json["accepted"], 1, "{}", got.text);
    let all = json!({"scene": "home", "size": 60, "min_position": got.json["position"]});
    assert!(ids(&recommend(&engine, all.clone())).contains(&"i7".to_owned()));
    assert_eq!(call(&engine, TestRequest::delete().uri("/v1/items/i7")).status, 200);
    assert_eq!(call(&engine, TestRequest::get().uri("/v1/items/i7")).status, 404);
    assert!(!ids(&recommend(&engine, all)).contains(&"i7".to_owned()));
}

#[test]
fn keys_give_rights() {
    let site = site();
    site.write("weir.toml", "[schema]\ncategory = \"string\"\nprice = \"float\"\n[[server.keys]]\nname = \"app\"\nsecret = \"s3cretsecret\"\nrights = [\"read\"]\n");
    let engine = served(&site);
    let ask = |key: Option<&str>, body: Json| {
        let request = TestRequest::post().uri("/v1/recommend").set_payload(body.to_string());
        call(
            &engine,
            match key {
                Some(key) => request.insert_header(("Authorization", format!("Bearer {key}"))),
                None => request,
            },
        )
        .status
    };
    assert_eq!(ask(None, json!({"scene": "home"})), 401);
    assert_eq!(ask(Some("other"), json!({"scene": "home"})), 401);
    assert_eq!(ask(Some("s3cretsecret"), json!({"scene": "home"})), 200);
    assert_eq!(ask(Some("s3cretsecret"), json!({"scene": "home", "explain": true})), 403);
    assert_eq!(post(&engine, "/v1/events", "[]").status, 401);
    assert_eq!(call(&engine, TestRequest::get().uri("/healthz")).status, 200);
}

#[test]
fn who_asks_not_to_be_personalised_is_not() {
    let site = site();
    let engine = served(&site);
    feed(&engine, vec![site::click("u", 0, NOW)]);
    assert!(!ids(&recommend(&engine, json!({"scene": "home", "user": "u"}))).contains(&"i0".to_owned()));
    let said = json!({"type": "user", "id": "u", "time": NOW, "attributes": {"personalize": false}});
    let position = post(&engine, "/v1/events", said.to_string()).json["position"].clone();
    let got = recommend(
        &engine,
        json!({"scene": "home", "user": "u", "session": ["i9"], "min_position": position}),
    );
    assert_eq!(ids(&got), ["i0", "i1", "i2", "i3", "i4"], "the ranking, as for everybody");
}

#[test]
fn the_document_describes_every_call() {
    let site = site();
    let engine = served(&site);
    let document = call(&engine, TestRequest::get().uri("/openapi.json")).json;
    assert_eq!(&document["openapi"].as_str().unwrap()[..3], "3.1");
    assert_eq!(document["paths"].as_object().unwrap().len(), 19);
    assert_eq!(document["components"]["schemas"]["RecommendBody"]["additionalProperties"], false);
    for (path, calls) in document["paths"].as_object().unwrap() {
        for (method, call) in calls.as_object().unwrap() {
            assert!(call["responses"]["200"].is_object(), "{method} {path}");
        }
    }
}
