//! `weir events`: send to a server, load into a log that no server holds, or look at what is in it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use data_layer::ingest::{Form, Ingest, Receipt};
use data_layer::log::Reader as LogReader;
use data_layer::types::time;
use serde_json::json;

use super::rows::{self, Kind};
use super::{ConfigFile, Format, bar};
use crate::error::{Error, Result};

/// Sends, loads or shows events.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir events send events.ndjson --url http://127.0.0.1:8080
  weir events load DATA --config weir.toml
  weir events tail --follow --config weir.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends events to a server.
    Send(Send),
    /// Loads files into the log; no server may hold it.
    Load(Load),
    /// Prints the newest events of the log, also beside a running server.
    Tail(Tail),
}

#[derive(Debug, clap::Args)]
struct Send {
    /// NDJSON; `-` for standard input.
    file: PathBuf,
    /// Where the server is.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A key with the right `ingest`.
    #[arg(long, env = "WEIR_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Load {
    /// NDJSON of events, interactions.parquet, items.parquet, users.parquet, or a folder of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// The events are of the past. Event times are always kept; this says so to readers of a script.
    #[arg(long)]
    backfill: bool,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Tail {
    #[command(flatten)]
    config: ConfigFile,
    /// How many of the newest.
    #[arg(long, short = 'n', default_value_t = 10)]
    lines: usize,
    /// Wait for more.
    #[arg(long, short)]
    follow: bool,
}

/// Runs one of the event commands.
///
/// # Errors
/// What the files, the log or the server say; events that were not taken.
pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Send(args) => send(args),
        Command::Load(args) => load(args),
        Command::Tail(args) => tail(args),
    }
}

/// Bytes of NDJSON sent or loaded at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Rows loaded at a time.
const CHUNK_ROWS: usize = 4_096;
/// Rejected events that are named; the others are counted.
const NAMED: usize = 20;

/// What became of a file.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
}

impl Tally {
    fn reject(&mut self, place: &str, detail: &str) {
        self.rejected += 1;
        if self.rejected <= NAMED as u64 {
            eprintln!("{place}: {detail}");
        }
    }

    fn add(&mut self, receipt: &Receipt, place: impl Fn(usize) -> String) {
        self.accepted += u64::from(receipt.accepted);
        self.duplicates += u64::from(receipt.duplicates);
        for rejected in &receipt.rejected {
            self.reject(&place(rejected.index), &rejected.detail);
        }
    }

    fn end(&self, format: Format) -> Result<()> {
        let Self { accepted, duplicates, rejected } = self;
        match format {
            Format::Text => println!("{accepted} accepted, {duplicates} duplicates, {rejected} rejected"),
            Format::Json => {
                println!("{}", json!({"accepted": accepted, "duplicates": duplicates, "rejected": rejected}));
            }
        }
        if *rejected == 0 {
            return Ok(());
        }
        Err(Error::Io {
            place: "events".into(),
            detail: format!("{rejected} were rejected; the others are in the log"),
        })
    }
}

/// Calls `each` with the text of some whole lines and the number of the first, until the file ends.
fn chunks(reader: impl BufRead, place: &str, mut each: impl FnMut(&str, usize) -> Result<()>) -> Result<()> {
    let (mut text, mut first) = (String::new(), 1);
    for (line, next) in reader.lines().enumerate() {
        let next =
            next.map_err(|e| Error::Io { place: format!("{place}:{}", line + 1), detail: e.to_string() })?;
        text.push_str(&next);
        text.push('\n');
        if text.len() >= CHUNK_BYTES {
            each(&text, first)?;
            text.clear();
            first = line + 2;
        }
    }
    if text.trim().is_empty() { Ok(()) } else { each(&text, first) }
}

/// Line of the `index`-th event of a chunk: blank lines hold none.
fn line_of(text: &str, first: usize, index: usize) -> usize {
    let filled = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    filled.map(|(at, _)| at + first).nth(index).unwrap_or(first)
}

fn send(args: &Send) -> Result<()> {
    let url = format!("{}/v1/events", args.url.trim_end_matches('/'));
    let place = args.file.display().to_string();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut tally = Tally::default();
    let post = |text: &str, first: usize| -> Result<()> {
        let mut request = agent.post(&url).header("Content-Type", "application/x-ndjson");
        if let Some(key) = &args.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut answer = request.send(text).map_err(Error::io(&url))?;
        let body = answer.body_mut().read_to_string().map_err(Error::io(&url))?;
        if answer.status() != 200 {
            return Err(Error::Io { place: url.clone(), detail: format!("{}: {body}", answer.status()) });
        }
        let receipt: serde_json::Value = serde_json::from_str(&body).map_err(Error::io(&url))?;
        let count = |name: &str| receipt[name].as_u64().unwrap_or_default();
        tally.accepted += count("accepted");
        tally.duplicates += count("duplicates");
        for rejected in receipt["rejected"].as_array().into_iter().flatten() {
            let line = line_of(text, first, rejected["index"].as_u64().unwrap_or_default() as usize);
            tally.reject(&format!("{place}:{line}"), rejected["detail"].as_str().unwrap_or_default());
        }
        Ok(())
    };
    if args.file == Path::new("-") {
        chunks(std::io::stdin().lock(), &place, post)?;
    } else {
        let file = std::fs::File::open(&args.file).map_err(Error::io(&place))?;
        chunks(BufReader::new(file), &place, post)?;
    }
    tally.end(args.format)
}

fn load(args: &Load) -> Result<()> {
    let files = rows::expand(&args.files)?;
    let ingest = Ingest::open(&args.config.load()?)?;
    let mut tally = Tally::default();
    for (file, kind) in &files {
        let progress = bar(0, &file.display().to_string());
        match kind {
            Kind::Events => load_ndjson(&ingest, file, &mut tally, &progress)?,
            kind => load_rows(&ingest, file, *kind, &mut tally, &progress)?,
        }
        progress.finish_and_clear();
    }
    ingest.close()?;
    tally.end(args.format)
}

fn load_ndjson(
    ingest: &Ingest,
    file: &Path,
    tally: &mut Tally,
    progress: &indicatif::ProgressBar,
) -> Result<()> {
    let place = file.display().to_string();
    let reader = BufReader::new(std::fs::File::open(file).map_err(Error::io(&place))?);
    chunks(reader, &place, |text, first| {
        let waiting = ingest.submit(text.as_bytes(), Form::Ndjson, time::now())?;
        let receipt = futures::executor::block_on(waiting)?;
        tally.add(&receipt, |index| format!("{place}:{}", line_of(text, first, index)));
        progress.inc(u64::from(receipt.accepted));
        Ok(())
    })
}

fn load_rows(
    ingest: &Ingest,
    file: &Path,
    kind: Kind,
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
        let receipt = futures::executor::block_on(ingest.submit_events(events, time::now()))?;
        tally.add(&receipt, |index| format!("{} row {}", file.display(), number + index));
        number += count;
        progress.inc(count as u64);
    }
}

fn tail(args: &Tail) -> Result<()> {
    let config = args.config.load()?;
    let mut newest = std::collections::VecDeque::new();
    let mut last = 0;
    for record in LogReader::events(&config.log.dir, &config.namespace)? {
        let record = record?;
        last = record.sequence;
        newest.push_back(record);
        if newest.len() > args.lines {
            newest.pop_front();
        }
    }
    let mut out = std::io::stdout().lock();
    let mut print = |record: &data_layer::types::Record| {
        let line =
            json!({"sequence": record.sequence, "received_ms": record.received_ms, "event": record.event});
        writeln!(out, "{line}").map_err(Error::io("standard output"))
    };
    newest.iter().try_for_each(&mut print)?;
    if !args.follow {
        return Ok(());
    }
    let mut cursor = LogReader::follow(&config.log.dir, &config.namespace, last)?;
    loop {
        while let Some(record) = cursor.read_record()? {
            print(&record)?;
        }
        cursor.wait(Duration::from_secs(1));
    }
}
