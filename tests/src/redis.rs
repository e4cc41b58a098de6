//! Redis for tests: `redis-server` as processes of their own on free ports of this machine, alone or three that form a cluster. They
//! can be killed, started again, stopped and continued, and end with the test. Tests of another crate take this file in by its path.
//! Not for talking to Redis as Weir does: that is what is tested.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Password of servers that ask for one.
pub const PASSWORD: &str = "a-password-of-the-tests-only";

/// How a server is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kind {
    /// Lets nobody in who does not say [`PASSWORD`].
    pub password: bool,
    /// Speaks TLS only, with a certificate that [`Redis::authority`] signed.
    pub tls: bool,
    /// Forgets everything when it is killed.
    pub forgets: bool,
}

/// A running, killed or stopped server.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    port: u16,
    /// Port of the cluster's own bus.
    bus: Option<u16>,
    kind: Kind,
    child: Option<Child>,
}

/// Three masters without replicas.
#[derive(Debug)]
pub struct Cluster {
    /// Its nodes.
    pub nodes: Vec<Redis>,
}

impl Redis {
    /// A server that keeps what it is told; `None` where `redis-server` is not installed.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::of(Kind::default())
    }

    /// A server of a kind; `None` where `redis-server`, or `openssl` that TLS needs, is not installed.
    ///
    /// # Panics
    /// If it is installed and does not answer within a minute.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Self> {
        let mut server = Self::prepared(kind, false)?;
        server.revive();
        Some(server)
    }

    fn prepared(kind: Kind, cluster: bool) -> Option<Self> {
        if !exists("redis-server") || kind.tls && !exists("openssl") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let server = Self { folder, port: free_port(), bus: cluster.then(free_port), kind, child: None };
        if kind.tls {
            server.certify();
        }
        Some(server)
    }

    /// Its address, with the password where it asks for one.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.kind.tls { "rediss" } else { "redis" };
        let password = if self.kind.password { format!(":{PASSWORD}@") } else { String::new() };
        format!("{scheme}://{password}127.0.0.1:{}", self.port)
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// PEM of the authority that signed its certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Says something in a line and gives what is answered: an error, a number, a text, or the texts of a list, one a line.
    ///
    /// # Panics
    /// If nothing is answered, or the server speaks TLS.
    #[must_use]
    pub fn say(&self, line: &str) -> String {
        assert!(!self.kind.tls, "this speaks no TLS");
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        let mut stream = std::io::BufReader::new(stream);
        if self.kind.password {
            stream.get_mut().write_all(format!("AUTH {PASSWORD}\r\n").as_bytes()).expect("a line");
            assert_eq!(answer(&mut stream), "OK");
        }
        stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).expect("a line");
        answer(&mut stream)
    }

    /// Kills it, as a crash does. What it had not written to its file yet is lost.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, at its old address and on its old files.
    ///
    /// # Panics
    /// If it does not answer within a minute.
    pub fn revive(&mut self) {
        let mut command = Command::new("redis-server");
        command.current_dir(self.folder.path()).args(["--bind", "127.0.0.1", "--save", ""]);
        let port = self.port.to_string();
        if self.kind.tls {
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            command.args(["--tls-cert-file", "server.pem", "--tls-key-file", "server.key"]);
            command.args(["--tls-ca-cert-file", "ca.pem"]);
        } else {
            command.args(["--port", &port]);
        }
        if !self.kind.forgets {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        if self.kind.password {
            command.args(["--requirepass", PASSWORD]);
        }
        if let Some(bus) = self.bus {
            command.args(["--cluster-enabled", "yes", "--cluster-port", &bus.to_string()]);
            command.args(["--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server starts"));
        let until = Instant::now() + Duration::from_secs(60);
        while !self.answers() {
            assert!(Instant::now() < until, "redis-server does not answer after a minute");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops its process without ending it: connections stay, and nothing answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("a running server");
        let done = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill {signal} {}", child.id());
    }

    /// Whether it answers and has read its file.
    fn answers(&self) -> bool {
        if self.kind.tls {
            return TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        }
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut bytes = [0; 7];
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let read = stream.write_all(b"PING\r\n").and_then(|()| stream.read_exact(&mut bytes));
        read.is_ok() && [b"+PONG\r\n", b"-NOAUTH"].contains(&&bytes)
    }

    fn certify(&self) {
        let alternative = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        std::fs::write(self.folder.path().join("names"), alternative).expect("a file");
        let new_key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for line in [
            format!("{new_key} -x509 -days 2 -subj /CN=tests-authority -keyout ca.key -out ca.pem"),
            format!("{new_key} -subj /CN=localhost -keyout server.key -out server.csr"),
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem"
                .to_owned(),
        ] {
            let made = Command::new("openssl").current_dir(self.folder.path()).args(line.split(' ')).output();
            let made = made.expect("openssl runs");
            assert!(made.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&made.stderr));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    /// Three servers that share the slots; `None` where `redis-server` is not installed.
    ///
    /// # Panics
    /// If they do not agree within a minute.
    #[must_use]
    pub fn start() -> Option<Self> {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let mut node = Redis::prepared(Kind::default(), true)?;
            node.revive();
            nodes.push(node);
        }
        let cluster = Self { nodes };
        for (number, node) in (1..).zip(&cluster.nodes) {
            let (from, to) = ((number - 1) * 16384 / 3, number * 16384 / 3 - 1);
            assert_eq!(node.say(&format!("CLUSTER SET-CONFIG-EPOCH {number}")), "OK");
            assert_eq!(node.say(&format!("CLUSTER ADDSLOTSRANGE {from} {to}")), "OK");
        }
        for node in &cluster.nodes[1..] {
            let bus = node.bus.expect("the port of its bus");
            assert_eq!(cluster.nodes[0].say(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port)), "OK");
        }
        cluster.wait();
        Some(cluster)
    }

    /// Their addresses.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// Waits until every node that runs says that all is well.
    ///
    /// # Panics
    /// If a minute passes.
    pub fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        let well = |node: &Redis| {
            let info = node.say("CLUSTER INFO");
            info.contains("cluster_state:ok")
                && info.contains("cluster_known_nodes:3")
                && info.contains("cluster_slots_ok:16384")
        };
        while !self.nodes.iter().filter(|node| node.child.is_some()).all(well) {
            assert!(Instant::now() < until, "the cluster is not well after a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn exists(program: &str) -> bool {
    let mut run = Command::new(program);
    run.arg(if program == "openssl" { "version" } else { "--version" });
    run_quietly(&mut run)
}

fn run_quietly(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// A free port that no client's end of a connection gets by chance: a killed server has to get its own again.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let seed = std::process::id().wrapping_mul(7919);
    loop {
        let port = 20_000 + (seed.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Reads one answer.
fn answer(from: &mut std::io::BufReader<TcpStream>) -> String {
    let mut line = String::new();
    std::io::BufRead::read_line(from, &mut line).expect("an answer");
    let (kind, rest) = line.trim_end().split_at(1);
    let count = || rest.parse::<i64>().unwrap_or(-1);
    match kind {
        "$" if count() >= 0 => {
            let mut bytes = vec![0; count() as usize + 2];
            from.read_exact(&mut bytes).expect("a text");
            bytes.truncate(bytes.len() - 2);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        "*" => (0..count()).map(|_| answer(from)).collect::<Vec<_>>().join("\n"),
        "$" => String::new(),
        _ => rest.to_owned(),
    }
}
