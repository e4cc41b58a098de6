//! Records of the log as rows of Parquet, and back. Flat columns are for people and programs that ask questions; what is read back is the
//! JSON beside them, which holds all of it. No nulls: what is not there is an empty text or 0.

use std::path::Path;

use crate::log::{EntryRef, Stream};
use crate::tabular::{Cells, ColumnType, Reader, Row, Writer};
use crate::types::{Decision, Event, Millis, PersonKind, Record};
use crate::{Error, Result};

/// Rows that are written together.
const GROUP: usize = 1 << 16;

/// Columns of events.
const EVENTS: [(&str, ColumnType); 13] = [
    ("sequence", ColumnType::Int),
    ("received_ms", ColumnType::Int),
    ("partition", ColumnType::Int),
    ("type", ColumnType::Text),
    ("time", ColumnType::Int),
    ("id", ColumnType::Text),
    ("person_kind", ColumnType::Text),
    ("person", ColumnType::Text),
    ("item", ColumnType::Text),
    ("action", ColumnType::Text),
    ("value", ColumnType::Float),
    ("lane", ColumnType::Text),
    ("event", ColumnType::Text),
];

/// Columns of decisions: the fields of the record by their names, those that are lists or objects as JSON.
const DECISIONS: [(&str, ColumnType); 19] = [
    ("sequence", ColumnType::Int),
    ("request_id", ColumnType::Text),
    ("time", ColumnType::Int),
    ("now_ms", ColumnType::Int),
    ("seed", ColumnType::Text),
    ("namespace", ColumnType::Text),
    ("scene", ColumnType::Text),
    ("user", ColumnType::Text),
    ("anonymous", ColumnType::Text),
    ("session_id", ColumnType::Text),
    ("query", ColumnType::Text),
    ("buckets", ColumnType::Text),
    ("epochs", ColumnType::Text),
    ("versions", ColumnType::Text),
    ("degraded", ColumnType::Text),
    ("log_position", ColumnType::Text),
    ("items", ColumnType::Text),
    ("feature_names", ColumnType::Text),
    ("funnel", ColumnType::Text),
];

/// Columns of decisions that are texts or numbers; all others are JSON.
const PLAIN: [&str; 8] =
    ["request_id", "namespace", "scene", "user", "anonymous", "session_id", "log_position", "seed"];

/// The lane of the past, in its column.
const PAST: &str = "backfill";

/// One cell.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Int(i64),
    Float(f64),
    Text(String),
}

/// Writes the records of one stream to a file.
pub(crate) struct File {
    stream: Stream,
    writer: Writer,
    rows: Vec<Vec<Cell>>,
    count: u64,
}

impl File {
    pub(crate) fn create(path: &Path, stream: Stream) -> Result<Self> {
        let writer = Writer::create(path, columns(stream))?;
        Ok(Self { stream, writer, rows: Vec::new(), count: 0 })
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, entry: EntryRef<'_>, folder: &Path) -> Result<()> {
        match self.stream {
            Stream::Events => self.add_event(&crate::log::record(entry, folder)?),
            Stream::Decisions => self.add_decision(entry.sequence, &crate::log::decision(entry, folder)?),
        }
    }

    /// Adds an event to a file of events.
    pub(crate) fn add_event(&mut self, record: &Record) -> Result<()> {
        self.push(event_row(record))
    }

    /// Adds a decision to a file of decisions.
    pub(crate) fn add_decision(&mut self, sequence: u64, decision: &Decision) -> Result<()> {
        self.push(decision_row(sequence, decision))
    }

    fn push(&mut self, row: std::result::Result<Vec<Cell>, String>) -> Result<()> {
        self.rows.push(row.map_err(|detail| Error::invalid("archive", detail))?);
        self.count += 1;
        if self.rows.len() == GROUP { self.flush() } else { Ok(()) }
    }

    /// Ends the file; gives the number of its rows.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.writer.finish()?;
        Ok(self.count)
    }

    fn flush(&mut self) -> Result<()> {
        let (mut ints, mut floats, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..columns(self.stream).len() {
            let (mut int, mut float, mut text) = (Vec::new(), Vec::new(), Vec::new());
            for row in &self.rows {
                match &row[at] {
                    Cell::Int(cell) => int.push(*cell),
                    Cell::Float(cell) => float.push(*cell),
                    Cell::Text(cell) => text.push(cell.as_str()),
                }
            }
            ints.push(int);
            floats.push(float);
            texts.push(text);
        }
        let cells: Vec<Cells<'_>> = columns(self.stream)
            .iter()
            .enumerate()
            .map(|(at, (_, kind))| match kind {
                ColumnType::Int => Cells::Int(&ints[at]),
                ColumnType::Float | ColumnType::Float32 => Cells::Float(&floats[at]),
                ColumnType::Text => Cells::Text(&texts[at]),
            })
            .collect();
        self.writer.write(&cells)?;
        drop(cells);
        drop(texts);
        self.rows.clear();
        Ok(())
    }
}

fn columns(stream: Stream) -> &'static [(&'static str, ColumnType)] {
    match stream {
        Stream::Events => &EVENTS,
        Stream::Decisions => &DECISIONS,
    }
}

fn json<T: serde::Serialize>(value: &T) -> std::result::Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

/// The event time of a record; of a schema, that of its receipt.
pub(super) fn time_of(record: &Record) -> Millis {
    match &record.event {
        Event::Item(e) => e.time,
        Event::User(e) => e.time,
        Event::Interaction(e) => e.time,
        Event::Retraction(e) => e.time,
        Event::Impression(e) => e.time,
        Event::Identify(e) => e.time,
        Event::Schema(_) => record.received_ms,
        Event::Erase(e) => e.time,
        Event::Edge(e) => e.time,
        Event::Load(e) => e.time,
    }
}

fn event_row(record: &Record) -> std::result::Result<Vec<Cell>, String> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let time = time_of(record);
    let (kind, id, item, action, value) = match &record.event {
        Event::Item(e) => ("item", "", e.id.as_str(), "", 0.0),
        Event::User(_) => ("user", "", "", "", 0.0),
        Event::Interaction(e) => {
            let id = e.id.as_ref().map_or("", |id| id.as_str());
            ("interaction", id, e.item.as_str(), e.action.as_str(), e.value)
        }
        Event::Retraction(e) => ("retraction", e.id.as_str(), "", "", 0.0),
        Event::Impression(e) => ("impression", e.id.as_ref().map_or("", |id| id.as_str()), "", "", 0.0),
        Event::Identify(e) => ("identify", e.anonymous.as_str(), "", "", 0.0),
        Event::Schema(_) => ("schema", "", "", "", 0.0),
        Event::Erase(_) => ("erase", "", "", "", 0.0),
        Event::Edge(e) => ("edge", e.to.as_str(), "", e.relation.as_str(), 0.0),
        Event::Load(e) => ("load", e.id.as_str(), "", "", 0.0),
    };
    let person = record.event.person();
    let space = person.as_ref().map_or("", |person| match person.kind {
        PersonKind::User => "user",
        PersonKind::Anonymous => "anonymous",
        PersonKind::Session => "session",
    });
    Ok(vec![
        Cell::Int(record.sequence as i64),
        Cell::Int(record.received_ms),
        Cell::Int(i64::from(record.partition)),
        text(kind),
        Cell::Int(time),
        text(id),
        text(space),
        text(person.as_ref().map_or("", |person| person.id.as_str())),
        text(item),
        text(action),
        Cell::Float(value),
        text(if record.past { PAST } else { "" }),
        Cell::Text(json(&record.event)?),
    ])
}

fn decision_row(sequence: u64, decision: &Decision) -> std::result::Result<Vec<Cell>, String> {
    let id = |id: &Option<crate::types::Id>| Cell::Text(id.as_ref().map_or("", |id| id.as_str()).to_owned());
    let text = |text: &str| Cell::Text(text.to_owned());
    Ok(vec![
        Cell::Int(sequence as i64),
        text(&decision.request_id),
        Cell::Int(decision.time),
        Cell::Int(decision.now_ms),
        Cell::Text(decision.seed.to_string()),
        text(&decision.namespace),
        text(&decision.scene),
        id(&decision.user),
        id(&decision.anonymous),
        id(&decision.session_id),
        Cell::Text(json(&decision.query)?),
        Cell::Text(json(&decision.buckets)?),
        Cell::Text(json(&decision.epochs)?),
        Cell::Text(json(&decision.versions)?),
        Cell::Text(json(&decision.degraded)?),
        text(&decision.log_position),
        Cell::Text(json(&decision.items)?),
        Cell::Text(json(&decision.feature_names)?),
        Cell::Text(json(&decision.funnel)?),
    ])
}

/// The records of a file of events, in its order.
pub(crate) fn events(path: &Path) -> Result<impl Iterator<Item = Result<Record>> + use<>> {
    let reader = Reader::open(path)?;
    // Files of older versions know one lane.
    let lane = reader.has("lane").then_some("lane");
    let names: Vec<&str> =
        ["sequence", "received_ms", "partition", "event"].into_iter().chain(lane).collect();
    let rows = reader.rows(&names)?;
    Ok(rows.map(move |row| {
        let row = row?;
        let event = whole(&row, 3)?;
        let event = serde_json::from_str(&event).map_err(|error| row.wrong(3, error.to_string()))?;
        let partition = u16::try_from(int(&row, 2)?).map_err(|error| row.wrong(2, error.to_string()))?;
        let past = lane.is_some() && whole(&row, 4)? == PAST;
        Ok(Record { sequence: int(&row, 0)? as u64, received_ms: int(&row, 1)?, partition, past, event })
    }))
}

/// The decisions of a file, with their sequences, in its order.
pub(crate) fn decisions(path: &Path) -> Result<impl Iterator<Item = Result<(u64, Decision)>> + use<>> {
    let names: Vec<&str> = DECISIONS.iter().map(|(name, _)| *name).collect();
    let rows = Reader::open(path)?.rows(&names)?;
    Ok(rows.map(|row| {
        let row = row?;
        let mut fields = serde_json::Map::new();
        for (at, (name, kind)) in DECISIONS.iter().enumerate().skip(1) {
            let wrong = |error: serde_json::Error| row.wrong(at, error.to_string());
            let value = if *kind == ColumnType::Int {
                int(&row, at)?.into()
            } else {
                let text = whole(&row, at)?;
                match *name {
                    "seed" => serde_json::from_str(&text).map_err(wrong)?,
                    "user" | "anonymous" | "session_id" if text.is_empty() => serde_json::Value::Null,
                    name if PLAIN.contains(&name) => text.into(),
                    _ => serde_json::from_str(&text).map_err(wrong)?,
                }
            };
            fields.insert((*name).to_owned(), value);
        }
        let decision = serde_json::from_value(fields.into());
        Ok((int(&row, 0)? as u64, decision.map_err(|error| row.wrong(1, error.to_string()))?))
    }))
}

fn int(row: &Row, column: usize) -> Result<i64> {
    row.int(column)?.ok_or_else(|| row.wrong(column, "expected a number, found none"))
}

fn whole(row: &Row, column: usize) -> Result<String> {
    Ok(row.text(column)?.map_or_else(String::new, std::borrow::Cow::into_owned))
}
