//! Tables over HTTP: published, rolled back, with deltas and with damage.

use super::*;

#[test]
fn a_table_that_only_a_bucket_reads_is_needed_too() {
    let site = site();
    site.write(
        "experiments/hot.toml",
        "layer = \"hot\"\nunit = \"user\"\nsalt = \"s\"\nstart = 2020-01-01T00:00:00Z
[[bucket]]\nname = \"a\"\nshare = 0.5\n[[bucket]]\nname = \"b\"\nshare = 0.5\nset = { \"home.recall.hot.table\" = \"late\" }\n",
    );
    std::fs::create_dir_all(site.path().join("tables/late")).unwrap();
    let engine = served(&site);
    let ready = || call(&engine, TestRequest::get().uri("/readyz"));
    assert_eq!(ready().status, 503);
    assert_eq!(ready().json["errors"][0]["pointer"], "/tables/late");
    site.publish("late", NOW, &[("all", site::ranking(0..9))]);
    engine.refresh();
    assert_eq!(ready().status, 200, "{}", ready().text);
}

#[test]
fn tables_are_published_and_rolled_back() {
    let site = site();
    let engine = served(&site);
    let first = call(&engine, TestRequest::get().uri("/v1/tables/hot")).json["generation"].clone();
    site.publish("hot", NOW + 1, &[("all", site::ranking(30..60))]);
    assert_eq!(post(&engine, "/v1/tables/hot/publish", "{}").status, 200);
    assert_eq!(ids(&recommend(&engine, json!({"scene": "home"})))[0], "i30");
    assert_eq!(post(&engine, "/v1/tables/hot/rollback", "").json["generation"], first);
    assert_eq!(ids(&recommend(&engine, json!({"scene": "home"})))[0], "i0");
    assert_eq!(post(&engine, "/v1/tables/hot/rollback", "").status, 409);
    assert_eq!(post(&engine, "/v1/tables/hot/publish", "null").status, 200);
    assert_eq!(post(&engine, "/v1/tables/hot/rollback", "").json["generation"], first);
    let other = site.publish("hot", NOW + 2, &[("all", site::ranking(10..40))]);
    site.publish("hot", NOW + 3, &[("all", site::ranking(20..50))]);
    engine.refresh();
    let back = |to: &Json| post(&engine, "/v1/tables/hot/rollback", json!({"generation": to}).to_string());
    assert_eq!(back(&first).json["generation"], first);
    assert_eq!(back(&json!(other)).status, 409, "it was published after that");
    assert_eq!(back(&json!("../x")).status, 409);
    assert_eq!(back(&json!(7)).status, 422);
    assert_eq!(post(&engine, "/v1/tables/hot/rollback", "{\"gen\":1}").status, 422);
    assert_eq!(post(&engine, "/v1/tables/hto/publish", "").status, 404);
    assert_eq!(post(&engine, "/v1/tables/hot/publish", "{\"generation\":\"x\"}").status, 404);
    assert_eq!(post(&engine, "/v1/tables/hot/publish", "{\"gen\":1}").status, 422);
    let list = call(&engine, TestRequest::get().uri("/v1/tables/hot/all"));
    assert_eq!(list.json["items"][0]["item"], "i0");
    assert_eq!(call(&engine, TestRequest::get().uri("/v1/tables/hot/nokey")).json["items"], json!([]));
    assert_eq!(post(&engine, "/v1/models/ctr/publish", "").status, 404);
    assert_eq!(call(&engine, TestRequest::get().uri("/v1/models")).json, json!({"models": []}));
}

#[test]
fn a_delta_is_served_on_top_and_taken_off() {
    let site = site();
    let engine = served(&site);
    let folder = Folder::of(&site.config(), "hot").unwrap();
    let whole = folder.current().unwrap().unwrap();
    let mut writer = Writer::new(folder.delta_spec(NOW + 1_000).unwrap()).unwrap();
    writer.push_entry("all", Op::Merge, &[("i33", 1_000.0)], None).unwrap();
    let delta = folder.build(writer).unwrap().generation;
    let published = post(&engine, "/v1/tables/hot/publish", "").json["generation"].clone();
    assert_eq!(published, format!("{whole}+{}", delta.rsplit('-').next().unwrap()));
    let got = post(&engine, "/v1/recommend", json!({"scene": "home"}).to_string()).json;
    // Places count, not scores; and i0 is boosted.
    assert_eq!((&got["items"][0]["id"], &got["items"][1]["id"]), (&json!("i0"), &json!("i33")));
    assert_eq!(got["versions"]["tables"]["hot"], published);
    assert_eq!(call(&engine, TestRequest::get().uri("/v1/tables/hot/all")).json["generation"], published);
    assert_eq!(post(&engine, "/v1/tables/hot/rollback", "").json["generation"], whole);
    assert_eq!(ids(&recommend(&engine, json!({"scene": "home"})))[1], "i1");
}

#[test]
fn damage_is_named_and_the_one_before_serves() {
    let site = site();
    let first = Folder::of(&site.config(), "hot").unwrap().current().unwrap().unwrap();
    let second = site.publish("hot", NOW + 60_000, &[("all", site::ranking(30..60))]);
    let engine = served(&site);
    let ready = || call(&engine, TestRequest::get().uri("/readyz"));
    let metrics = || call(&engine, TestRequest::get().uri("/metrics")).text;
    assert_eq!((ready().status, &ready().json["degraded"]), (StatusCode::OK, &json!(null)));
    assert!(!metrics().contains("weir_table_damaged{"));
    let file = Folder::of(&site.config(), "hot").unwrap().file(&second);
    let at = std::fs::metadata(&file).unwrap().len() - 1;
    std::fs::File::options().write(true).open(&file).unwrap().write_all_at(&[0xa5], at).unwrap();
    let mut scrubber = Scrubber::new(Some(0));
    let rounds = [(); 2].map(|()| scrubber.round(engine.tables(), &|| true));
    assert!(rounds[1] >= 1, "{rounds:?}");
    assert_eq!(
        (ready().status, &ready().json["degraded"][0]["pointer"]),
        (StatusCode::OK, &json!("/tables/hot"))
    );
    let detail = ready().json["degraded"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("corrupt") && detail.contains("the one before is served"), "{detail}");
    assert!(metrics().contains(&format!("weir_table_damaged{{table=\"hot\",generation=\"{second}\"}} 1")));
    let table = call(&engine, TestRequest::get().uri("/v1/tables/hot")).json;
    assert_eq!((table["generation"].clone(), table["error"].is_string()), (json!(first), true));
    assert_eq!(ids(&recommend(&engine, json!({"scene": "home"})))[0], "i0");
}
