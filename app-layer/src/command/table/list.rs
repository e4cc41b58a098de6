//! `weir table list`: which generations a folder holds, which of them is served, was, or was refused, and what the journal tells. Not for
//! what is in them (`stat.rs`).

use data_layer::publish::{Entry, Folder, Generation, Journal, Line, Pointer, What};
use data_layer::types::time;
use serde_json::{Value as Json, json};

use super::super::Format;
use super::shown;
use crate::error::{Error, Result};

/// Lines of the journal that are shown.
const LINES: usize = 5;

/// What a generation is to its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `CURRENT` names it, or nothing was ever published and it is the newest.
    Served,
    /// `CURRENT` names it as a delta on top of what is served.
    Delta,
    /// It was served before; a rollback may go back to it.
    Before,
    /// The gate said no to it, or a server found it bad.
    Refused,
    /// It is newer than what is served.
    Newer,
    /// None of these.
    Other,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Delta => "delta",
            Self::Before => "before",
            Self::Refused => "refused",
            Self::Newer => "newer",
            Self::Other => "-",
        }
    }
}

/// Everything that is told of a folder.
struct Told {
    generations: Vec<(Generation, State)>,
    story: Journal,
    /// What is odd about the folder, and how to mend it.
    odd: Option<String>,
}

/// Lists.
///
/// # Errors
/// No such folder, or what the system said. A `CURRENT` or a journal that can't be read is told, and no error.
pub(super) fn run(folder: &Folder, format: Format) -> Result<()> {
    if !folder.path().is_dir() {
        return Err(Error::Data(data_layer::Error::NotFound {
            what: "table",
            name: folder.path().display().to_string(),
            hint: "; expected the folder DIR/NAME of a table".to_owned(),
        }));
    }
    let told = look(folder)?;
    match format {
        Format::Json => println!("{}", as_json(folder, &told)),
        Format::Text => print!("{}", as_text(folder, &told)),
    }
    if let Some(odd) = &told.odd {
        eprintln!("{}: {odd}", folder.path().display());
    }
    Ok(())
}

fn look(folder: &Folder) -> Result<Told> {
    let story = Journal::story(folder.path()).unwrap_or_default();
    let all = folder.list()?;
    let (line, odd) = match folder.current_line() {
        Ok(Some(line)) => {
            let gone = line.names().find(|name| !all.iter().any(|found| found.generation == **name));
            let odd =
                gone.map(|name| format!("CURRENT names {name}, which is not here; publish one that is"));
            (Some(line), odd)
        }
        Ok(None) => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let nothing = line.is_none() && odd.is_none() && !all.is_empty();
    let odd = odd.or_else(|| nothing.then(|| "nothing was ever published; the newest is served".to_owned()));
    let line = line.or_else(|| all.first().filter(|_| nothing).map(|newest| Line::of(&newest.generation)));
    let before = Pointer::read(folder.path()).ok().flatten().map(|p| p.history).unwrap_or_default();
    let mut newer = line.is_some();
    let mut generations = Vec::new();
    for found in all {
        let name = &found.generation;
        let served = line.as_ref().is_some_and(|line| line.base == *name);
        newer &= !served;
        let state = if served {
            State::Served
        } else if line.as_ref().is_some_and(|line| line.deltas.contains(name)) {
            State::Delta
        } else if before
            .iter()
            .any(|line| Line::parse(line).is_ok_and(|line| line.names().any(|n| n == name)))
        {
            State::Before
        } else if story.last_of(name).is_some_and(|entry| entry.what == What::Refuse) {
            State::Refused
        } else if newer {
            State::Newer
        } else {
            State::Other
        };
        generations.push((found, state));
    }
    Ok(Told { generations, story, odd })
}

fn as_text(folder: &Folder, told: &Told) -> String {
    let now = time::now();
    let many = told.generations.len();
    let mut out = format!("{} of namespace {}: {many} generations", folder.name(), folder.namespace());
    if many == 0 {
        out.push_str("; build one with `weir table build`\n");
        return out;
    }
    out.push('\n');
    let mut rows = vec![["", "generation", "size", "source", "what happened"].map(str::to_owned).to_vec()];
    for (found, state) in &told.generations {
        let source = found.generation.split('-').next().and_then(|at| time::parse_rfc3339(at).ok());
        rows.push(vec![
            state.word().to_owned(),
            found.generation.clone(),
            shown::size(found.bytes),
            source.map_or_else(String::new, |at| shown::age(at, now)),
            told.story
                .last_of(&found.generation)
                .map_or_else(|| "copied here".to_owned(), |e| happened(e, now)),
        ]);
    }
    out.push_str(&shown::columns(&rows, &[2, 3]));
    let newest = told.story.entries.iter().rev().take(LINES);
    let mut lines: Vec<Vec<String>> = newest.map(journal_line).collect();
    lines.reverse();
    if !lines.is_empty() {
        out.push_str("\njournal, newest last\n");
        out.push_str(&shown::columns(&lines, &[]));
    }
    out
}

/// What happened to a generation last, and when.
fn happened(entry: &Entry, now: data_layer::types::Millis) -> String {
    let mut said = format!("{} {} by {}", shown::what(entry), shown::age(entry.time, now), entry.by);
    if let Some(figures) = &entry.gate {
        said.push_str(&format!(": {}", shown::figures(figures)));
    }
    said
}

fn journal_line(entry: &Entry) -> Vec<String> {
    let from = entry.from.as_ref().map_or_else(String::new, |from| format!("from {from}"));
    let what = shown::what(entry).to_owned();
    vec![shown::moment(entry.time), what, entry.generation.clone(), format!("by {}", entry.by), from]
}

fn as_json(folder: &Folder, told: &Told) -> Json {
    let one = |(found, state): &(Generation, State)| {
        json!({
            "generation": found.generation, "current": found.current, "on_top": found.on_top, "bytes": found.bytes, "state": state.word(),
            "last": told.story.last_of(&found.generation),
        })
    };
    let skipped = told.story.entries.len().saturating_sub(LINES);
    json!({
        "table": folder.name(), "namespace": folder.namespace(),
        "generations": told.generations.iter().map(one).collect::<Vec<_>>(),
        "journal": told.story.entries[skipped..], "odd": told.odd,
    })
}
