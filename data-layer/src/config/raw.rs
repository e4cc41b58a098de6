//! `weir.toml` as it is written, and the checks that turn it into a [`Config`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::tables::RawTables;
use super::{Actions, check_name, toml_file};
use super::{ApiKey, Backend, Config, Generations, Live, Log, Right, Secret, Server, Sync, Weight};
use crate::types::time::parse_span;
use crate::types::{DEFAULT_NAMESPACE, Schema, Unknown, ValueType};
use crate::{Error, Result};

/// Largest body where none is configured: 16 MiB.
const BODY_LIMIT: usize = 16 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    namespace: Option<String>,
    timezone: Option<String>,
    #[serde(default)]
    server: RawServer,
    #[serde(default)]
    log: RawLog,
    #[serde(default)]
    live: RawLive,
    #[serde(default)]
    tables: RawTables,
    #[serde(default)]
    models: RawGenerations,
    #[serde(default)]
    scenes: RawDir,
    #[serde(default)]
    experiments: RawDir,
    #[serde(default)]
    actions: BTreeMap<String, Weight>,
    schema: Option<RawSchema>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawServer {
    listen: Option<String>,
    workers: Option<usize>,
    body_limit: Option<usize>,
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    dir: Option<PathBuf>,
    retention: Option<String>,
    sync: Option<Sync>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLive {
    backend: Option<String>,
    dir: Option<PathBuf>,
    url: Option<toml::Value>,
    cluster: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGenerations {
    dir: Option<PathBuf>,
    keep: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDir {
    dir: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct RawSchema {
    unknown: Unknown,
    user: BTreeMap<String, ValueType>,
    items: BTreeMap<String, ValueType>,
}

/// By hand, because what serde flattens loses its line.
impl<'de> Deserialize<'de> for RawSchema {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = RawSchema;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a section of attributes and their types")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<RawSchema, A::Error> {
                let mut schema = RawSchema::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "unknown" => schema.unknown = map.next_value()?,
                        "user" => schema.user = map.next_value()?,
                        _ => drop(schema.items.insert(name, map.next_value()?)),
                    }
                }
                Ok(schema)
            }
        }
        from.deserialize_map(Visit)
    }
}

impl File {
    /// Fills in defaults and checks; `path` is where the file stands and what relative paths start from.
    pub(super) fn check(self, path: &Path, environment: &[(String, String)]) -> Result<Config> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let wrong = |key: &str, detail: String| Error::invalid(format!("{}: {key}", path.display()), detail);
        let dir = |given: Option<PathBuf>, default: &str| {
            folder.join(given.unwrap_or_else(|| PathBuf::from(default)))
        };
        let generations = |raw: RawGenerations, default: &str| -> Result<Generations> {
            let keep = raw.keep.unwrap_or(5);
            if keep == 0 {
                return Err(wrong(&format!("{default}.keep"), "expected at least 1, found 0".to_owned()));
            }
            Ok(Generations { dir: dir(raw.dir, default), keep })
        };
        let namespace = self.namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        check_name(&namespace).map_err(|detail| wrong("namespace", detail))?;
        let timezone = self.timezone.unwrap_or_else(|| "UTC".to_owned());
        check_timezone(&timezone).map_err(|detail| wrong("timezone", detail))?;
        Ok(Config {
            file: path.to_owned(),
            namespace,
            timezone,
            server: self.server.check(&wrong, environment)?,
            log: Log {
                retention: retention(self.log.retention).map_err(|d| wrong("log.retention", d))?,
                sync: self.log.sync.unwrap_or(Sync::Batch),
                dir: dir(self.log.dir, "log"),
            },
            live: Live { backend: self.live.check(&wrong)?, dir: dir(self.live.dir, "live") },
            tables: self.tables.check(folder, &wrong)?,
            models: generations(self.models, "models")?,
            scenes: dir(self.scenes.dir, "scenes"),
            experiments: dir(self.experiments.dir, "experiments"),
            actions: Actions::over_defaults(&self.actions).map_err(|detail| wrong("actions", detail))?,
            schema: schema(self.schema, path)?,
        })
    }
}

impl RawServer {
    fn check(
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
        let workers = self.workers.unwrap_or(0);
        Ok(Server { listen, workers, body_limit, keys })
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

impl RawLive {
    fn check(&self, wrong: &dyn Fn(&str, String) -> Error) -> Result<Backend> {
        match self.backend.as_deref().unwrap_or("embedded") {
            "embedded" if self.url.is_some() || self.cluster.is_some() => Err(wrong(
                "live.url",
                "only the redis backend has one, and it comes with a later version".into(),
            )),
            "embedded" => Ok(Backend::Embedded),
            "redis" => Err(wrong(
                "live.backend",
                "\"redis\" comes with a later version; use \"embedded\" until then".into(),
            )),
            other => Err(wrong("live.backend", format!("expected \"embedded\", found {other:?}"))),
        }
    }
}

fn retention(text: Option<String>) -> std::result::Result<Option<i64>, String> {
    match text.as_deref() {
        None => parse_span("30d").map(Some),
        Some("forever") => Ok(None),
        Some(text) => match parse_span(text)? {
            0 => Err("expected a span above 0, or \"forever\"".to_owned()),
            span => Ok(Some(span)),
        },
    }
}

fn address(text: &str) -> std::result::Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|p| p.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| format!("expected an address and port such as 127.0.0.1:8080, found {text:?}"))
}

fn check_timezone(name: &str) -> std::result::Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        Ok(())
    } else {
        Err(format!("expected an IANA time zone such as UTC or Asia/Shanghai, found {name:?}"))
    }
}

/// The configured schema over the reserved attributes; `schema.toml` beside the file stands in for a `[schema]` section.
fn schema(section: Option<RawSchema>, path: &Path) -> Result<Schema> {
    let beside = path.with_file_name("schema.toml");
    let raw = match (section, beside.is_file()) {
        (Some(_), true) => {
            let detail = format!("[schema] and {} both exist; keep one of them", beside.display());
            return Err(Error::invalid(path.display().to_string(), detail));
        }
        (Some(section), false) => section,
        (None, true) => {
            let text = std::fs::read_to_string(&beside).map_err(Error::io(&beside))?;
            toml_file::parse(&text, &beside)?
        }
        (None, false) => return Ok(Schema::reserved()),
    };
    let mut schema = Schema { unknown: raw.unknown, ..Schema::reserved() };
    for (given, into) in [(raw.items, &mut schema.items), (raw.user, &mut schema.users)] {
        for (name, wanted) in given {
            if let Some(fixed) = into.get(&name).filter(|fixed| **fixed != wanted) {
                let detail = format!("the reserved attribute {name:?} has type {fixed}, found {wanted}");
                return Err(Error::invalid(format!("{}: schema", path.display()), detail));
            }
            into.insert(name, wanted);
        }
    }
    Ok(schema)
}
