//! `weir serve` as a real process on a free port. It is ended when dropped; it can also be killed without a word.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::programs::program;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Speaks to it.
    pub client: Client,
    log: PathBuf,
}

impl Server {
    /// Starts a server on a configuration and waits until it is ready.
    ///
    /// # Panics
    /// If it ends, or is not ready within a minute.
    #[must_use]
    pub fn start(config: &Path) -> Self {
        let server = Self::start_only(config);
        server.wait_until("/readyz")
    }

    /// Starts a server on a configuration and does not wait.
    ///
    /// # Panics
    /// If the program can't be started.
    #[must_use]
    pub fn start_only(config: &Path) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with variables in its environment.
    ///
    /// # Panics
    /// If the program can't be started.
    #[must_use]
    pub fn start_with(config: &Path, environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let log = config.with_extension(format!("{port}.log"));
        let file = File::create(&log).expect("a file for what the server says");
        let child = Command::new(program("weir"))
            .args(["serve", "--config"])
            .arg(config)
            .env("WEIR__SERVER__LISTEN", format!("127.0.0.1:{port}"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("weir starts");
        Self { child, client: Client::new(format!("http://127.0.0.1:{port}")), log }
    }

    /// Waits for a 200 of `path`.
    ///
    /// # Panics
    /// If the server ends, or a minute passes.
    #[must_use]
    pub fn wait_until(mut self, path: &str) -> Self {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended with {status}:\n{}", self.said());
            }
            if self.client.get(path).status == 200 {
                return self;
            }
            assert!(Instant::now() < until, "{path} is not 200 after a minute:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// What it wrote to standard output and error.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    /// If the operating system refuses.
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        let _ = self.child.wait();
    }

    /// Stops its process without ending it: connections stay, and nothing answers.
    ///
    /// # Panics
    /// If the operating system refuses.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If the operating system refuses.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let done = Command::new("kill").args([signal, &id]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill {signal} {id}");
    }

    /// Asks it to end, as Ctrl-C does, and gives back its exit code.
    ///
    /// # Panics
    /// If it does not end within 30 seconds.
    pub fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for it to end by itself, and gives back its exit code.
    ///
    /// # Panics
    /// If it does not within 30 seconds.
    pub fn end(mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            assert!(Instant::now() < until, "it still runs:\n{}", self.said());
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

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}
