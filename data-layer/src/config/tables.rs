//! `[tables]`: where generations of tables are, how many stay, and how single tables are held in memory and checked. Not for what
//! a table holds.
//!
//! A key of `[tables]` is one line in [`KEYS`], one in `visit_map`, and a field on either side; its word then no longer names a
//! table in `[tables.NAME]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

use super::check_name;
use crate::keylist::Residency;
use crate::publish::Limits;
use crate::publish::remote::{Address, Options};
use crate::types::Millis;
use crate::types::time::parse_span;
use crate::{Error, Result};

/// Keys of `[tables]`; no table is configured by such a name but under `[tables.named]`.
const KEYS: &[&str] =
    &["dir", "keep", "scrub", "readers", "watch", "gate", "source", "poll", "store", "named"];

/// Words that are kept for keys to come, so that no file of today changes its meaning then.
const RESERVED: &[&str] = &["cache"];

/// `[tables]`: folders of immutable generations.
#[derive(Debug, Clone, PartialEq)]
pub struct Tables {
    /// Folder of all namespaces; see [`super::Config::table_folder`].
    pub dir: PathBuf,
    /// How many generations are kept when one is published, the current one included. At least 1.
    pub keep: usize,
    /// How often every byte of what is served is checked again; `None`: never.
    pub scrub: Option<Millis>,
    /// Threads that read lazy tables, 1 to 256.
    pub readers: usize,
    /// Whether a server watches the folder and publishes what is copied into it.
    pub watch: bool,
    /// `[tables.gate]`: how far a generation may be from the one before.
    pub gate: Limits,
    /// The store that a server follows; `None`: it serves what is published in its own folder.
    pub source: Option<Address>,
    /// How often a server looks there; at least a second.
    pub poll: Duration,
    /// `[tables.store]`: how the store is spoken to.
    pub store: Options,
    /// `[tables.NAME]` and `[tables.named.NAME]`, by name.
    pub named: BTreeMap<String, TableOptions>,
}

/// `[tables.NAME]`: how one table is held in memory and when it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TableOptions {
    /// Where its bytes are while it is served.
    pub residency: Residency,
    /// When every byte of a new generation is checked.
    pub verify: VerifyWhen,
    /// Most bytes of lists that are kept as they were handed over; 0 is no cache.
    #[serde(deserialize_with = "super::size::read")]
    pub cache: usize,
}

/// When every byte of a new generation is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyWhen {
    /// Before it serves.
    #[default]
    Load,
    /// While it serves already, at a low rate. What is read in between is checked as it is read.
    Background,
}

impl Tables {
    /// How a table is held and checked: as configured, else by default.
    #[must_use]
    pub fn options(&self, name: &str) -> TableOptions {
        self.named.get(name).copied().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct RawTables {
    dir: Option<PathBuf>,
    keep: Option<usize>,
    scrub: Option<String>,
    readers: Option<usize>,
    watch: Option<bool>,
    gate: Limits,
    source: Option<String>,
    poll: Option<String>,
    store: Options,
    named: BTreeMap<String, TableOptions>,
    sections: BTreeMap<String, TableOptions>,
}

impl RawTables {
    /// Fills in defaults and checks; relative paths start from `folder`.
    pub(super) fn check(self, folder: &Path, wrong: &dyn Fn(&str, String) -> Error) -> Result<Tables> {
        let keep = self.keep.unwrap_or(5);
        if keep == 0 {
            return Err(wrong("tables.keep", "expected at least 1, found 0".to_owned()));
        }
        let readers = self.readers.unwrap_or(8);
        if !(1..=256).contains(&readers) {
            return Err(wrong("tables.readers", format!("expected 1 to 256 threads, found {readers}")));
        }
        self.gate.check().map_err(|(name, detail)| wrong(&format!("tables.gate.{name}"), detail))?;
        let mut named = self.named;
        for (name, options) in self.sections {
            if named.insert(name.clone(), options).is_some() {
                let detail =
                    format!("[tables.{name}] and [tables.named.{name}] both exist; keep one of them");
                return Err(wrong(&format!("tables.{name}"), detail));
            }
        }
        for name in named.keys() {
            check_name(name).map_err(|detail| wrong(&format!("tables.{name}"), detail))?;
        }
        let source = self.source.map(|text| Address::parse(&text, folder)).transpose();
        self.store.check().map_err(|(key, detail)| wrong(&format!("tables.store.{key}"), detail))?;
        Ok(Tables {
            dir: folder.join(self.dir.unwrap_or_else(|| PathBuf::from("tables"))),
            keep,
            scrub: scrub(self.scrub.as_deref()).map_err(|detail| wrong("tables.scrub", detail))?,
            readers,
            watch: self.watch.unwrap_or(true),
            gate: self.gate,
            source: source.map_err(|detail| wrong("tables.source", detail))?,
            poll: poll(self.poll.as_deref()).map_err(|detail| wrong("tables.poll", detail))?,
            store: self.store,
            named,
        })
    }
}

fn scrub(text: Option<&str>) -> std::result::Result<Option<Millis>, String> {
    let hint = |detail: String| format!("{detail}; such as \"24h\", or \"off\"");
    match text.unwrap_or("24h") {
        "off" => Ok(None),
        text => match parse_span(text).map_err(hint)? {
            span if span < 60_000 => Err(format!("expected at least \"1m\", or \"off\", found {text:?}")),
            span => Ok(Some(span)),
        },
    }
}

fn poll(text: Option<&str>) -> std::result::Result<Duration, String> {
    let text = text.unwrap_or("10s");
    match u64::try_from(parse_span(text)?) {
        Ok(span) if span >= 1_000 => Ok(Duration::from_millis(span)),
        _ => Err(format!("expected at least \"1s\", found {text:?}")),
    }
}

/// By hand, because what serde flattens loses its line.
impl<'de> Deserialize<'de> for RawTables {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = RawTables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section of keys and of tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<RawTables, A::Error> {
        let mut raw = RawTables::default();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "dir" => raw.dir = Some(map.next_value()?),
                "keep" => raw.keep = Some(map.next_value()?),
                "scrub" => raw.scrub = Some(map.next_value()?),
                "readers" => raw.readers = Some(map.next_value()?),
                "watch" => raw.watch = Some(map.next_value()?),
                "gate" => raw.gate = map.next_value()?,
                "source" => raw.source = Some(map.next_value()?),
                "poll" => raw.poll = Some(map.next_value()?),
                "store" => raw.store = map.next_value()?,
                "named" => raw.named = map.next_value()?,
                _ => {
                    let options = map.next_value_seed(Section(&name))?;
                    raw.sections.insert(name, options);
                }
            }
        }
        Ok(raw)
    }
}

/// What stands under a word that is no key: the section of a table, or a typo.
struct Section<'a>(&'a str);

impl Section<'_> {
    fn unknown<E: serde::de::Error>(&self) -> E {
        E::unknown_field(self.0, KEYS)
    }
}

impl<'de> DeserializeSeed<'de> for Section<'_> {
    type Value = TableOptions;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<TableOptions, D::Error> {
        if RESERVED.contains(&self.0) {
            return Err(D::Error::unknown_field(self.0, KEYS));
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = TableOptions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the section of a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<TableOptions, A::Error> {
        TableOptions::deserialize(MapAccessDeserializer::new(map))
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> std::result::Result<TableOptions, E> {
        Err(self.unknown())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> std::result::Result<TableOptions, E> {
        Err(self.unknown())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> std::result::Result<TableOptions, E> {
        Err(self.unknown())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> std::result::Result<TableOptions, E> {
        Err(self.unknown())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> std::result::Result<TableOptions, A::Error> {
        Err(self.unknown())
    }
}
