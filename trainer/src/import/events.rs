//! Events as clients send them, one JSON object a line. Interactions become rows, attributes become sheets; the rest is counted.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use data_layer::types::Value;
use data_layer::types::id::check as check_id;
use data_layer::types::time::parse_rfc3339;
use serde_json::Value as Json;

use super::{Options, Taken, Tolerance};
use crate::data::{Cells, FileReport, Sheet};
use crate::{Error, Result};

/// Attribute name to its newest value with that value's time.
type Newest = BTreeMap<String, (i64, Option<Value>)>;

/// What is known of one kind of thing: id to attributes, in order of first sight.
#[derive(Default)]
struct Known {
    ids: Vec<String>,
    at: BTreeMap<String, usize>,
    attributes: Vec<Newest>,
}

/// Reads a file of events.
pub fn rows(path: &Path, options: Options) -> Result<Taken> {
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut reading = Reading::default();
    reading.taken.report =
        FileReport { file: path.display().to_string(), form: "events".into(), ..FileReport::default() };
    let mut tolerance = Tolerance::new(options);
    for (n, line) in std::io::BufReader::new(file).lines().enumerate() {
        let place = format!("{}: line {}", path.display(), n + 1);
        let done = match line {
            Err(e) => Err((String::new(), e.to_string())),
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => serde_json::from_str::<Json>(&text)
                .map_err(|e| (String::new(), format!("expected one JSON object, {e}")))
                .and_then(|event| reading.event(&event)),
        };
        if let Err((field, detail)) = done {
            let place = if field.is_empty() { place } else { format!("{place}: {field}") };
            tolerance.skip(&mut reading.taken.report, "malformed event", Error::invalid(place, detail))?;
        }
    }
    Ok(reading.finish())
}

#[derive(Default)]
struct Reading {
    taken: Taken,
    items: Known,
    users: Known,
    /// Event id to row, so that a retraction finds it.
    by_id: BTreeMap<String, usize>,
    gone: Vec<usize>,
}

type Wrong = (String, String);

impl Reading {
    fn event(&mut self, event: &Json) -> std::result::Result<(), Wrong> {
        let kind = text(event, "type")?;
        match kind {
            "interaction" if event.get("retracted") == Some(&Json::Bool(true)) => {
                let id = text(event, "id")?;
                match self.by_id.get(id) {
                    Some(row) => self.gone.push(*row),
                    None => self.skip("retraction of an unknown interaction"),
                }
                Ok(())
            }
            "interaction" => self.interaction(event),
            "item" => self.items.take(event, id(event, "id")?, time(event)?),
            "user" => self.users.take(event, id(event, "id")?, time(event)?),
            "impression" | "identify" | "edge" | "load" => {
                self.skip(&format!("{kind} events are not part of DATA"));
                Ok(())
            }
            other => Err((
                "type".into(),
                format!(
                    "expected item, user, interaction, impression, identify, edge or load, found {other:?}"
                ),
            )),
        }
    }

    fn skip(&mut self, reason: &str) {
        *self.taken.report.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    fn interaction(&mut self, event: &Json) -> std::result::Result<(), Wrong> {
        let who = ["user", "anonymous", "session_id"].into_iter().find(|f| event.get(*f).is_some());
        let Some(who) = who else {
            return Err(("user".into(), "expected user, anonymous or session_id, found none".into()));
        };
        let (user, item, action) = (id(event, who)?, id(event, "item")?, text(event, "action")?);
        let value = match event.get("value") {
            None => 1.0,
            Some(v) => {
                v.as_f64().ok_or_else(|| ("value".to_owned(), format!("expected a number, found {v}")))?
            }
        };
        let time = time(event)?;
        if let Some(Json::String(id)) = event.get("id") {
            if self.by_id.contains_key(id) {
                self.skip("event id seen before");
                return Ok(());
            }
            self.by_id.insert(id.clone(), self.taken.rows.len());
        }
        self.taken.rows.push(user, item, action, value, time);
        self.taken.report.read += 1;
        Ok(())
    }

    fn finish(mut self) -> Taken {
        if !self.gone.is_empty() {
            self.gone.sort_unstable();
            let keep = (0..self.taken.rows.len()).filter(|r| self.gone.binary_search(r).is_err());
            self.taken.rows = self.taken.rows.pick(keep);
            self.taken.report.read = self.taken.rows.len() as u64;
            self.taken.report.skipped.insert("retracted".into(), self.gone.len() as u64);
        }
        self.taken.unit = "ms".into();
        self.taken.items = self.items.sheet();
        self.taken.users = self.users.sheet();
        self.taken
    }
}

fn text<'a>(event: &'a Json, field: &str) -> std::result::Result<&'a str, Wrong> {
    match event.get(field) {
        Some(Json::String(t)) => Ok(t),
        Some(Json::Number(n)) => {
            Err((field.into(), format!("expected text, found the number {n}; write it in quotes")))
        }
        Some(other) => Err((field.into(), format!("expected text, found {other}"))),
        None => Err((field.into(), "is missing".into())),
    }
}

fn id<'a>(event: &'a Json, field: &str) -> std::result::Result<&'a str, Wrong> {
    let found = text(event, field)?;
    check_id(found).map_err(|e| (field.to_owned(), e.to_string()))?;
    Ok(found)
}

fn time(event: &Json) -> std::result::Result<i64, Wrong> {
    let wrong =
        |found: &Json| ("time".to_owned(), format!("expected milliseconds or RFC 3339, found {found}"));
    match event.get("time") {
        Some(Json::String(t)) => parse_rfc3339(t).map_err(|e| ("time".to_owned(), e)),
        Some(v) => v.as_i64().ok_or_else(|| wrong(v)),
        None => Err(("time".into(), "is missing".into())),
    }
}

impl Known {
    fn take(&mut self, event: &Json, id: &str, time: i64) -> std::result::Result<(), Wrong> {
        let row = *self.at.entry(id.to_owned()).or_insert_with(|| {
            self.ids.push(id.to_owned());
            self.attributes.push(Newest::new());
            self.ids.len() - 1
        });
        let empty = serde_json::Map::new();
        let attributes = match event.get("attributes") {
            None => &empty,
            Some(Json::Object(map)) => map,
            Some(other) => return Err(("attributes".into(), format!("expected an object, found {other}"))),
        };
        for (name, value) in attributes {
            let value: Option<Value> = serde_json::from_value(value.clone()).map_err(|_| {
                (format!("attributes.{name}"), format!("expected a value of an attribute, found {value}"))
            })?;
            let newest = self.attributes[row].entry(name.clone()).or_insert((i64::MIN, None));
            if time >= newest.0 {
                *newest = (time, value);
            }
        }
        Ok(())
    }

    fn sheet(self) -> Sheet {
        let mut names: Vec<&String> = self.attributes.iter().flat_map(BTreeMap::keys).collect();
        names.sort_unstable();
        names.dedup();
        let columns = names
            .into_iter()
            .filter_map(|name| {
                let of = |row: &Newest| row.get(name).and_then(|(_, v)| v.clone());
                Cells::of_values(self.attributes.iter().map(of).collect()).map(|cells| (name.clone(), cells))
            })
            .collect();
        Sheet { ids: self.ids, columns }
    }
}
