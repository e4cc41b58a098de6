//! Tables pushed to a store and pulled by servers, end to end, with real processes: the same contract for a folder and for S3. What a store
//! may hold that is bad is tried out more finely in `data-layer/src/publish/remote/tests.rs`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tests::not_run::not_run;
use tests::programs::{Said, must, run_with};
use tests::server::Server;
use tests::site::{Site, popular};
use tests::store::{KEYS, Store, stalling, wait_for};

const TABLES: [&str; 2] = ["popular", "item_cf"];

/// A site without tables of its own, whose server follows the store.
fn follower(store: &Store, endpoint: Option<&str>) -> Site {
    let site = Site::new();
    std::fs::remove_dir_all(site.path("tables")).expect("the tables");
    let config = std::fs::read_to_string(site.config()).expect("a configuration");
    let source = format!("[tables]\nsource = \"{}\"\npoll = \"1s\"\n", store.url());
    let config = config.replace("[tables]\n", &source);
    site.write("weir.toml", &format!("{config}{}", store.options(endpoint)));
    site
}

fn start(site: &Site) -> Server {
    Server::start_with(&site.config(), &KEYS).wait_until("/readyz")
}

fn try_push(site: &Site, table: &str, store: &Store, more: &[&str]) -> Said {
    let (folder, url, flags) = (site.text(&format!("tables/{table}")), store.url(), store.flags());
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let said = run_with("weir", &[&["table", "push", &folder, "--to", &url], &flags[..]].concat(), &KEYS);
    no_keys(&said.out);
    no_keys(&said.err);
    said
}

fn push(site: &Site, table: &str, store: &Store, more: &[&str]) -> Value {
    let said = try_push(site, table, store, &[more, &["--format", "json"]].concat());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    serde_json::from_str(&said.out).expect("JSON")
}

fn no_keys(text: &str) {
    for (name, value) in KEYS {
        assert!(!text.contains(value), "{name} is told:\n{text}");
    }
}

fn current(site: &Site, table: &str) -> String {
    let text = std::fs::read_to_string(site.path(&format!("tables/{table}/CURRENT"))).expect("CURRENT");
    text.lines().next().expect("a line").to_owned()
}

fn serves(server: &Server, generation: &str) {
    wait_for(&server.client, "popular", |table| {
        table["generation"] == generation && table["error"].is_null()
    });
}

fn fails(server: &Server, part: &str) {
    wait_for(&server.client, "popular", |table| table["error"].as_str().is_some_and(|e| e.contains(part)));
}

fn first_item(server: &Server) -> String {
    server.client.recommend(json!({"scene": "home", "user": "u"})).ids()[0].clone()
}

fn contract(mut store: Store) {
    let publisher = Site::new();
    for table in TABLES {
        push(&publisher, table, &store, &[]);
    }
    let first = current(&publisher, "popular");
    let sites = [follower(&store, None), follower(&store, None)];
    let servers = sites.each_ref().map(start);
    for server in &servers {
        serves(server, &first);
        assert_eq!(first_item(server), "i0");
    }
    publisher.publish("popular", &popular(5), 2);
    let second = current(&publisher, "popular");
    let pushed = push(&publisher, "popular", &store, &[]);
    assert_eq!((&pushed["uploaded"], &pushed["from"]), (&json!([second]), &json!(first)));
    for server in &servers {
        serves(server, &second);
        assert_eq!(first_item(server), "i5");
    }
    must("weir", &["table", "rollback", &publisher.text("tables/popular")]);
    assert_eq!(push(&publisher, "popular", &store, &[])["uploaded"], json!([]));
    for server in &servers {
        serves(server, &first);
        let metrics = server.client.get("/metrics").text;
        assert!(metrics.contains("weir_source_pulls_total 3"), "{metrics}");
    }
    let [server, other] = servers;
    assert_eq!(other.stop(), Some(0));
    bad_objects(&publisher, &store, &server, &first);
    absence(&publisher, &mut store, &sites[0], server);
}

/// A damaged object and one that is not there leave the old generation serving.
fn bad_objects(publisher: &Site, store: &Store, server: &Server, serving: &str) {
    publisher.publish("popular", &popular(9), 3);
    let third = current(publisher, "popular");
    let mut bytes =
        std::fs::read(publisher.path(&format!("tables/popular/{third}.keylist"))).expect("a table");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    store.put(&format!("popular/{third}.keylist"), &bytes);
    store.put("popular/CURRENT", format!("{third}\n").as_bytes());
    fails(server, "corrupt");
    store.put("popular/CURRENT", b"20990101T000000Z-00000000\n");
    fails(server, "not found");
    let ready = server.client.get("/readyz");
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json()["degraded"][0]["pointer"], "/source/popular", "{}", ready.text);
    assert_eq!(server.client.get("/v1/tables/popular").json()["generation"], serving);
    assert_eq!(first_item(server), "i0");
    push(publisher, "popular", store, &["--again"]);
    serves(server, &third);
    assert_eq!(server.client.get("/readyz").json()["degraded"], Value::Null);
}

/// A store that is away changes nothing, and a server starts without it.
fn absence(publisher: &Site, store: &mut Store, site: &Site, server: Server) {
    store.kill();
    fails(&server, if matches!(store, Store::Folder(_)) { "No such file" } else { "refused" });
    assert_eq!(first_item(&server), "i9");
    assert_eq!(try_push(publisher, "popular", store, &[]).code, 1);
    no_keys(&server.said());
    server.kill();
    let server = start(site);
    fails(&server, "");
    assert_eq!(first_item(&server), "i9");
    let told = server.said().matches("the source of tables can't be read").count();
    assert!((1..=2).contains(&told), "told once, at most once more while starting:\n{}", server.said());
    store.revive();
    publisher.publish("popular", &popular(7), 4);
    for table in TABLES {
        push(publisher, table, store, &[]);
    }
    serves(&server, &current(publisher, "popular"));
    assert_eq!(first_item(&server), "i7");
    no_keys(&server.said());
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_folder_is_a_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store");
    std::fs::create_dir(&store).expect("a folder");
    contract(Store::Folder(store));
}

#[test]
fn s3_is_a_store() {
    match Store::s3(false) {
        Some(store) => contract(store),
        None => not_run("the S3-compatible server (scripts/s3-server)"),
    }
}

#[test]
fn keys_are_told_to_nobody_when_a_store_refuses_them() {
    let Some(store) = Store::s3(true) else { return not_run("the S3-compatible server (scripts/s3-server)") };
    let publisher = Site::new();
    let said = try_push(&publisher, "popular", &store, &[]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("access denied"), "{}", said.err);
    let site = follower(&store, None);
    for table in TABLES {
        std::fs::create_dir_all(site.path(&format!("tables/{table}"))).expect("a folder");
    }
    let debug = [&KEYS[..], &[("RUST_LOG", "debug")]].concat();
    let server = Server::start_with(&site.config(), &debug).wait_until("/openapi.json");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !server.client.get("/v1/tables/popular").text.contains("access denied") {
        assert!(std::time::Instant::now() < until, "{}", server.said());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(server.client.get("/readyz").status, 503);
    no_keys(&server.client.get("/v1/tables/popular").text);
    no_keys(&server.said());
}

#[test]
fn a_server_killed_while_it_pulls_leaves_a_folder_that_works() {
    let Some(store) = Store::s3(false) else {
        return not_run("the S3-compatible server (scripts/s3-server)");
    };
    let publisher = Site::new();
    for table in TABLES {
        push(&publisher, table, &store, &[]);
    }
    let site = follower(&store, None);
    start(&site).kill();
    // A table that is longer than what the network lets through.
    let lines = (0..40_000).fold(String::new(), |mut lines, n| {
        let _ = writeln!(lines, "k{},i{n},{}", n % 400, n % 60);
        lines
    });
    publisher.publish("popular", &format!("{}{lines}", popular(5)), 2);
    push(&publisher, "popular", &store, &[]);
    let config = std::fs::read_to_string(site.config()).expect("a configuration");
    let address = store.address().expect("a server");
    let slow = format!("http://{}", stalling(address, 60_000));
    site.write("weir.toml", &config.replace(&format!("http://{address}"), &slow));
    let server = start(&site);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while fetching(&site.path("tables/popular")) == 0 {
        assert!(std::time::Instant::now() < until, "nothing is fetched:\n{}", server.said());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(first_item(&server), "i0", "a pull that is stuck holds nobody up");
    server.kill();
    assert_eq!(fetching(&site.path("tables/popular")), 1, "half a file is left");
    must("weir", &["table", "verify", &site.text("tables/popular")]);
    site.write("weir.toml", &config);
    let server = start(&site);
    serves(&server, &current(&publisher, "popular"));
    assert_eq!((first_item(&server).as_str(), fetching(&site.path("tables/popular"))), ("i5", 0));
}

fn fetching(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "tmp")).count()
}
