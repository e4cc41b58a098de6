//! `weir.toml` as it is written, and the checks that turn it into a [`Config`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::levels::{self, Calendar, RawLevel};
use super::live::RawLive;
use super::log::RawLog;
use super::server::RawServer;
use super::streams::{self, RawStream};
use super::tables::RawTables;
use super::{Actions, Config, Generations, Priorities, Weight, check_name, toml_file};
use crate::types::{DEFAULT_NAMESPACE, Schema, Unknown, ValueType};
use crate::{Error, Result};

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
    streams: BTreeMap<String, RawStream>,
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
    #[serde(default)]
    levels: BTreeMap<String, RawLevel>,
    #[serde(default)]
    sources: BTreeMap<String, i64>,
    schema: Option<RawSchema>,
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
    unknown: Option<Unknown>,
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
                        "unknown" => schema.unknown = Some(map.next_value()?),
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
        let calendar = Calendar::of(&timezone).map_err(|detail| wrong("timezone", detail))?;
        let actions = Actions::over_defaults(&self.actions).map_err(|detail| wrong("actions", detail))?;
        let (schema, schema_unknown) = schema(self.schema, path)?;
        let mut live = self.live.check(folder, &actions, &wrong)?;
        live.keep.levels = levels::check(self.levels, &actions, &wrong)?;
        live.keep.calendar = calendar;
        live.keep.sources = Priorities::new(self.sources).map_err(|detail| wrong("sources", detail))?;
        let streams = streams::check(self.streams, folder, &namespace, &wrong)?;
        Ok(Config {
            file: path.to_owned(),
            namespace,
            timezone,
            server: self.server.check(&wrong, environment)?,
            log: self.log.check(folder, &wrong)?,
            live,
            streams,
            tables: self.tables.check(folder, &wrong)?,
            models: generations(self.models, "models")?,
            scenes: dir(self.scenes.dir, "scenes"),
            experiments: dir(self.experiments.dir, "experiments"),
            actions,
            schema,
            schema_unknown,
        })
    }
}

/// The configured schema over the reserved attributes; `schema.toml` beside the file stands in for a `[schema]` section.
fn schema(section: Option<RawSchema>, path: &Path) -> Result<(Schema, Option<Unknown>)> {
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
        (None, false) => return Ok((Schema::reserved(), None)),
    };
    let said = raw.unknown;
    let mut schema = Schema { unknown: said.unwrap_or_default(), ..Schema::reserved() };
    for (given, into) in [(raw.items, &mut schema.items), (raw.user, &mut schema.users)] {
        for (name, wanted) in given {
            if let Some(fixed) = into.get(&name).filter(|fixed| **fixed != wanted) {
                let detail = format!("the reserved attribute {name:?} has type {fixed}, found {wanted}");
                return Err(Error::invalid(format!("{}: schema", path.display()), detail));
            }
            into.insert(name, wanted);
        }
    }
    Ok((schema, said))
}
