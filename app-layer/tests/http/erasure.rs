//! Erasure of a user over HTTP: at once for every reader, tables included, and how far the files are.

use super::*;

const OWN: &str = "scene = \"own\"\nsize = 5\n[[recall]]\nkind = \"user_list\"\ntable = \"own\"\n";

#[test]
fn lists_of_who_was_erased_are_withheld_until_newer_ones_are_published() {
    let site = site();
    site.write("scenes/own.toml", OWN);
    let now = data_layer::types::time::now();
    let list = |from: usize| vec![("u1", site::ranking(from..from + 3)), ("u2", site::ranking(9..10))];
    site.publish("own", now - 1_000, &list(1));
    let engine = served(&site);
    feed(&engine, vec![site::click("u1", 7, NOW), site::click("u2", 7, NOW)]);
    let of = |user: &str| ids(&recommend(&engine, json!({"scene": "own", "user": user})));
    let shown = |user: &str| {
        call(&engine, TestRequest::get().uri(&format!("/v1/tables/own/{user}"))).json["items"].clone()
    };
    assert_eq!((of("u1"), of("u2")), (vec!["i1".into(), "i2".into(), "i3".into()], vec!["i9".to_owned()]));
    let gone = call(&engine, TestRequest::delete().uri("/v1/users/u1"));
    assert_eq!((gone.status.as_u16(), &gone.json["id"]), (200, &json!("u1")), "{}", gone.text);
    let path = format!("/v1/erasures/{}", gone.json["erasure"].as_str().unwrap());
    let how_far = call(&engine, TestRequest::get().uri(&path));
    assert_eq!(
        (how_far.status.as_u16(), &how_far.json["state"]),
        (200, &json!("pending")),
        "{}",
        how_far.text
    );
    for unknown in ["/v1/erasures/u1", "/v1/erasures/1.00000000000000ff.1"] {
        assert_eq!(call(&engine, TestRequest::get().uri(unknown)).status, 404);
    }
    // Seen again or not: the list is that of who was there before.
    assert_eq!((of("u1"), of("u2")), (vec![], vec!["i9".to_owned()]));
    feed(&engine, vec![site::click("u1", 8, NOW)]);
    assert_eq!((of("u1"), shown("u1"), shown("u2").as_array().map(Vec::len)), (vec![], json!([]), Some(1)));
    let later = data_layer::types::time::now() + 1_000;
    site.publish("own", later, &list(4));
    engine.refresh();
    assert_eq!(of("u1"), ["i4", "i5", "i6"]);
    assert_eq!(shown("u1").as_array().map(Vec::len), Some(3));
}
