//! `weir events tail`: the newest events of a log, also beside a running server.

use std::io::Write;
use std::time::Duration;

use data_layer::log::Reader as LogReader;
use serde_json::json;

use super::ConfigFile;
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// How many of the newest.
    #[arg(long, short = 'n', default_value_t = 10)]
    lines: usize,
    /// Wait for more.
    #[arg(long, short)]
    follow: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
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
