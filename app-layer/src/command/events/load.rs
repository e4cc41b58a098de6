//! `weir events load`: files into a log that no server holds, or through a server that does.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_layer::error::Busy;
use data_layer::ingest::{Form, Ingest, Lane, Reservation, TYPED_BYTES};
use data_layer::types::time;

use super::by_time::{MEMORY, Sorter};
use super::rows::{self, Kind};
use super::send::Client;
use super::{CHUNK_BYTES, ConfigFile, Format, Tally, bar};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// NDJSON of events, interactions.parquet, items.parquet, users.parquet, or a folder of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// The events are of the past: they are loaded in order of their times, earn no points, and a server lets those of the present go first.
    #[arg(long)]
    backfill: bool,
    /// A server that holds the log. Without it no server may hold it.
    #[arg(long)]
    url: Option<String>,
    /// A key with the right `ingest`, for a server.
    #[arg(long, env = "WEIR_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Rows loaded at a time.
const CHUNK_ROWS: usize = 4_096;
/// Bytes of the past sent at a time: what the present waits for at most.
const BACKFILL_BYTES: usize = 128 << 10;
/// Wait until the log is asked again whether it takes more.
const PAUSE: Duration = Duration::from_millis(5);
/// For how long a server that is away or full is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// A file, and what it holds.
type Input = (PathBuf, Kind);

/// Where events go.
enum To {
    Log(Ingest, Lane),
    Server(Client),
}

pub(super) fn run(args: &Args) -> Result<()> {
    let files = rows::expand(&args.files)?;
    let to = match &args.url {
        Some(url) => {
            let query = if args.backfill { "?lane=backfill" } else { "" };
            To::Server(Client::new(url, query, args.key.clone(), Some(PATIENCE)))
        }
        None => {
            let lane = if args.backfill { Lane::Backfill } else { Lane::Live };
            To::Log(Ingest::open(&args.config.load()?)?, lane)
        }
    };
    let bytes = match to {
        To::Server(_) if args.backfill => BACKFILL_BYTES,
        _ => CHUNK_BYTES,
    };
    let mut batch = Batch::new(&to, &files, bytes);
    // Of the past, what happened comes in order of its times, behind what items and users are.
    let mut past = args.backfill.then(|| Sorter::new(MEMORY));
    for (number, (file, kind)) in (0..).zip(&files) {
        let progress = bar(0, &file.display().to_string());
        match (&to, kind, &mut past) {
            (_, Kind::Events | Kind::Interactions, Some(past)) => {
                each_line((file, *kind), |at, line| past.push(number, at, line))?;
            }
            (To::Log(ingest, lane), Kind::Items | Kind::Users | Kind::Interactions, _) => {
                load_rows(ingest, (file, *kind), *lane, &mut batch.tally, &progress)?;
            }
            _ => each_line((file, *kind), |at, line| {
                batch.push(number, at, &line)?;
                progress.set_position(batch.tally.accepted);
                Ok(())
            })?,
        }
        batch.send()?;
        progress.finish_and_clear();
    }
    if let Some(past) = past {
        let (mut sorted, progress) = (past.sorted()?, bar(0, "in order of time"));
        while let Some(line) = sorted.next()? {
            batch.push(line.file, line.number, &line.text)?;
            progress.set_position(batch.tally.accepted);
        }
        batch.send()?;
        progress.finish_and_clear();
    }
    let tally = batch.tally;
    if let To::Log(ingest, _) = to {
        ingest.close()?;
    }
    tally.end(args.format)
}

/// Lines that go out together.
struct Batch<'a> {
    to: &'a To,
    files: &'a [Input],
    bytes: usize,
    text: String,
    /// File and number in it of each line.
    places: Vec<(u32, u64)>,
    tally: Tally,
}

impl<'a> Batch<'a> {
    fn new(to: &'a To, files: &'a [Input], bytes: usize) -> Self {
        Self { to, files, bytes, text: String::new(), places: Vec::new(), tally: Tally::default() }
    }

    /// Adds a line; sends what there is where it is enough.
    fn push(&mut self, file: u32, number: u64, line: &str) -> Result<()> {
        self.text.push_str(line);
        self.text.push('\n');
        self.places.push((file, number));
        if self.text.len() < self.bytes { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let (places, files) = (&self.places, self.files);
        let place = |index: usize| match places
            .get(index)
            .and_then(|(file, at)| Some((files.get(*file as usize)?, at)))
        {
            Some(((file, Kind::Events), line)) => format!("{}:{line}", file.display()),
            Some(((file, _), row)) => format!("{} row {row}", file.display()),
            None => String::new(),
        };
        match self.to {
            To::Server(client) => client.send(self.text.as_bytes(), &mut self.tally, place)?,
            To::Log(ingest, lane) => {
                let room = room(ingest, *lane, self.text.len())?;
                let taken = ingest.read(self.text.as_bytes(), Form::Ndjson, time::now(), room)?;
                self.tally.add(&futures::executor::block_on(ingest.take(taken))?, place);
            }
        }
        self.text.clear();
        self.places.clear();
        Ok(())
    }
}

/// Gives the lines of a file that hold an event, with their numbers from 1; rows as the lines that a client would send.
fn each_line((file, kind): (&Path, Kind), mut each: impl FnMut(u64, String) -> Result<()>) -> Result<()> {
    if kind != Kind::Events {
        let mut number = 0;
        return rows::read(file, kind, time::now())?.try_for_each(|event| {
            number += 1;
            each(number, rows::line(&event?)?)
        });
    }
    let place = file.display().to_string();
    let reader = BufReader::new(std::fs::File::open(file).map_err(Error::io(&place))?);
    for (number, line) in (1..).zip(reader.lines()) {
        let said =
            |e: std::io::Error| Error::Io { place: format!("{place}:{number}"), detail: e.to_string() };
        let line = line.map_err(said)?;
        if !line.trim().is_empty() {
            each(number, line)?;
        }
    }
    Ok(())
}

/// Waits until there is room: events are written faster than they are applied.
pub(super) fn room(ingest: &Ingest, lane: Lane, bytes: usize) -> Result<Reservation> {
    loop {
        match ingest.admission().admit(lane, bytes) {
            Err(data_layer::Error::Busy { why: Busy::Full | Busy::Behind }) => std::thread::sleep(PAUSE),
            room => return Ok(room?),
        }
    }
}

fn load_rows(
    ingest: &Ingest,
    (file, kind): (&Path, Kind),
    lane: Lane,
    tally: &mut Tally,
    progress: &indicatif::ProgressBar,
) -> Result<()> {
    let mut rows = rows::read(file, kind, time::now())?;
    let mut number = 1;
    loop {
        let events = rows.by_ref().take(CHUNK_ROWS).collect::<Result<Vec<_>>>()?;
        if events.is_empty() {
            return Ok(());
        }
        let count = events.len();
        let room = room(ingest, lane, count * TYPED_BYTES)?;
        let receipt = futures::executor::block_on(ingest.submit_events_in(events, time::now(), room))?;
        tally.add(&receipt, |index| format!("{} row {}", file.display(), number + index));
        number += count;
        progress.inc(count as u64);
    }
}
