//! `weir events`: send to a server, follow files, load into a log, or look at what is in it. One file each.

mod by_time;
mod follow;
mod load;
pub mod rows;
mod send;
mod tail;

use std::io::BufRead;

use clap::Subcommand;
use data_layer::ingest::Receipt;
use serde_json::json;

use super::{ConfigFile, Format, bar};
use crate::error::{Error, Result};

/// Sends, follows, loads or shows events.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir events send events.ndjson --url http://127.0.0.1:8080
  weir events follow 'logs/*.ndjson' --url http://127.0.0.1:8080
  weir events load DATA --config weir.toml
  weir events load 2025.ndjson --backfill --url http://127.0.0.1:8080
  weir events tail --follow --config weir.toml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends events to a server.
    Send(send::Args),
    /// Follows files that another program writes, through rotation and restarts, and sends each line once.
    Follow(follow::Args),
    /// Loads files into the log, or through a server.
    Load(load::Args),
    /// Prints the newest events of the log, also beside a running server.
    Tail(tail::Args),
}

/// Runs one of the event commands.
///
/// # Errors
/// What the files, the log or the server say; events that were not taken.
pub fn run(args: &Args) -> Result<()> {
    match &args.command {
        Command::Send(args) => send::run(args),
        Command::Follow(args) => follow::run(args),
        Command::Load(args) => load::run(args),
        Command::Tail(args) => tail::run(args),
    }
}

/// Bytes of NDJSON sent or loaded at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Rejected events that are named; the others are counted.
const NAMED: usize = 20;

/// What became of a file.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
    retries: u64,
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

    fn print(&self, format: Format) {
        let Self { accepted, duplicates, rejected, retries } = self;
        match format {
            Format::Text if *retries == 0 => {
                println!("{accepted} accepted, {duplicates} duplicates, {rejected} rejected");
            }
            Format::Text => {
                println!(
                    "{accepted} accepted, {duplicates} duplicates, {rejected} rejected; asked again {retries} times"
                );
            }
            Format::Json => println!(
                "{}",
                json!({"accepted": accepted, "duplicates": duplicates, "rejected": rejected, "retries": retries})
            ),
        }
    }

    fn end(&self, format: Format) -> Result<()> {
        self.print(format);
        if self.rejected == 0 {
            return Ok(());
        }
        Err(Error::Io {
            place: "events".into(),
            detail: format!("{} were rejected; the others are in the log", self.rejected),
        })
    }
}

/// Calls `each` with the text of some whole lines of at least so many bytes and the number of the first, until the file ends.
fn chunks(
    reader: impl BufRead,
    place: &str,
    bytes: usize,
    mut each: impl FnMut(&str, usize) -> Result<()>,
) -> Result<()> {
    let (mut text, mut first) = (String::new(), 1);
    for (line, next) in reader.lines().enumerate() {
        let next =
            next.map_err(|e| Error::Io { place: format!("{place}:{}", line + 1), detail: e.to_string() })?;
        text.push_str(&next);
        text.push('\n');
        if text.len() >= bytes {
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
