//! Examples in the documentation are run. `docs/README.md` says how a block is marked.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tests::programs::{must, program};
use tests::server::Server;
use tests::site::{Site, catalogue};
use tests::tree::{files, read, root};

/// A fenced block of a page.
struct Block {
    page: PathBuf,
    line: usize,
    /// What follows the fence: `json recommend`.
    mark: String,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.page.display(), self.line)
    }
}

fn blocks(mark: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let pages = files("docs", "md").into_iter().chain(["README.md", "CONTRIBUTING.md"].map(PathBuf::from));
    for page in pages {
        let text = read(&page);
        let mut open: Option<Block> = None;
        for (n, line) in text.lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(mark)) => {
                    let (page, mark) = (page.clone(), mark.trim().to_owned());
                    open = Some(Block { page, line: n + 1, mark, text: String::new() });
                }
                (Some(_), Some(_)) => found.extend(open.take()),
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", page.display());
    }
    found.into_iter().filter(|block| block.mark == mark).collect()
}

/// A site whose catalogue has been described, so that rules in examples can name its attributes.
fn described() -> Site {
    let site = Site::new();
    site.publish("popular_lately", &tests::site::popular(5), 1);
    site.publish("hot", &tests::site::popular(7), 1);
    site.write("catalogue.ndjson", &catalogue().iter().map(|e| format!("{e}\n")).collect::<String>());
    must("weir", &["events", "load", &site.text("catalogue.ndjson"), "--config", &site.text("weir.toml")]);
    site
}

#[test]
fn configurations_load() {
    for block in blocks("toml weir.toml") {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("weir.toml");
        std::fs::write(&path, &block.text).expect("a file");
        // Secrets that an example takes from the environment.
        let environment = [("SHOP_KEY".to_owned(), "a secret of some length".to_owned())];
        if let Err(error) = data_layer::config::Config::load_with(&path, environment) {
            panic!("{}: {error}", block.place());
        }
    }
}

#[test]
fn scenes_and_experiments_check() {
    let site = described();
    for (mark, file) in [("toml scene", "scenes/home.toml"), ("toml experiment", "experiments/example.toml")]
    {
        for block in blocks(mark) {
            let was = std::fs::read_to_string(site.path(file)).ok();
            site.write(file, &block.text);
            let said = tests::programs::run("weir", &["check", "--config", &site.text("weir.toml")]);
            assert_eq!(said.code, 0, "{}: {}{}", block.place(), said.out, said.err);
            match was {
                Some(was) => site.write(file, &was),
                None => std::fs::remove_file(site.path(file)).expect("the file"),
            }
        }
    }
}

#[test]
fn requests_are_answered() {
    let site = described();
    let server = Server::start(&site.config());
    for block in blocks("json recommend") {
        let answer = server.client.post("/v1/recommend", &block.text);
        assert_eq!(answer.status, 200, "{}: {}", block.place(), answer.text);
    }
    for block in blocks("json events") {
        let answer = server.client.post("/v1/events", &block.text);
        assert_eq!(answer.status, 200, "{}: {}", block.place(), answer.text);
        assert_eq!(answer.json()["rejected"], Value::Array(Vec::new()), "{}: {}", block.place(), answer.text);
    }
    // `POST /path`, and the body below it.
    for block in blocks("http") {
        let (call, body) = block.text.split_once('\n').expect("a call and a body");
        let path = call.strip_prefix("POST ").unwrap_or_else(|| panic!("{}: expected POST", block.place()));
        let answer = server.client.post(path, body);
        assert_eq!(answer.status, 200, "{}: {}", block.place(), answer.text);
    }
}

#[test]
fn commands_run() {
    let site = described();
    let programs = program("weir");
    let folder = programs.parent().expect("a folder");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    for block in blocks("sh weir") {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &block.text])
            .current_dir(site.path(""))
            .env("PATH", &path)
            .output()
            .expect("bash runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{}: {}{}",
            block.place(),
            text(&output.stdout),
            text(&output.stderr)
        );
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in files("docs", "md")
        .into_iter()
        .chain(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from))
    {
        let text = read(&page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let here = root().join(&page);
            let there = here.parent().unwrap_or(&here).join(file);
            if !file.is_empty() && !target.contains("://") && !there.exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n  {}", broken.join("\n  "));
}

#[test]
fn every_page_is_in_the_index() {
    let index = read("docs/README.md");
    let missing: Vec<String> = files("docs", "md")
        .iter()
        .filter_map(|page| page.strip_prefix("docs").ok().map(|p| p.to_string_lossy().into_owned()))
        .filter(|page| page != "README.md" && !index.contains(&format!("({page}")))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name:\n  {}", missing.join("\n  "));
}
