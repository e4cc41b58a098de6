//! `weir events load`: files into a log that no server holds, or through a server that does.

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_layer::error::Busy;
use data_layer::ingest::{Form, Ingest, Lane, Reservation, TYPED_BYTES};
use data_layer::types::time;

use super::rows::{self, Kind};
use super::send::Client;
use super::{CHUNK_BYTES, ConfigFile, Format, Tally, bar, chunks, line_of};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// NDJSON of events, interactions.parquet, items.parquet, users.parquet, or a folder of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// The events are of the past: they earn no points, and a server lets those of the present go first.
    #[arg(long)]
    backfill: bool,
    /// A server that holds the log; files are NDJSON then. Without it no server may hold it.
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

pub(super) fn run(args: &Args) -> Result<()> {
    let files = rows::expand(&args.files)?;
    let mut tally = Tally::default();
    if let Some(url) = &args.url {
        through(url, args, &files, &mut tally)?;
        return tally.end(args.format);
    }
    let ingest = Ingest::open(&args.config.load()?)?;
    let lane = if args.backfill { Lane::Backfill } else { Lane::Live };
    for (file, kind) in &files {
        let progress = bar(0, &file.display().to_string());
        match kind {
            Kind::Events => load_ndjson(&ingest, file, lane, &mut tally, &progress)?,
            kind => load_rows(&ingest, (file, *kind), lane, &mut tally, &progress)?,
        }
        progress.finish_and_clear();
    }
    ingest.close()?;
    tally.end(args.format)
}

/// Sends files to the server that holds the log.
fn through(url: &str, args: &Args, files: &[(PathBuf, Kind)], tally: &mut Tally) -> Result<()> {
    if let Some((file, _)) = files.iter().find(|(_, kind)| *kind != Kind::Events) {
        return Err(Error::Usage(format!(
            "{}: expected NDJSON of events to send to a server, found rows; load them without --url while no server runs",
            file.display()
        )));
    }
    let (query, bytes) = if args.backfill { ("?lane=backfill", BACKFILL_BYTES) } else { ("", CHUNK_BYTES) };
    let client = Client::new(url, query, args.key.clone(), Some(PATIENCE));
    for (file, _) in files {
        let (place, progress) = (file.display().to_string(), bar(0, &file.display().to_string()));
        let reader = BufReader::new(std::fs::File::open(file).map_err(Error::io(&place))?);
        chunks(reader, &place, bytes, |text, first| {
            let at = |index: usize| format!("{place}:{}", line_of(text, first, index));
            client.send(text.as_bytes(), tally, at)?;
            progress.set_position(tally.accepted);
            Ok(())
        })?;
        progress.finish_and_clear();
    }
    std::io::stdout().flush().map_err(Error::io("standard output"))
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

fn load_ndjson(
    ingest: &Ingest,
    file: &Path,
    lane: Lane,
    tally: &mut Tally,
    progress: &indicatif::ProgressBar,
) -> Result<()> {
    let place = file.display().to_string();
    let reader = BufReader::new(std::fs::File::open(file).map_err(Error::io(&place))?);
    chunks(reader, &place, CHUNK_BYTES, |text, first| {
        let taken =
            ingest.read(text.as_bytes(), Form::Ndjson, time::now(), room(ingest, lane, text.len())?)?;
        let receipt = futures::executor::block_on(ingest.take(taken))?;
        tally.add(&receipt, |index| format!("{place}:{}", line_of(text, first, index)));
        progress.inc(u64::from(receipt.accepted));
        Ok(())
    })
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
