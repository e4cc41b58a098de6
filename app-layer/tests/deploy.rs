//! "Copy it there" is a deployment: `weir serve` as a real process, and files that come into its folder of tables.

mod site;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_layer::publish::{Folder, Gate, Journal};
use serde_json::Value as Json;
use site::{NOW, Site, ranking};

struct Server {
    child: Child,
    url: String,
    log: PathBuf,
}

impl Server {
    fn start(site: &Site) -> Self {
        let log = site.path().join("server.log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .arg("serve")
            .arg("--config")
            .arg(site.path().join("weir.toml"))
            .env("WEIR__SERVER__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url =
            line.trim().strip_prefix("weir serves on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, url, log }
    }

    /// How many lines of the log say all of this.
    fn told(&self, parts: &[&str]) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    fn get(&self, path: &str) -> Json {
        let text =
            ureq::get(format!("{}{path}", self.url)).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until a path says what is wanted, and gives it back.
    fn wait(&self, path: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.get(path);
            if wanted(&found) {
                return found;
            }
            assert!(Instant::now() < until, "{path} still says {found}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A generation of a table, built on another machine: its name and its bytes.
fn elsewhere(table: &str, watermark: i64, items: usize) -> (String, Vec<u8>) {
    let other = Site::new();
    let name = other.publish(table, watermark, &[("all", ranking(items..2 * items))]);
    let path = other.path().join(format!("tables/{table}/{name}.keylist"));
    (name, std::fs::read(path).unwrap())
}

/// Puts a generation into a folder in one of the ways in which people do.
fn copy(site: &Site, table: &str, name: &str, bytes: &[u8], slowly: bool) {
    let folder = site.path().join("tables").join(table);
    std::fs::create_dir_all(&folder).unwrap();
    let place = folder.join(format!("{name}.keylist"));
    if !slowly {
        // As rsync and mv do.
        let aside = folder.join(format!(".{name}.keylist.Xy7aQe"));
        std::fs::write(&aside, bytes).unwrap();
        return std::fs::rename(aside, place).unwrap();
    }
    // As cp and scp do; slower than the server looks.
    let mut file = File::create(place).unwrap();
    for part in bytes.chunks(bytes.len().div_ceil(8)) {
        file.write_all(part).unwrap();
        std::thread::sleep(Duration::from_millis(150));
    }
}

fn site() -> Site {
    let site = Site::new();
    site.tables(60);
    site.write("scenes/home.toml", "scene = \"home\"\n[[recall]]\nkind = \"ranking\"\ntable = \"hot\"\n");
    site
}

const HOT: &str = "/v1/tables/hot";

#[test]
fn a_generation_that_is_copied_there_is_served_and_a_bad_one_is_named() {
    let site = site();
    let server = Server::start(&site);
    server.wait(HOT, |said| said["generation"].is_string());
    assert_eq!(server.get("/readyz")["degraded"], Json::Null, "all is well, so nothing is said");

    // Half of a copy is named, and left alone; the whole of it is served.
    let (name, bytes) = elsewhere("hot", NOW + 5_000, 60);
    let first = server.get(HOT)["generation"].clone();
    copy(&site, "hot", &name, &bytes[..bytes.len() / 2], true);
    let said = server.wait(HOT, |said| said["error"].is_string());
    let error = said["error"].as_str().unwrap();
    assert!(error.contains(&name) && error.contains("corrupt header at byte"), "{error}");
    assert_eq!(said["generation"], first);
    let ready = server.get("/readyz");
    assert_eq!(
        (&ready["ready"], &ready["degraded"][0]["pointer"]),
        (&Json::Bool(true), &Json::from("/tables/hot"))
    );
    copy(&site, "hot", &name, &bytes, true);
    let said = server.wait(HOT, |said| said["generation"] == *name);
    assert_eq!((&said["error"], &said["generations"][0]["current"]), (&Json::Null, &Json::Bool(true)));
    assert_eq!(server.get("/v1/tables/hot/all")["items"][0]["item"], "i60");
    assert_eq!(server.get("/readyz")["degraded"], Json::Null);
    assert_eq!(server.told(&["copied in, and not published", &name]), 1, "however often it was looked at");

    // A table that nobody knew of.
    let (fresh, bytes) = elsewhere("fresh", NOW, 10);
    copy(&site, "fresh", &fresh, &bytes, false);
    server.wait("/v1/tables", |said| {
        said["tables"].as_array().unwrap().iter().any(|t| t["name"] == "fresh" && t["generation"] == *fresh)
    });
}

#[test]
fn the_gate_holds_for_copies_and_a_rollback_stays() {
    let site = site();
    let server = Server::start(&site);
    let first = server.wait(HOT, |said| said["generation"].is_string())["generation"].clone();
    let (name, bytes) = elsewhere("hot", NOW + 5_000, 60);
    copy(&site, "hot", &name, &bytes, false);
    server.wait(HOT, |said| said["generation"] == *name);
    let (far, bytes) = elsewhere("hot", NOW + 9_000, 6);
    copy(&site, "hot", &far, &bytes, false);
    let said = server.wait(HOT, |said| said["error"].is_string());
    assert!(said["error"].as_str().unwrap().contains("least_length"), "{said}");
    let (old, bytes) = elsewhere("hot", NOW + 1_000, 60);
    copy(&site, "hot", &old, &bytes, false);

    let folder = Folder::of(&site.config(), "hot").unwrap();
    assert_eq!(folder.rollback().unwrap(), first.as_str().unwrap());
    server.wait(HOT, |said| said["generation"] == first);
    // What comes to another table afterwards is served, so the server has looked again since.
    for second in 1..=2 {
        let (other, bytes) = elsewhere("cold", NOW + second * 1_000, 10);
        copy(&site, "cold", &other, &bytes, false);
        server.wait("/v1/tables", |said| said.to_string().contains(&other));
    }
    assert_eq!(server.get(HOT)["generation"], first);
    assert_eq!(server.told(&["copied in, and not published", "not newer", &old]), 1);
    folder.publish(Some(&name), Gate::default()).unwrap();
    server.wait(HOT, |said| said["generation"] == *name);
    let story = Journal::story(folder.path()).unwrap();
    let by: Vec<&str> = story.entries.iter().filter(|e| e.names(&name)).map(|e| e.by.as_str()).collect();
    assert_eq!(by, ["watch", "command line"]);
}

#[test]
fn with_watch_off_a_copy_waits() {
    let site = site();
    site.write("weir.toml", "[tables]\nwatch = false\n");
    let server = Server::start(&site);
    let first = server.wait(HOT, |said| said["generation"].is_string())["generation"].clone();
    let (name, bytes) = elsewhere("hot", NOW + 5_000, 60);
    copy(&site, "hot", &name, &bytes, false);
    // A generation that is published is served, so the server has looked since.
    site.publish("cold", NOW, &[("all", ranking(0..10))]);
    server.wait("/v1/tables", |said| said.to_string().contains("cold"));
    assert_eq!(server.get(HOT)["generation"], first);
    Folder::of(&site.config(), "hot").unwrap().publish(Some(&name), Gate::default()).unwrap();
    server.wait(HOT, |said| said["generation"] == *name);
}
