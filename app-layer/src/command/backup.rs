//! `weir backup` and `weir restore`: a namespace's snapshot and log somewhere else, and back.

use data_layer::backup::{backup, restore};
use data_layer::publish::remote::Address;

use super::{ConfigFile, Format, bar};
use crate::error::{Error, Result};

const BACKUP_EXAMPLES: &str = "Examples:
  weir backup --to backups/2026-11-21 --config weir.toml
  weir backup --to s3://bucket/backups/2026-11-21 --config weir.toml";

const RESTORE_EXAMPLES: &str = "Examples:
  weir restore --from backups/2026-11-21 --config weir.toml
  weir restore --from s3://bucket/backups/2026-11-21 --config weir.toml --force";

/// What is backed up, and where to.
#[derive(Debug, clap::Args)]
#[command(after_help = BACKUP_EXAMPLES)]
pub struct BackupArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Where to: a folder, file:///folder, or s3://bucket/prefix, without a backup yet; spoken to as [log.store] says.
    #[arg(value_name = "PLACE", required_unless_present = "to", conflicts_with = "to")]
    place: Option<String>,
    /// The same.
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What is put back.
#[derive(Debug, clap::Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub struct RestoreArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Where from, as the backup was told.
    #[arg(value_name = "PLACE", required_unless_present = "from", conflicts_with = "from")]
    place: Option<String>,
    /// The same.
    #[arg(long, value_name = "PLACE")]
    from: Option<String>,
    /// Replace the log, the snapshots, what Redis has of the namespace, and what an archive has of the log behind the backup.
    #[arg(long)]
    force: bool,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Backs up.
///
/// # Errors
/// What the log or the place says.
pub fn run_backup(args: &BackupArgs) -> Result<()> {
    let config = args.config.load()?;
    super::log_to_stderr();
    let to = address(args.to.as_ref().or(args.place.as_ref()))?;
    let bar = bar(0, "bytes");
    let made = backup(&config, &to, &mut |file| bar.inc(file.bytes));
    bar.finish_and_clear();
    let made = made?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string(&made).unwrap_or_default()),
        Format::Text => {
            let bytes: u64 = made.files.iter().map(|file| file.bytes).sum();
            let (files, at) = (made.files.len(), made.snapshot);
            println!(
                "{to}: {files} files ({bytes} bytes), the log {} and a snapshot of record {at}",
                made.producer
            );
            if !made.positions.is_empty() {
                let (positions, paused) = (made.positions.join(", "), made.paused_ms);
                println!("what servers share as of {positions}; they stood still for {paused} ms");
            }
        }
    }
    Ok(())
}

/// Restores.
///
/// # Errors
/// What the place says, or what is there already; nothing is changed then.
pub fn run_restore(args: &RestoreArgs) -> Result<()> {
    let config = args.config.load()?;
    super::log_to_stderr();
    let from = address(args.from.as_ref().or(args.place.as_ref()))?;
    let bar = bar(0, "bytes");
    let restored = restore(&config, &from, args.force, &mut |file| bar.inc(file.bytes));
    bar.finish_and_clear();
    let restored = restored?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string(&restored.backup).unwrap_or_default()),
        Format::Text => {
            let (files, gone) = (restored.backup.files.len(), restored.replaced);
            println!(
                "{files} files from {from}, in the place of {gone}; the log {}",
                restored.backup.producer
            );
            if restored.removed > 0 {
                println!("{} keys in Redis were removed for it", restored.removed);
            }
            if restored.archived > 0 {
                println!("{} archived segments from after it were removed", restored.archived);
            }
            if restored.erased > 0 {
                println!("{} people who were erased since it was made are erased again", restored.erased);
            }
        }
    }
    Ok(())
}

fn address(place: Option<&String>) -> Result<Address> {
    let here = std::env::current_dir().map_err(Error::io("."))?;
    Address::parse(place.map_or("", String::as_str), &here).map_err(Error::Usage)
}
