//! Attribute types over HTTP: changed without a restart, kept over one, and what can't be is refused by name.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use actix_web::web::Data;
use app_layer::Engine;
use serde_json::{Value as Json, json};

use super::site::NOW;
use super::{Got, call, post, recommend, served, site};

fn read(engine: &Data<Engine>) -> Json {
    call(engine, TestRequest::get().uri("/v1/schema")).json
}

fn put(engine: &Data<Engine>, body: &Json) -> Got {
    call(engine, TestRequest::put().uri("/v1/schema").set_payload(body.to_string()))
}

/// Sends an item and waits until it shows; why it was rejected, or nothing.
fn item(engine: &Data<Engine>, attributes: &Json) -> String {
    let event = json!({"type": "item", "id": "i1", "time": NOW, "attributes": attributes});
    let got = post(engine, "/v1/events", event.to_string());
    recommend(engine, json!({"scene": "home", "min_position": got.json["position"]}));
    got.json["rejected"][0]["detail"].as_str().unwrap_or_default().to_owned()
}

fn shown(engine: &Data<Engine>) -> Json {
    call(engine, TestRequest::get().uri("/v1/items/i1")).json["attributes"].clone()
}

#[test]
fn the_schema_changes_without_a_restart() {
    let site = site();
    let engine = served(&site);
    assert_eq!(item(&engine, &json!({"stock": 3, "colour": "red"})), "");
    let was = read(&engine);
    assert_eq!((&was["items"]["stock"], &was["items"]["hidden"]), (&json!("int"), &json!("bool")));
    let version = was["version"].as_u64().unwrap();

    // Added, retyped and dropped at once; what widens is kept.
    let mut items = was["items"].as_object().unwrap().clone();
    items.remove("colour");
    items.insert("stock".into(), json!("float"));
    items.insert("size".into(), json!("int"));
    let got = put(&engine, &json!({"version": version, "items": items, "unknown": "reject"}));
    assert_eq!((got.status, &got.json["version"]), (StatusCode::OK, &json!(version + 1)), "{}", got.text);
    assert_eq!(read(&engine), got.json);
    let now = shown(&engine);
    assert_eq!((&now["stock"]["value"], &now["colour"]), (&json!(3.0), &Json::Null));
    let blue = item(&engine, &json!({"colour": "blue"}));
    assert!(blue.starts_with("attributes.colour: not in the schema"), "{blue}");
    let half = item(&engine, &json!({"size": 1.5}));
    assert_eq!(half, "attributes.size: expected int, as the schema says, found float");
    assert_eq!(item(&engine, &json!({"stock": 4, "size": 7})), "");
    assert_eq!(put(&engine, &json!({"unknown": "ignore"})).json["version"], version + 2);
    assert_eq!(item(&engine, &json!({"colour": "blue", "size": 8})), "");
    let now = shown(&engine);
    assert_eq!((&now["colour"], &now["size"]["value"]), (&Json::Null, &json!(8)));

    // What was put outlives a restart.
    let before = read(&engine);
    engine.ingest().unwrap().clone().close().unwrap();
    drop(engine);
    assert_eq!(read(&Data::from(Arc::new(site.open()))), before);
}

#[test]
fn a_schema_that_cannot_be_is_refused_by_name() {
    let site = site();
    let engine = served(&site);
    let version = put(&engine, &json!({"unknown": "ignore"})).json["version"].as_u64().unwrap();
    // The same again is no version, and one made of an older one is refused.
    assert_eq!(put(&engine, &json!({"unknown": "ignore"})).json["version"], version);
    let old = put(&engine, &json!({"version": version - 1, "items": {}}));
    assert_eq!(old.status, 409, "{}", old.text);
    assert!(old.json["detail"].as_str().unwrap().contains(&format!("expected {version}")));
    let said_as_string = json!({"items": {"price": "string", "category": "string"}});
    for (change, pointer, said) in [
        (json!({"items": {"price": "flot"}}), "/items/price", "expected one of bool, int, float"),
        (said_as_string, "/items/price", "weir.toml says float, found string"),
        (json!({"items": {"category": "string"}}), "/items/price", "weir.toml says float, found none"),
        (
            json!({"users": {"personalize": "int"}}),
            "/users/personalize",
            "is reserved and of type bool, found int",
        ),
        (json!({"users": {"": "int"}}), "/users/", "expected a name of 1 to 128 bytes"),
        (json!({"unknown": "keep"}), "/unknown", "expected store, ignore or reject, found \"keep\""),
    ] {
        let got = put(&engine, &change);
        let errors = got.json["errors"].as_array().cloned().unwrap_or_default();
        let found = errors.iter().find(|error| error["pointer"] == pointer);
        let detail = found.and_then(|error| error["detail"].as_str()).unwrap_or_default();
        assert!(got.status == 422 && detail.starts_with(said), "{change}: {}", got.text);
    }
    assert_eq!(put(&engine, &json!({"itmes": {}})).status, 422);
    assert_eq!(put(&engine, &json!(3)).status, 422);
}
