//! A store to push tables to and pull them from: a folder, or a local S3-compatible server as a process of its own on a free port.
//! It can be damaged, killed and started again. The server is installed by `scripts/s3-server`, before the tests; they use no network.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::s3::{BUCKET, S3};

pub use crate::s3::KEYS;

/// What stands before the names of objects in the bucket.
const PREFIX: &str = "some/prefix";

/// A store.
#[derive(Debug)]
pub enum Store {
    /// A folder.
    Folder(PathBuf),
    /// A server.
    S3(S3),
}

impl Store {
    /// A local S3-compatible server with an empty bucket; `None` where it is not installed. One that is `strict` lets nobody in.
    ///
    /// # Panics
    /// If it is installed and does not start within a minute.
    #[must_use]
    pub fn s3(strict: bool) -> Option<Self> {
        S3::start(strict).map(Self::S3)
    }

    /// Its address, as in `[tables] source`.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Folder(path) => format!("file://{}", path.display()),
            Self::S3(_) => format!("s3://{BUCKET}/{PREFIX}"),
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
            Self::S3(s3) => Some(s3.address()),
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
            Self::S3(s3) => s3.put(&format!("{PREFIX}/{name}"), bytes),
        }
    }

    /// Takes it away, as a crash or a lost mount does. What a server held is lost, what a folder held is not.
    ///
    /// # Panics
    /// If that is not possible.
    pub fn kill(&mut self) {
        match self {
            Self::Folder(path) => std::fs::rename(&*path, path.with_extension("away")).expect("a folder"),
            Self::S3(s3) => s3.kill(),
        }
    }

    /// Brings it back at the same address.
    ///
    /// # Panics
    /// If it does not come within a minute.
    pub fn revive(&mut self) {
        match self {
            Self::Folder(path) => std::fs::rename(path.with_extension("away"), path).expect("a folder"),
            Self::S3(s3) => s3.revive(),
        }
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
