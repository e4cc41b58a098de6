//! `[server]`: where it listens, how large a body may be, and who may call it with which rights. Not for checking a caller's key:
//! that is the app layer's.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

use super::size::parse as parse_size;
use crate::{Error, Result};

/// Largest body where none is configured: 16 MiB.
const BODY_LIMIT: usize = 16 << 20;

/// `[server]`: where it listens and who may call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Address and port; loopback only where there are no keys.
    pub listen: SocketAddr,
    /// Worker threads; 0 is one per core.
    pub workers: usize,
    /// Largest body of a request in bytes, after decompression.
    pub body_limit: usize,
    /// Memory for events that are under way, from the first byte of a body until the log has them.
    pub event_memory: usize,
    /// API keys; empty: every call has every right, on loopback.
    pub keys: Vec<ApiKey>,
}

/// One API key.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// For logs; the secret never appears in one.
    pub name: String,
    /// What the caller presents.
    pub secret: Secret,
    /// What it allows.
    pub rights: Vec<Right>,
}

/// A string that does not print itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Recommendations and other reads.
    Read,
    /// Items, users, pools, schema.
    Write,
    /// `POST /v1/events` only.
    Ingest,
    /// `explain`, forced buckets, seed and time.
    Debug,
    /// Publish and roll back.
    Admin,
}

impl Secret {
    /// Hides a string.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The string itself, to compare in constant time.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    listen: Option<String>,
    workers: Option<usize>,
    body_limit: Option<usize>,
    event_memory: Option<String>,
    #[serde(default)]
    keys: Vec<RawKey>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    name: String,
    secret: Option<String>,
    secret_env: Option<String>,
    rights: Vec<Right>,
}

impl RawServer {
    pub(super) fn check(
        self,
        wrong: &dyn Fn(&str, String) -> Error,
        environment: &[(String, String)],
    ) -> Result<Server> {
        let text = self.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        let listen = address(&text).map_err(|detail| wrong("server.listen", detail))?;
        if self.keys.is_empty() && !listen.ip().is_loopback() {
            let detail = format!(
                "expected a loopback address such as 127.0.0.1:8080 where no keys are configured, found {text:?}; \
                 add [[server.keys]] to listen elsewhere"
            );
            return Err(wrong("server.listen", detail));
        }
        let mut keys: Vec<ApiKey> = Vec::with_capacity(self.keys.len());
        for (at, key) in self.keys.into_iter().enumerate() {
            let key = key.check(environment).map_err(|d| wrong(&format!("server.keys[{at}]"), d))?;
            if keys.iter().any(|other| other.name == key.name) {
                return Err(wrong(
                    &format!("server.keys[{at}]"),
                    format!("a second key named {:?}", key.name),
                ));
            }
            keys.push(key);
        }
        let body_limit = self.body_limit.unwrap_or(BODY_LIMIT);
        if body_limit < 1024 {
            let detail = format!("expected at least 1024 bytes, found {body_limit}");
            return Err(wrong("server.body_limit", detail));
        }
        let event_memory = match self.event_memory {
            Some(text) => parse_size(&text).map_err(|d| wrong("server.event_memory", d))?,
            None => (256 << 20).max(16 * body_limit),
        };
        if event_memory < 4 * body_limit {
            let detail = format!(
                "expected at least four times body_limit ({body_limit} bytes), found {event_memory}; a body and what is read \
                 from it are in memory together"
            );
            return Err(wrong("server.event_memory", detail));
        }
        let workers = self.workers.unwrap_or(0);
        Ok(Server { listen, workers, body_limit, event_memory, keys })
    }
}

impl RawKey {
    fn check(self, environment: &[(String, String)]) -> std::result::Result<ApiKey, String> {
        let secret = match (self.secret, self.secret_env) {
            (Some(secret), None) => secret,
            (None, Some(name)) => {
                environment.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()).ok_or_else(
                    || format!("the environment has no variable {name:?} for key {:?}", self.name),
                )?
            }
            _ => return Err(format!("key {:?} needs one of `secret` and `secret_env`", self.name)),
        };
        if secret.len() < 8 {
            return Err(format!("the secret of key {:?} must have at least 8 bytes", self.name));
        }
        if self.rights.is_empty() {
            return Err(format!("key {:?} has no rights; such as [\"read\", \"ingest\"]", self.name));
        }
        Ok(ApiKey { name: self.name, secret: Secret::new(secret), rights: self.rights })
    }
}

fn address(text: &str) -> std::result::Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|p| p.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| format!("expected an address and port such as 127.0.0.1:8080, found {text:?}"))
}
