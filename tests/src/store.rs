//! A store to push tables to and pull them from: a folder, or a local S3-compatible server as a process of its own on a free port.
//! It can be damaged, killed and started again. The server is installed by `scripts/s3-server`, before the tests; they use no network.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;

/// What the programs find in their environment. None of it may be seen anywhere.
pub const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAWEIRTESTSONLY"),
    ("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests-only"),
    ("AWS_SESSION_TOKEN", "a-token-of-the-tests-only"),
];
/// Bucket of the S3-compatible server.
const BUCKET: &str = "weir-tests";

/// A store.
#[derive(Debug)]
pub enum Store {
    /// A folder.
    Folder(PathBuf),
    /// A server.
    S3(S3),
}

/// A running, or dead, S3-compatible server.
#[derive(Debug)]
pub struct S3 {
    program: PathBuf,
    address: SocketAddr,
    strict: bool,
    child: Option<Child>,
}

impl Store {
    /// A local S3-compatible server with an empty bucket; `None` where it is not installed. One that is `strict` lets nobody in.
    ///
    /// # Panics
    /// If it is installed and does not start within a minute.
    #[must_use]
    pub fn s3(strict: bool) -> Option<Self> {
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
        let mut store = Self::S3(S3 { program, address, strict, child: None });
        store.revive();
        Some(store)
    }

    /// Its address, as in `[tables] source`.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Folder(path) => format!("file://{}", path.display()),
            Self::S3(_) => format!("s3://{BUCKET}/some/prefix"),
        }
    }

    /// How it is spoken to, as in `[tables.store]`; `endpoint` in place of its own.
    #[must_use]
    pub fn options(&self, endpoint: Option<&str>) -> String {
        match self {
            Self::Folder(_) => String::new(),
            Self::S3(s3) => {
                let endpoint = endpoint.map_or_else(|| s3.endpoint(), str::to_owned);
                format!(
                    "[tables.store]\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\nallow_http = true\n"
                )
            }
        }
    }

    /// The same for `weir table push`.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        match self {
            Self::Folder(_) => Vec::new(),
            Self::S3(s3) => ["--endpoint", &s3.endpoint(), "--region", "us-east-1", "--allow-http"]
                .map(str::to_owned)
                .into(),
        }
    }

    /// Where the server listens; `None` for a folder.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Folder(_) => None,
            Self::S3(s3) => Some(s3.address),
        }
    }

    /// Writes an object behind everybody's back.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        match self {
            Self::Folder(path) => {
                let path = path.join(name);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                std::fs::write(path, bytes).expect("an object");
            }
            Self::S3(s3) => {
                let url = format!("{}/{BUCKET}/some/prefix/{name}", s3.endpoint());
                // Any signature will do, one there must be.
                let signed = "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
                ureq::put(url).header("authorization", signed).send(bytes).expect("an object");
            }
        }
    }

    /// Takes it away, as a crash or a lost mount does. What a server held is lost, what a folder held is not.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn kill(&mut self) {
        match self {
            Self::Folder(path) => std::fs::rename(&*path, path.with_extension("away")).expect("a folder"),
            Self::S3(s3) => s3.end(),
        }
    }

    /// Brings it back at the same address.
    ///
    /// # Panics
    /// If it does not come within a minute.
    pub fn revive(&mut self) {
        match self {
            Self::Folder(path) => std::fs::rename(path.with_extension("away"), path).expect("a folder"),
            Self::S3(s3) => s3.start(),
        }
    }
}

impl S3 {
    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn start(&mut self) {
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
        ureq::put(format!("{}/{BUCKET}", self.endpoint())).send_empty().expect("a bucket");
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.end();
    }
}

/// An address that hands bytes on to a server, and after so many of its answers' bytes nothing any more, as a network may.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn stalling(to: SocketAddr, after: usize) -> SocketAddr {
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let passed = Arc::new(AtomicUsize::new(0));
    let hand_on = move |mut from: TcpStream, mut to: TcpStream, passed: Option<Arc<AtomicUsize>>| {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if passed.as_ref().is_some_and(|passed| passed.fetch_add(count, Ordering::Relaxed) > after) {
                // The connection stays open, and nothing comes.
                std::thread::sleep(Duration::from_secs(600));
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(to) else { continue };
            let (Ok(up), Ok(down)) = (client.try_clone(), server.try_clone()) else { continue };
            let passed = Arc::clone(&passed);
            std::thread::spawn(move || hand_on(up, server, None));
            std::thread::spawn(move || hand_on(down, client, Some(passed)));
        }
    });
    address
}

/// Asks a server about a table until `wanted` holds of the answer.
///
/// # Panics
/// If a minute passes.
pub fn wait_for(client: &Client, table: &str, wanted: impl Fn(&serde_json::Value) -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.get(&format!("/v1/tables/{table}"));
        if answer.status == 200 && wanted(&answer.json()) {
            return;
        }
        assert!(Instant::now() < until, "after a minute: {} {}", answer.status, answer.text);
        std::thread::sleep(Duration::from_millis(50));
    }
}
