//! `scripts/demo` from end to end, small: a simulated public, twice, and slices of real data. The programs are the test's own build.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::client::Client;
use tests::programs::program;
use tests::server::Server;
use tests::tree::root;

/// A demo that serves.
struct Demo {
    child: Child,
    folder: tempfile::TempDir,
    client: Client,
    said: String,
    /// Kept open: the script still has something to say.
    _out: BufReader<ChildStdout>,
}

impl Demo {
    /// Runs the demo until it serves.
    fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let programs = program("weir").parent().map(Path::to_owned).expect("a folder");
        let mut child = Command::new(root().join("scripts/demo"))
            .env("WEIR_PROGRAMS", programs)
            .env("DEMO", folder.path().join("demo"))
            .env("PORT", port.to_string())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join("errors")).expect("a file"))
            .spawn()
            .expect("bash runs");
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        while out.read_line(&mut said).is_ok_and(|n| n > 0) {
            if said.trim_end().ends_with("Ctrl-C ends it.") {
                let client = Client::new(format!("http://127.0.0.1:{port}"));
                return Self { child, folder, client, said, _out: out };
            }
        }
        let errors = fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
        let _ = child.wait();
        panic!("the demo ended before it served:\n{said}\n{errors}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("demo").join(name)
    }

    /// Recall@20 of the line that starts with `name`.
    fn recall(&self, name: &str) -> f64 {
        let line = self
            .said
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("no {name} in\n{}", self.said));
        let figures = line[16..].split_whitespace().next().unwrap_or_default();
        figures.parse().unwrap_or_else(|_| panic!("no figure in {line:?}"))
    }

    /// Asks it to end, as Ctrl-C does; its server must be gone then.
    fn stop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let until = Instant::now() + Duration::from_secs(30);
        while !matches!(self.child.try_wait(), Ok(Some(_))) {
            assert!(Instant::now() < until, "the demo does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(self.client.get("/healthz").status, 0, "its server is gone with it");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

const SMALL: [(&str, &str); 4] = [("USERS", "400"), ("ITEMS", "200"), ("DAYS", "12"), ("SEED", "3")];

/// The first recommendation, a click, the changed one: what the demo invites to try.
fn try_the_three_commands(demo: &Demo) {
    let ask = |more: Value| {
        let mut request = json!({"scene": "home", "user": "you", "size": 5});
        for (key, value) in more.as_object().expect("an object") {
            request[key] = value.clone();
        }
        demo.client.recommend(request)
    };
    let before = ask(json!({"explain": true})).ids();
    assert_eq!(before.len(), 5);
    let item = demo.said.lines().find_map(|l| l.split("# they click on ").nth(1)).expect("an item to click");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis()
            as i64;
    let position = demo
        .client
        .send(&[json!({"type": "interaction", "user": "you", "item": item, "action": "click", "time": now})]);
    let after = ask(json!({"min_position": position})).ids();
    assert_ne!(before, after, "one click changes the next answer");
    assert!(!after.contains(&item.to_owned()));
}

fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(next) = todo.pop() {
        for path in fs::read_dir(&next).into_iter().flatten().filter_map(|e| e.ok().map(|e| e.path())) {
            if path.is_dir() {
                todo.push(path);
            } else {
                let mut bytes = fs::read(&path).expect("readable");
                if path.file_name().is_some_and(|name| name == "journal.ndjson") {
                    bytes = without_times(&bytes);
                }
                found.push((path.strip_prefix(folder).unwrap_or(&path).to_owned(), bytes));
            }
        }
    }
    found.sort();
    found
}

/// A journal says when something was done; all else in it is the same each time.
fn without_times(journal: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in journal.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let mut entry: Value = serde_json::from_slice(line).expect("a line of JSON");
        let time = entry.as_object_mut().and_then(|entry| entry.remove("time"));
        assert!(time.is_some(), "no time in {entry}");
        lines.extend_from_slice(entry.to_string().as_bytes());
    }
    lines
}

#[test]
fn a_simulated_public_twice_gives_the_same_bytes_and_can_be_moved() {
    let quiet: Vec<(&str, &str)> = SMALL.into_iter().chain([("AUDIENCE", "0")]).collect();
    let mut demo = Demo::start(&quiet);
    try_the_three_commands(&demo);
    assert!(demo.recall("full_flow") > demo.recall("popular "), "{}", demo.said);
    demo.stop();

    let mut again = Demo::start(&quiet);
    again.stop();
    for part in ["tables", "models"] {
        let (first, second) = (files_below(&demo.path(part)), files_below(&again.path(part)));
        assert!(!first.is_empty(), "{part} holds something");
        let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&first), names(&second));
        for ((path, one), (_, two)) in first.iter().zip(&second) {
            assert!(one == two, "{} differs between two runs with one seed", path.display());
        }
    }
    for file in ["work/full_flow.parquet", "work/item_cf.parquet", "work/held-out.txt"] {
        assert!(
            fs::read(demo.path(file)).ok() == fs::read(again.path(file)).ok(),
            "{file} differs between two runs"
        );
    }

    // Moved elsewhere, it serves as it was left.
    let moved = demo.folder.path().join("moved");
    fs::rename(demo.path(""), &moved).expect("the folder can be moved");
    let server = Server::start(&moved.join("weir.toml"));
    let you = server.client.get("/v1/users/you").json();
    assert_eq!(you["recent"].as_array().map(Vec::len), Some(1), "the click is still known: {you}");
    let answer = server.client.recommend(json!({"scene": "home", "user": "you", "size": 5}));
    assert_eq!(answer.ids().len(), 5);
}

#[test]
fn the_audience_acts_on_what_is_served() {
    let demo = Demo::start(&SMALL);
    let until = Instant::now() + Duration::from_secs(60);
    let clicks = || -> f64 {
        let metrics = demo.client.get("/metrics").text;
        let lines = metrics.lines().filter(|l| l.contains("impression") && !l.starts_with('#'));
        lines.filter_map(|l| l.rsplit(' ').next().and_then(|v| v.parse::<f64>().ok())).sum()
    };
    while clicks() < 3.0 {
        assert!(Instant::now() < until, "nobody acts:\n{}", demo.client.get("/metrics").text);
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A folder of the data beside the project, or `None` with a message where it is not there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Copies the lines of a RecBole file that `keep` takes, and its header.
fn slice(from: &Path, to: &Path, keep: impl Fn(usize, &str) -> bool) {
    let text = fs::read_to_string(from).expect("a data file");
    let kept = text.lines().enumerate().filter(|(n, line)| *n == 0 || keep(*n, line));
    fs::write(to, kept.map(|(_, line)| format!("{line}\n")).collect::<String>()).expect("a file");
}

#[test]
fn real_ratings_with_times_run_through_the_same_commands() {
    let Some(data) = shared("movietweetings-100k") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let name = "movietweetings-100k";
    let part = |name: &str| folder.path().join(name);
    slice(&data.join(format!("{name}.inter")), &part("a.inter"), |n, _| n < 12_000);
    slice(&data.join(format!("{name}.item")), &part("a.item"), |_, _| true);
    let demo = Demo::start(&[("DATA", &folder.path().to_string_lossy())]);
    try_the_three_commands(&demo);
    assert!(demo.recall("full_flow") > 0.0, "{}", demo.said);
}

#[test]
fn a_given_split_without_times_runs_through_the_same_commands() {
    let Some(data) = shared("gowalla") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let few = |_: usize, line: &str| {
        line.split('\t').next().and_then(|u| u.parse::<u32>().ok()).is_some_and(|u| u < 150)
    };
    for name in ["train.inter", "test.inter"] {
        slice(&data.join(name), &folder.path().join(name), few);
    }
    let demo = Demo::start(&[("DATA", &folder.path().to_string_lossy())]);
    try_the_three_commands(&demo);
    assert!(demo.recall("full_flow") > 0.0, "{}", demo.said);
}

#[test]
fn what_can_not_work_is_said_at_once() {
    let programs = program("weir").parent().map(Path::to_owned).expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let cases = [
        (vec![("PORT", "eighty")], "PORT=eighty"),
        (vec![("SEED", "-1")], "SEED=-1"),
        (vec![("DATA", "/no/such/folder")], "/no/such/folder"),
        (vec![("PORT", port.as_str())], "taken"),
    ];
    for (settings, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port()
            .to_string();
        let output = Command::new(root().join("scripts/demo"))
            .env("WEIR_PROGRAMS", &programs)
            .env("DEMO", folder.path().join("demo"))
            .env("PORT", free)
            .envs(settings)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(expected), "expected {expected} in: {error}");
    }
}
