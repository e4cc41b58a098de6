//! The connection to Redis: one server or a cluster, with TLS and passwords, bounded waits, and reconnecting by itself. Not for what is
//! said over it.
//!
//! **Invariant:** passwords appear in no error and no log; a place is named by hosts and ports.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, TlsCertificates,
    Value,
};
use tokio::runtime::Handle;

use super::cluster::Cluster;
use super::line::Line;

use crate::{Error, Result};

const LOGIN: &str = "; put user and password into the address: redis://user:password@host";

/// How Redis is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// `redis://[user:password@]host[:port][/db]`, with `rediss` for TLS: one, or some nodes of a cluster.
    pub urls: Vec<String>,
    /// Whether it is a cluster.
    pub cluster: bool,
    /// PEM file of the authorities that may sign its certificate, in place of the public ones.
    pub authorities: Option<PathBuf>,
    /// Longest wait for an answer; a call that has to connect first takes at most three times that. Above 0.
    pub timeout: Duration,
}

/// Without passwords.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts = self.urls.iter().map(|url| host(url)).collect::<Vec<_>>();
        f.debug_struct("Options")
            .field("hosts", &hosts)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// One server without TLS authorities of its own, and a time limit of a second.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let timeout = Duration::from_secs(1);
        Self { urls: vec![url.to_owned()], cluster: false, authorities: None, timeout }
    }

    /// Nodes of a cluster, and a time limit of a second.
    #[must_use]
    pub fn cluster(urls: &[String]) -> Self {
        let timeout = Duration::from_secs(1);
        Self { urls: urls.to_owned(), cluster: true, authorities: None, timeout }
    }

    /// Says what can't work without asking any server.
    ///
    /// # Errors
    /// Key of the configuration and what is expected there.
    pub fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        if self.urls.is_empty() {
            return Err(("url", "expected \"redis://host:port\" or a list of them, found none".to_owned()));
        }
        if self.urls.len() > 1 && !self.cluster {
            let detail = "more than one address is for a cluster: set cluster = true, or keep one of them";
            return Err(("url", detail.to_owned()));
        }
        for url in &self.urls {
            let info = parsed(url).map_err(|detail| ("url", detail))?;
            if self.cluster && info.redis_settings().db() != 0 {
                return Err(("url", format!("{}: a cluster has database 0 only", host(url))));
            }
            if self.authorities.is_some() && !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
                return Err(("ca", format!("only rediss:// uses it, and {} is redis://", host(url))));
            }
        }
        if self.timeout.is_zero() {
            return Err(("timeout", "expected a span above 0".to_owned()));
        }
        Ok(())
    }

    /// Hosts and ports, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        let hosts: Vec<String> = self.urls.iter().map(|url| host(url)).collect();
        format!("redis {}", hosts.join(", "))
    }
}

/// A connection that many callers share. Cloning is cheap. While Redis is away each call is an error within the time limit, and the first
/// one after it came back is answered.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    place: String,
    wire: Wire,
    /// Longest wait for a whole call.
    at_most: Duration,
    /// Connections live on this runtime, whoever asks.
    handle: Handle,
    /// Connections made so far.
    made: Arc<AtomicU64>,
    /// Over connections made after so many nothing is asked.
    since: Option<u64>,
}

#[derive(Clone)]
enum Wire {
    One(Line),
    Cluster(Arc<Cluster>),
}

/// A command, and a key by which a cluster finds the server it is for.
pub(crate) struct Ask {
    pub(crate) key: String,
    pub(crate) command: Cmd,
}

/// How a server is connected to, whichever it is.
#[derive(Clone)]
pub(super) struct Reach {
    certificates: Option<TlsCertificates>,
    timeout: Duration,
    /// Connections made so far, over which something is asked that is kept in Redis.
    made: Arc<AtomicU64>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("place", &self.inner.place).finish_non_exhaustive()
    }
}

impl Link {
    /// A connection whose work is done on a runtime, which must have I/O and time. Asks Redis nothing yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that make no sense, [`Error::Io`] for authorities that can't be read.
    pub fn open(options: &Options, handle: &Handle) -> Result<Self> {
        install_provider();
        let place = options.place();
        options.check().map_err(|(key, detail)| Error::invalid(format!("{place}: {key}"), detail))?;
        let certificates = match &options.authorities {
            Some(path) => {
                let pem = std::fs::read(path).map_err(Error::io(path))?;
                Some(TlsCertificates { client_tls: None, root_cert: Some(pem) })
            }
            None => None,
        };
        let wrong = |error: RedisError| Error::invalid(place.clone(), error.to_string());
        let made = Arc::<AtomicU64>::default();
        let reach = Reach { certificates, timeout: options.timeout, made: Arc::clone(&made) };
        let mut infos = Vec::new();
        for url in &options.urls {
            infos.push(settled(url.as_str().into_connection_info().map_err(wrong)?));
        }
        let wire = match infos.pop() {
            Some(info) if !options.cluster => Wire::One(reach.connect(info).map_err(wrong)?),
            last => Wire::Cluster(Arc::new(Cluster::new(infos.into_iter().chain(last).collect(), reach))),
        };
        let (at_most, handle) = (options.timeout * 3, handle.clone());
        Ok(Self { inner: Arc::new(Inner { place, wire, at_most, handle, made, since: None }) })
    }

    /// The same connection for a caller in a hurry: no call takes longer than this.
    #[must_use]
    pub fn within(&self, at_most: Duration) -> Self {
        Self { inner: Arc::new(Inner { at_most, ..(*self.inner).clone() }) }
    }

    /// How many connections were made so far. Where it is another number than before, Redis may have come back without what it had said: whoever
    /// believes it still looks again.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.inner.since.unwrap_or_else(|| self.inner.made.load(Ordering::Acquire))
    }

    /// The same over the connections that there are now, and none that is made later: then each call is an error. So what one Redis answers is
    /// told to no other that took its place. Connects first, where it can.
    pub async fn steady(&self) -> Self {
        let inner = Arc::clone(&self.inner);
        // Servers that are away are found so by who asks them.
        let _ = self
            .on_runtime(async move {
                match &inner.wire {
                    Wire::One(line) => drop(line.open().await),
                    Wire::Cluster(cluster) => cluster.open().await,
                }
            })
            .await;
        let since = Some(self.inner.made.load(Ordering::Acquire));
        Self { inner: Arc::new(Inner { since, ..(*self.inner).clone() }) }
    }

    /// Hosts and ports, for messages.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// Whether commands of one call may go to several servers.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self.inner.wire, Wire::Cluster(_))
    }

    /// Gives one command and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Store`] with what was said, or that nothing was said in time.
    pub(crate) async fn run(&self, ask: Ask) -> Result<Value> {
        self.run_all(vec![ask]).await.pop().unwrap_or_else(|| Ok(Value::Nil))
    }

    /// Gives commands together and waits for all answers, in order. In a cluster each goes to the server that has its key.
    ///
    /// # Errors
    /// Those of single commands stand in their place; where nothing was answered, the same one stands in all.
    pub(super) async fn run_all(&self, asks: Vec<Ask>) -> Vec<Result<Value>> {
        let answers = self.ask_all(asks).await;
        answers.into_iter().map(|answer| answer.map_err(|error| self.said(&error))).collect()
    }

    /// Whether Redis answers at all; of a cluster, whether one server does.
    ///
    /// # Errors
    /// [`Error::Store`] with what was said, or that nothing was said in time.
    pub async fn ping(&self) -> Result<()> {
        let mut command = redis::cmd("EXISTS");
        command.arg("weir");
        self.run(Ask { key: "weir".to_owned(), command }).await.map(drop)
    }

    pub(super) async fn ask_all(&self, asks: Vec<Ask>) -> Vec<std::result::Result<Value, RedisError>> {
        let count = asks.len();
        if count == 0 {
            return Vec::new();
        }
        let inner = Arc::clone(&self.inner);
        let answers = self.on_runtime(async move {
            match &inner.wire {
                Wire::One(line) => {
                    line.ask(asks.into_iter().map(|ask| ask.command).collect(), inner.since).await
                }
                Wire::Cluster(cluster) => cluster.ask_all(asks, inner.since).await,
            }
        });
        match answers.await {
            Ok(answers) => answers,
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }

    /// Starts work where the connections are.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.inner.handle.spawn(work)
    }

    /// Runs work where the connections are, under a time limit of the whole.
    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> std::result::Result<T, RedisError> {
        let at_most = self.inner.at_most;
        let work = self.inner.handle.spawn(async move { tokio::time::timeout(at_most, work).await });
        match work.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err((ErrorKind::Io, "no answer in time").into()),
            Err(_) => Err((ErrorKind::Io, "the connection's runtime has ended").into()),
        }
    }

    /// What Redis said, with where and how to mend it.
    pub(super) fn said(&self, error: &RedisError) -> Error {
        let mut detail = error.to_string();
        let hint = match error.code() {
            _ if error.kind() == ErrorKind::AuthenticationFailed => LOGIN,
            Some("NOAUTH" | "WRONGPASS") => LOGIN,
            Some("MOVED" | "ASK" | "CROSSSLOT") if !self.is_cluster() => {
                "; this is a cluster: set cluster = true"
            }
            Some("OOM") => "; raise its maxmemory, and keep maxmemory-policy noeviction",
            _ if detail.contains("cluster support disabled") => {
                "; this is no cluster: leave out cluster = true"
            }
            _ => "",
        };
        detail.push_str(hint);
        Error::Store { place: self.inner.place.clone(), detail }
    }
}

impl Reach {
    /// The way to a server; asks it nothing yet.
    pub(super) fn connect(&self, info: ConnectionInfo) -> std::result::Result<Line, RedisError> {
        let client = match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone())?,
            None => Client::open(info)?,
        };
        Ok(Line::new(client, self.timeout, Arc::clone(&self.made)))
    }

    /// The same for ways that are taken once, and are not counted.
    pub(super) fn aside(&self) -> Self {
        Self { made: Arc::default(), ..self.clone() }
    }
}

/// A peer that is gone without a word is noticed.
fn settled(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info.tcp_settings().clone();
    info.set_tcp_settings(settings.set_nodelay(true).set_user_timeout(Duration::from_secs(10)))
}

fn parsed(url: &str) -> std::result::Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|error| {
        let detail = error.detail().map_or_else(|| error.to_string(), |detail| format!("{error}: {detail}"));
        format!(
            "expected redis://[user:password@]host[:port][/db] or rediss://…, found {}: {detail}",
            host(url)
        )
    })?;
    match info.addr() {
        ConnectionAddr::Unix(_) => Err("expected redis:// or rediss://, found a socket".to_owned()),
        _ => Ok(info),
    }
}

/// Host and port of an address, which may not even be one, without user and password.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

/// Makes ring what TLS is done with, once for the program; the first provider stays, whoever chose it.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_refused_by_key() {
        let refused = |options: Options| options.check().unwrap_err();
        let two = ["redis://a:1".to_owned(), "redis://b:2".to_owned()];
        let (key, detail) = refused(Options { cluster: false, ..Options::cluster(&two) });
        assert!(key == "url" && detail.contains("cluster = true"), "{detail}");
        assert_eq!(refused(Options::cluster(&[])).0, "url");
        let (key, detail) = refused(Options::of("http://user:secret@host/1"));
        assert!(key == "url" && detail.contains("found host:") && !detail.contains("secret"), "{detail}");
        let (_, detail) = refused(Options::cluster(&["redis://host/3".to_owned()]));
        assert!(detail.contains("database 0"), "{detail}");
        let plain = Options { authorities: Some("ca.pem".into()), ..Options::of("redis://host") };
        assert_eq!(refused(plain).0, "ca");
        assert_eq!(refused(Options { timeout: Duration::ZERO, ..Options::of("redis://host") }).0, "timeout");
        assert_eq!(Options::of("rediss://u:p@host:7/1").check(), Ok(()));
        assert_eq!(Options::cluster(&two).check(), Ok(()));
    }

    #[test]
    fn passwords_are_shown_nowhere() {
        let options = Options::of("redis://user:se@cret@host:6379/0");
        assert_eq!(options.place(), "redis host:6379");
        assert!(!format!("{options:?}").contains("cret"));
    }
}
