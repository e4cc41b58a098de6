//! Rows of DATA files as events: interactions, items, users. NDJSON of events is read by the ingest itself.

use std::path::{Path, PathBuf};

use data_layer::tabular::{Reader, Row};
use data_layer::types::event::Attributes;
use data_layer::types::{Event, Id, Interaction, ItemEvent, Millis, Person, UserEvent};

use crate::error::{Error, Result};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A row per interaction.
    Interactions,
    /// A row per item.
    Items,
    /// A row per user.
    Users,
    /// An event a line.
    Events,
}

/// Columns that are not attributes.
const OWN: [&str; 2] = ["time", "kind"];

/// The files that were named, folders replaced by what is in them: items and users first, so that interactions find them.
///
/// # Errors
/// What is not there, and what is none of these.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Kind)>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let all = [("items", Kind::Items), ("users", Kind::Users), ("interactions", Kind::Interactions)];
            let found = all.map(|(name, kind)| (path.join(format!("{name}.parquet")), kind));
            let before = files.len();
            files.extend(found.into_iter().filter(|(file, _)| file.is_file()));
            if files.len() == before {
                let detail =
                    "expected interactions.parquet, items.parquet or users.parquet in it, found none";
                return Err(wrong(path, detail));
            }
            continue;
        }
        if !path.is_file() {
            return Err(wrong(path, "no such file"));
        }
        files.push((path.clone(), kind(path)?));
    }
    Ok(files)
}

fn kind(path: &Path) -> Result<Kind> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if matches!(ending, "ndjson" | "jsonl" | "json") {
        return Ok(Kind::Events);
    }
    let reader = Reader::open(path)?;
    match (reader.has("user"), reader.has("item")) {
        (true, true) => Ok(Kind::Interactions),
        (false, true) => Ok(Kind::Items),
        (true, false) => Ok(Kind::Users),
        (false, false) => Err(wrong(path, "expected a column \"item\" or \"user\", found neither")),
    }
}

fn wrong(path: &Path, detail: &str) -> Error {
    Error::Data(data_layer::Error::invalid(path.display().to_string(), detail))
}

/// The events of a file, a row at a time. Items and users without a column `time` are as of `now_ms`.
///
/// # Errors
/// A column that is missing; then per row what is wrong with it, and where.
pub fn read(path: &Path, kind: Kind, now_ms: Millis) -> Result<Box<dyn Iterator<Item = Result<Event>>>> {
    let reader = Reader::open(path)?;
    if kind == Kind::Interactions {
        let optional = ["action", "value"].map(|name| reader.has(name));
        let mut columns = vec!["user", "item", "time"];
        columns.extend(
            ["action", "value"].into_iter().zip(optional).filter(|(_, has)| *has).map(|(name, _)| name),
        );
        let value = 3 + usize::from(optional[0]);
        return Ok(Box::new(reader.rows(&columns)?.map(move |row| {
            let row = row?;
            interaction(&row, optional[0].then_some(3), optional[1].then_some(value))
        })));
    }
    let id = if kind == Kind::Items { "item" } else { "user" };
    let own = OWN.map(|name| reader.has(name));
    let attributes: Vec<String> =
        reader.columns().iter().filter(|c| *c != id && !OWN.contains(&c.as_str())).cloned().collect();
    let mut columns = vec![id];
    columns.extend(OWN.into_iter().zip(own).filter(|(_, has)| *has).map(|(name, _)| name));
    let first = columns.len();
    columns.extend(attributes.iter().map(String::as_str));
    let rows = reader.rows(&columns)?;
    Ok(Box::new(rows.map(move |row| {
        let row = row?;
        let time = if own[0] { row.time(1)?.unwrap_or(now_ms) } else { now_ms };
        let id = id_of(&row, 0)?;
        let mut said = Attributes::new();
        for (at, name) in attributes.iter().enumerate() {
            if let Some(value) = row.attribute(first + at)? {
                said.insert(name.clone(), Some(value));
            }
        }
        if kind == Kind::Users {
            return Ok(Event::User(UserEvent {
                person: Person::user(id),
                time,
                source: None,
                attributes: said,
            }));
        }
        let kind = if own[1] { row.text(1 + usize::from(own[0]))?.map(|t| t.into_owned()) } else { None };
        Ok(Event::Item(ItemEvent { id, kind, time, source: None, attributes: said, deleted: None }))
    })))
}

/// An event of a row as a client sends it.
///
/// # Errors
/// A number that JSON can't hold.
pub fn line(event: &Event) -> Result<String> {
    let wrong =
        |error: serde_json::Error| Error::Data(data_layer::Error::invalid("event", error.to_string()));
    let mut json = serde_json::to_value(event).map_err(wrong)?;
    if let Some(fields) = json.as_object_mut()
        && let Some(mut person) = fields.remove("person")
    {
        let name = if matches!(event, Event::User(_)) { "id" } else { "user" };
        fields.insert(name.to_owned(), person["id"].take());
    }
    serde_json::to_string(&json).map_err(wrong)
}

fn interaction(row: &Row, action: Option<usize>, value: Option<usize>) -> Result<Event> {
    let action = action.map(|at| row.text(at)).transpose()?.flatten();
    Ok(Event::Interaction(Interaction {
        id: None,
        person: Person::user(id_of(row, 0)?),
        item: id_of(row, 1)?,
        action: action.map_or_else(|| "click".to_owned(), |text| text.into_owned()),
        value: value.map(|at| row.float(at)).transpose()?.flatten().unwrap_or(1.0),
        time: row.time(2)?.ok_or_else(|| row.wrong(2, "expected a time, found nothing"))?,
        request_id: None,
        session: None,
        context: Default::default(),
    }))
}

fn id_of(row: &Row, column: usize) -> Result<Id> {
    Id::new(&row.id(column)?).map_err(|e| Error::Data(row.wrong(column, e.to_string())))
}
