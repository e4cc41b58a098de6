//! One experiment file: TOML to a checked layer, with errors that name the line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::{Spanned, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::{Bucket, Layer, MOST_BUCKETS, SLOTS, lay_out};
use crate::config::toml_file::{line_and_column, parse, suggest};
use crate::types::time::parse_rfc3339;
use crate::types::{Id, Millis, PersonKind};
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLayer {
    layer: Spanned<String>,
    #[serde(default = "user")]
    unit: PersonKind,
    salt: Option<String>,
    start: Option<Spanned<Value>>,
    bucket: Spanned<Vec<RawBucket>>,
    #[serde(default)]
    whitelist: BTreeMap<Spanned<String>, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBucket {
    name: Spanned<String>,
    share: Spanned<f64>,
    #[serde(default)]
    set: BTreeMap<Spanned<String>, Spanned<Value>>,
    #[serde(default)]
    remove: Vec<Spanned<String>>,
}

fn user() -> PersonKind {
    PersonKind::User
}

/// The text of a file, to turn places into lines.
struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl Source<'_> {
    fn wrong(&self, span: Range<usize>, detail: impl Into<String>) -> Error {
        let (line, column) = line_and_column(self.text, span.start);
        Error::invalid(format!("{}:{line}:{column}", self.file), detail)
    }
}

impl Layer {
    /// Reads the text of an experiment file; `file` is for messages.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `file:line:column`: an unknown key (with the nearest that exists), a missing or repeated bucket, shares that do not
    /// sum to 1, a path that is none, a whitelist entry for no bucket.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let raw: RawLayer = parse(text, Path::new(file))?;
        let source = Source { text, file };
        let name = name(&raw.layer, "layer", &source)?;
        let buckets = buckets(&raw.bucket, &source)?;
        let mut whitelist = BTreeMap::new();
        for (id, bucket) in &raw.whitelist {
            let id = Id::new(id.get_ref()).map_err(|e| source.wrong(id.span(), e.to_string()))?;
            whitelist.insert(id, place_of(bucket, &buckets, &source)?);
        }
        let mut layer = Self {
            salt: raw.salt.unwrap_or_else(|| name.clone()),
            unit: raw.unit,
            start: raw.start.as_ref().map_or(Ok(0), |start| time(start, &source))?,
            slots: lay_out(&buckets),
            file: file.to_owned(),
            epoch: String::new(),
            name,
            buckets,
            whitelist,
        };
        layer.epoch = epoch(&layer);
        Ok(layer)
    }
}

/// A hash of what the layer says: comments, spaces and the name of the file change nothing.
fn epoch(layer: &Layer) -> String {
    let said = (&layer.name, layer.unit, &layer.salt, layer.start, &layer.buckets, &layer.whitelist);
    format!("{:016x}", xxh3_64(format!("{said:?}").as_bytes()))
}

fn name(text: &Spanned<String>, what: &str, source: &Source<'_>) -> Result<String> {
    let name = text.get_ref();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let detail =
            format!("expected the name of a {what}: 1 to 64 letters, digits, _ and -, found {name:?}");
        return Err(source.wrong(text.span(), detail));
    }
    Ok(name.clone())
}

fn time(value: &Spanned<Value>, source: &Source<'_>) -> Result<Millis> {
    let text = match value.get_ref() {
        Value::Datetime(at) => at.to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    parse_rfc3339(&text).map_err(|detail| source.wrong(value.span(), detail))
}

fn buckets(raw: &Spanned<Vec<RawBucket>>, source: &Source<'_>) -> Result<Vec<Bucket>> {
    let list = raw.get_ref();
    if list.is_empty() || list.len() > MOST_BUCKETS {
        let detail = format!("expected 1 to {MOST_BUCKETS} buckets, found {}", list.len());
        return Err(source.wrong(raw.span(), detail));
    }
    let mut made: Vec<Bucket> = Vec::new();
    for bucket in list {
        let share = *bucket.share.get_ref();
        if !(0.0..=1.0).contains(&share) {
            return Err(
                source.wrong(bucket.share.span(), format!("expected a share from 0 to 1, found {share}"))
            );
        }
        let name = name(&bucket.name, "bucket", source)?;
        if made.iter().any(|other| other.name == name) {
            return Err(source.wrong(bucket.name.span(), format!("two buckets are called {name:?}")));
        }
        let slots = (share * f64::from(SLOTS)).round() as u32;
        let (set, remove) = changes(bucket, source)?;
        made.push(Bucket { name, slots, set, remove });
    }
    let sum: f64 = list.iter().map(|bucket| *bucket.share.get_ref()).sum();
    let others: u32 = made.iter().skip(1).map(|bucket| bucket.slots).sum();
    if (sum - 1.0).abs() > 1e-4 || others > SLOTS {
        let shown = list.iter().map(|b| b.share.get_ref().to_string()).collect::<Vec<_>>().join(" + ");
        let last = list.last().map_or(0..0, |bucket| bucket.share.span());
        return Err(source.wrong(last, format!("expected shares that sum to 1, found {shown} = {sum}")));
    }
    made[0].slots = SLOTS - others;
    Ok(made)
}

type Changes = (BTreeMap<String, Value>, Vec<String>);

fn changes(bucket: &RawBucket, source: &Source<'_>) -> Result<Changes> {
    let mut set = BTreeMap::new();
    for (key, value) in &bucket.set {
        if value.get_ref().is_table() {
            let wrong = "expected a value, found a table; write the whole path in quotes, such as \"home.rank.model\"";
            return Err(source.wrong(key.span(), wrong));
        }
        set.insert(path(key, source)?, value.get_ref().clone());
    }
    let mut remove = Vec::new();
    for key in &bucket.remove {
        let path = path(key, source)?;
        let within = |other: &String| overlap(other, &path);
        if let Some(other) = set.keys().chain(&remove).find(|other| within(other)) {
            return Err(source.wrong(
                key.span(),
                format!("{path:?} is removed, and {other:?} is changed by the same bucket"),
            ));
        }
        remove.push(path);
    }
    Ok((set, remove))
}

/// Whether two paths are the same, or one holds the other.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let holds =
        |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    holds(a, b) || holds(b, a)
}

fn path(key: &Spanned<String>, source: &Source<'_>) -> Result<String> {
    let path = key.get_ref();
    if path.split('.').count() < 2 || path.split('.').any(str::is_empty) {
        let detail = format!(
            "expected a path such as \"home.rank.model\" (scene, section or component, key), found {path:?}"
        );
        return Err(source.wrong(key.span(), detail));
    }
    Ok(path.clone())
}

fn place_of(bucket: &Spanned<String>, buckets: &[Bucket], source: &Source<'_>) -> Result<usize> {
    let name = bucket.get_ref();
    buckets.iter().position(|b| b.name == *name).ok_or_else(|| {
        let near = suggest(name, buckets.iter().map(|b| b.name.as_str()));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        source.wrong(bucket.span(), format!("no bucket is called {name:?}{hint}"))
    })
}
