//! `weir events follow`: sends what another program writes into files, each line once in effect: at least once from here, and the
//! log knows again what it has.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use data_layer::ingest::follow::{Follower, Piece};
use data_layer::ingest::{Form, Ingest};
use data_layer::types::time;

use super::send::Client;
use super::{CHUNK_BYTES, ConfigFile, Format, Tally, line_of};
use crate::command::log_to_stderr;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Files to follow, such as 'logs/*.ndjson'; `*`, `?`, `[…]` and `**`, quoted for the shell.
    #[arg(required = true)]
    patterns: Vec<String>,
    /// Where the server is. Without it the events go into the log of the configuration, which no server may hold.
    #[arg(long)]
    url: Option<String>,
    /// A key with the right `ingest`, for a server.
    #[arg(long, env = "WEIR_KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
    /// How far the files were taken; one follower's own.
    #[arg(long, value_name = "FILE", default_value = "weir-follow.json")]
    checkpoint: PathBuf,
    /// How often is looked for more, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 250)]
    poll: u64,
    /// End when everything that is there was taken.
    #[arg(long)]
    once: bool,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Looks that find nothing before `--once` ends: a file that was rotated away is at its end after some.
const LAST_LOOKS: u32 = 6;
/// How often is told what was taken.
const TELL: Duration = Duration::from_secs(60);
/// Wait until a log that takes nothing just now is asked again.
const LOG_WAIT: Duration = Duration::from_millis(50);

/// Where lines go.
enum Target {
    Server(Client),
    Log(Ingest),
}

impl Target {
    /// Sends a piece until it was taken.
    fn take(&self, piece: &Piece, tally: &mut Tally) -> Result<()> {
        let place = |index: usize| {
            let text = String::from_utf8_lossy(&piece.text);
            format!("{}:{}", piece.path.display(), line_of(&text, piece.first_line as usize, index))
        };
        match self {
            Self::Server(client) => match client.send(&piece.text, tally, place) {
                // Nothing of it is an event; the lines after it may be.
                Err(crate::error::Error::Io { detail, .. }) if detail.starts_with("400") => {
                    tally.reject(&place(0), &detail);
                    Ok(())
                }
                other => other,
            },
            Self::Log(ingest) => loop {
                let sent = ingest.submit(&piece.text, Form::Ndjson, time::now());
                match sent.and_then(futures::executor::block_on) {
                    Err(data_layer::Error::Busy { .. }) => std::thread::sleep(LOG_WAIT),
                    Err(error @ data_layer::Error::Invalid { .. }) => {
                        tally.reject(&place(0), &error.to_string());
                        return Ok(());
                    }
                    receipt => {
                        tally.add(&receipt?, place);
                        return Ok(());
                    }
                }
                tally.retries += 1;
            },
        }
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    log_to_stderr();
    let target = match &args.url {
        Some(url) => Target::Server(Client::new(url, "", args.key.clone(), None)),
        None => Target::Log(Ingest::open(&args.config.load()?)?),
    };
    let mut follower = Follower::open(&args.patterns, &args.checkpoint)?;
    let (mut tally, mut idle, mut told) = (Tally::default(), 0, (Instant::now(), 0));
    loop {
        let piece = follower.next(CHUNK_BYTES)?;
        follower.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        match piece {
            Some(piece) if piece.text.iter().all(u8::is_ascii_whitespace) => follower.done(piece)?,
            Some(piece) => {
                target.take(&piece, &mut tally)?;
                follower.done(piece)?;
                idle = 0;
            }
            None if args.once && idle >= LAST_LOOKS => break,
            None => {
                idle += 1;
                let wait = if args.once { 1 } else { args.poll.max(1) };
                std::thread::sleep(Duration::from_millis(wait));
            }
        }
        if told.0.elapsed() >= TELL && tally.accepted + tally.duplicates != told.1 {
            told = (Instant::now(), tally.accepted + tally.duplicates);
            tracing::info!(
                tally.accepted,
                tally.duplicates,
                tally.rejected,
                tally.retries,
                "followed so far"
            );
        }
    }
    if let Target::Log(ingest) = target {
        ingest.close()?;
    }
    // What a program wrote wrong is named, and is no reason to begin again.
    tally.print(args.format);
    Ok(())
}
