//! What feeds a server, as processes. `weir events follow`: files are rotated by renaming and by copying and truncating, it is killed (-9) and started again,
//! and so is the server; every line counts once. `events send` and `events load` ask again where a server takes nothing just now.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_layer::tabular::{Cells, ColumnType, Writer};

/// Longest wait for a process to get somewhere; a limit for a test that fails, no measure.
const LIMIT: Duration = Duration::from_secs(120);

struct World {
    folder: tempfile::TempDir,
    url: Option<String>,
    written: usize,
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("logs")).unwrap();
        fs::create_dir_all(folder.path().join("scenes")).unwrap();
        fs::write(folder.path().join("weir.toml"), toml).unwrap();
        Self { folder, url: None, written: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn weir(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(args).current_dir(self.folder.path()).env("WEIR_CONFIG", self.path("weir.toml"));
        command
    }

    fn follow(&self, more: &[&str]) -> Command {
        let mut command = self.weir(&["events", "follow", "logs/*.ndjson", "--poll", "5"]);
        if let Some(url) = &self.url {
            command.args(["--url", url]);
        }
        command.args(more).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&self) -> Running {
        Running(self.follow(&[]).spawn().unwrap())
    }

    fn serve(&self) -> Running {
        let mut command = self.weir(&["serve"]);
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Everything that is there is taken when this is done.
    fn finish(&self) {
        let ended = self.follow(&["--once"]).status().unwrap();
        assert!(ended.success(), "{ended}");
    }

    fn write(&mut self, lines: usize) {
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.path("logs/app.ndjson")).unwrap();
        for n in self.written..self.written + lines {
            let line = format!(
                "{{\"type\":\"interaction\",\"id\":\"e{n}\",\"user\":\"u{}\",\"item\":\"i{n}\",\"action\":\"click\",\"time\":1770000000000}}\n",
                n % 7
            );
            file.write_all(line.as_bytes()).unwrap();
        }
        self.written += lines;
    }

    /// Waits until something was taken, so that a kill finds it at work.
    fn at_work(&self, before: Option<Vec<u8>>) {
        let start = Instant::now();
        while fs::read(self.path("weir-follow.json")).ok() == before {
            assert!(start.elapsed() < LIMIT, "nothing was taken");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn checkpoint(&self) -> Option<Vec<u8>> {
        fs::read(self.path("weir-follow.json")).ok()
    }

    /// Every line is in the log, once.
    fn check(&self) {
        let out = self.weir(&["events", "tail", "-n", "1000000"]).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let mut ids: Vec<usize> = text
            .lines()
            .filter_map(|line| {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                Some(record["event"]["id"].as_str()?[1..].parse().unwrap())
            })
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..self.written).collect::<Vec<_>>());
    }
}

fn truncate(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
}

#[test]
fn every_line_counts_once_through_rotation_and_kills() {
    let mut world = World::new("");
    let (log, mut round) = (world.path("logs/app.ndjson"), 0);
    for (by_copy, while_it_runs) in
        [(false, true), (true, true), (false, false), (true, false), (false, true)]
    {
        round += 1;
        let before = world.checkpoint();
        world.write(150);
        let follower = world.start();
        world.at_work(before);
        world.write(37);
        let follower = if while_it_runs {
            Some(follower)
        } else {
            follower.kill();
            None
        };
        let rotated = world.path(&format!("logs/app.{round}"));
        if by_copy {
            fs::copy(&log, rotated).unwrap();
            truncate(&log);
        } else {
            fs::rename(&log, rotated).unwrap();
        }
        let before = world.checkpoint();
        world.write(11);
        let follower = follower.unwrap_or_else(|| world.start());
        world.at_work(before);
        world.write(5);
        follower.kill();
        // What was rotated is read to its end before the next round, as it is by a program that runs.
        world.finish();
    }
    world.check();
}

#[test]
fn every_line_counts_once_although_the_server_is_killed() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut world = World::new(&format!("[server]\nlisten = \"127.0.0.1:{port}\"\n"));
    world.url = Some(format!("http://127.0.0.1:{port}"));
    // The server is not there yet: it is waited for.
    world.write(40);
    let follower = world.start();
    let mut server = world.serve();
    for _ in 0..4 {
        let before = world.checkpoint();
        world.write(300);
        world.at_work(before);
        world.write(50);
        server.kill();
        world.write(50);
        server = world.serve();
    }
    let before = world.checkpoint();
    world.write(3);
    world.at_work(before);
    follower.kill();
    world.finish();
    server.kill();
    world.check();
}

/// A server that gives these answers, one to each call, and then the calls: their first line and their body.
fn answering(answers: Vec<&'static str>) -> (String, std::thread::JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        let mut calls = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = said.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            calls.push((first.trim().to_owned(), String::from_utf8(body).unwrap()));
            stream.write_all(answer.as_bytes()).unwrap();
        }
        calls
    };
    (url, std::thread::spawn(serve))
}

const FULL: &str =
    "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull";
const AWAY: &str = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate";
const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 70\r\nConnection: close\r\n\r\n{\"accepted\":2,\"duplicates\":0,\"rejected\":[],\"position\":\"1.00000000.2\" }";
const WRONG: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\nConnection: close\r\n\r\nkey";

#[test]
fn what_a_server_can_t_take_just_now_is_sent_again() {
    assert_eq!(TAKEN.split_once("\r\n\r\n").unwrap().1.len(), 70);
    let world = World::new("");
    let lines = "{\"type\":\"x\"}\n{\"type\":\"y\"}\n";
    fs::write(world.path("old.ndjson"), lines).unwrap();
    // A connection that breaks off without an answer is tried again as well.
    let (url, calls) = answering(vec![FULL, AWAY, "", TAKEN]);
    let sent =
        world.weir(&["events", "send", "old.ndjson", "--url", &url, "--format", "json"]).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(said, serde_json::json!({"accepted": 2, "duplicates": 0, "rejected": 0, "retries": 3}));
    let calls = calls.join().unwrap();
    assert!(
        calls.iter().all(|(first, body)| first == "POST /v1/events HTTP/1.1" && body == lines),
        "{calls:?}"
    );

    let (url, calls) = answering(vec![FULL, TAKEN]);
    let args = ["events", "load", "--backfill", "old.ndjson", "--url", &url];
    let sent = world.weir(&args).output().unwrap();
    let said = String::from_utf8(sent.stdout).unwrap();
    assert_eq!(said, "2 accepted, 0 duplicates, 0 rejected; asked again 1 times\n");
    assert!(calls.join().unwrap().iter().all(|(first, _)| first == "POST /v1/events?lane=backfill HTTP/1.1"));

    // What will never be taken ends at once; patience ends, too.
    for (answer, patience, wanted) in [(WRONG, "300", "401: key"), (FULL, "0", "429: full; tried for 0 s")] {
        let (url, calls) = answering(vec![answer]);
        let args = ["events", "send", "old.ndjson", "--url", &url, "--patience", patience];
        let sent = world.weir(&args).output().unwrap();
        let said = String::from_utf8(sent.stderr).unwrap();
        assert!(!sent.status.success() && said.contains(wanted), "{said}");
        calls.join().unwrap();
    }
}

fn rows(path: &Path, columns: &[(&str, ColumnType)], cells: &[Cells<'_>]) {
    let mut writer = Writer::create(path, columns).unwrap();
    writer.write(cells).unwrap();
    writer.finish().unwrap();
}

#[test]
fn the_past_is_sent_in_order_of_time_and_rows_as_events() {
    let world = World::new("");
    let line = |time: i64| {
        format!(r#"{{"type":"interaction","user":"u","item":"i","action":"view","time":{time}}}"#)
    };
    fs::write(world.path("old.ndjson"), format!("{}\n\n{}\n{{\"type\":\"load\"}}\n", line(30), line(10)))
        .unwrap();
    let columns = [("user", ColumnType::Text), ("item", ColumnType::Text), ("time", ColumnType::Int)];
    rows(
        &world.path("clicks.parquet"),
        &columns,
        &[Cells::Text(&["v", "v"]), Cells::Text(&["i", "j"]), Cells::Int(&[40, 20])],
    );
    let columns = [("item", ColumnType::Text), ("time", ColumnType::Int), ("price", ColumnType::Float)];
    rows(
        &world.path("items.parquet"),
        &columns,
        &[Cells::Text(&["i"]), Cells::Int(&[50]), Cells::Float(&[2.5])],
    );
    let (url, calls) = answering(vec![TAKEN, TAKEN]);
    let args =
        ["events", "load", "--backfill", "items.parquet", "old.ndjson", "clicks.parquet", "--url", &url];
    let sent = world.weir(&args).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let bodies: Vec<Vec<serde_json::Value>> = calls
        .join()
        .unwrap()
        .iter()
        .map(|(_, body)| body.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
        .collect();
    let item = serde_json::json!({"type": "item", "id": "i", "time": 50, "attributes": {"price": 2.5}});
    assert_eq!(bodies[0], [item]);
    let row = |item: &str, time: i64| serde_json::json!({"type": "interaction", "user": "v", "item": item, "action": "click", "value": 1.0, "time": time});
    let line = |time| serde_json::from_str::<serde_json::Value>(&line(time)).unwrap();
    // A line without a time stays behind the one before it.
    let load = serde_json::json!({"type": "load"});
    assert_eq!(bodies[1], [line(10), load, row("j", 20), line(30), row("i", 40)]);
}
