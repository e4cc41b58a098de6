//! A local S3-compatible server as a process of its own on a free port, with one bucket, which it forgets where it is killed. It is installed by
//! `scripts/s3-server`, before the tests; they use no network. Not for what is kept there: `store.rs`, and tests of archives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the programs find in their environment. None of it may be seen anywhere.
pub const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAWEIRTESTSONLY"),
    ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests-only"),
    ("AWS_SESSION_TOKEN", "a-token-of-the-tests-only"),
];
/// Its bucket.
pub const BUCKET: &str = "weir-tests";

/// A running, or dead, S3-compatible server.
#[derive(Debug)]
pub struct S3 {
    program: PathBuf,
    address: SocketAddr,
    strict: bool,
    child: Option<Child>,
}

impl S3 {
    /// Starts one with an empty bucket; `None` where it is not installed. One that is `strict` lets nobody in.
    ///
    /// # Panics
    /// If it is installed and does not start within a minute.
    #[must_use]
    pub fn start(strict: bool) -> Option<Self> {
        let venv = std::env::var_os("WEIR_VENV").map(PathBuf::from);
        let venv =
            venv.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/weir/venv")))?;
        let program = venv.join("bin/moto_server");
        if !program.exists() {
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let mut server = Self { program, address, strict, child: None };
        server.revive();
        Some(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as an endpoint.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes an object behind everybody's back.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.say(&format!("{BUCKET}/{name}"), bytes);
    }

    /// Takes it away, with all that it held.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it at the same address, with an empty bucket.
    ///
    /// # Panics
    /// If it does not come within a minute.
    pub fn revive(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["-H", "127.0.0.1", "-p", &self.address.port().to_string()]);
        if self.strict {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "1");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("the S3-compatible server starts"));
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < until, "the S3-compatible server does not listen after a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.say(BUCKET, b"");
    }

    /// `PUT`s bytes.
    fn say(&self, path: &str, bytes: &[u8]) {
        // Any signature will do, one there must be.
        let signed = "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let (host, length) = (self.address, bytes.len());
        let head = format!(
            "PUT /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {signed}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.address).expect("the S3-compatible server");
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(bytes)).expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(answer.split(' ').nth(1), Some("200"), "PUT {path}: {answer}");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.kill();
    }
}
