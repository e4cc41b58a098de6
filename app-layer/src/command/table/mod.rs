//! `weir table`: build, look into, check, publish and roll back tables, without a server. A server takes the change within a second.

mod build;
mod compact;
mod get;
mod list;
mod publish;
mod push;
mod shown;
mod stat;

use std::path::PathBuf;

use clap::Subcommand;
use data_layer::keylist::Verify;
use data_layer::publish::Folder;
use serde_json::json;

use super::Format;
use crate::error::{Error, Result};

/// Builds, looks into, checks, publishes and rolls back tables.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir table build --input sim.parquet --key item --item similar --score score --out tables/item_cf
  weir table get tables/item_cf i1
  weir table list tables/item_cf                     # what is served, what was, what was refused, and by whom
  weir table publish tables/item_cf
  weir table publish tables/item_cf --force          # although it is far from the one before
  weir table compact tables/item_cf                  # the served generation and its deltas become one
  weir table rollback tables/item_cf
  weir table rollback tables/item_cf 20261119T031500Z-88e07d12
  weir table push tables/item_cf --to s3://bucket/weir")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes one generation into a table's folder; does not publish it.
    Build(build::Args),
    /// Prints one list.
    Get(get::Args),
    /// Prints what a generation is.
    Stat(One),
    /// Checks every byte of a generation.
    Verify(One),
    /// Lists all generations, newest first: which is served, was, or was refused; and the end of the journal.
    List {
        /// The table's folder.
        folder: PathBuf,
    },
    /// Makes a generation the served one, if it is sound and not too far from the one before; puts a delta on top of it.
    Publish(publish::Args),
    /// Makes the served generation and the deltas on it one whole generation, and publishes that.
    Compact(compact::Args),
    /// Uploads what is published to an object store, for servers elsewhere.
    Push(push::Args),
    /// Goes back to what was published before, or to an earlier generation by its name; takes a delta off.
    Rollback {
        /// The table's folder.
        folder: PathBuf,
        /// Which of those that were published before; default the last of them.
        generation: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct One {
    /// The table's folder.
    folder: PathBuf,
    /// Which generation; default the served one.
    generation: Option<String>,
}

/// Runs one of the table commands.
///
/// # Errors
/// What the files say.
pub fn run(args: &Args) -> Result<()> {
    one(&args.command, args.format).map_err(mended)
}

fn one(command: &Command, format: Format) -> Result<()> {
    match command {
        Command::Build(args) => build::run(args, format),
        Command::Get(args) => get::run(args, format),
        Command::Compact(args) => compact::run(args, format),
        Command::Stat(one) => {
            stat::run(&Folder::at(&one.folder)?, one.generation.as_deref(), Verify::Open, format)
        }
        Command::Verify(one) => {
            stat::run(&Folder::at(&one.folder)?, one.generation.as_deref(), Verify::Full, format)
        }
        Command::List { folder } => list::run(&Folder::at(folder)?, format),
        Command::Publish(args) => publish::run(args, format),
        Command::Push(args) => push::run(args, format),
        Command::Rollback { folder, generation } => {
            let folder = Folder::at(folder)?;
            let generation = folder.rollback_to(generation.as_deref())?;
            match format {
                Format::Text => println!("{}: rolled back to {generation}", folder.path().display()),
                Format::Json => println!("{}", json!({"table": folder.name(), "generation": generation})),
            }
            Ok(())
        }
    }
}

/// A damaged file, with how to mend it.
fn mended(error: Error) -> Error {
    match error {
        Error::Data(data_layer::Error::Corrupt { path, section, offset, detail }) => {
            let mend = "build or copy it again; `weir table rollback` goes back to the one before";
            Error::Data(data_layer::Error::Corrupt {
                path,
                section,
                offset,
                detail: format!("{detail}; {mend}"),
            })
        }
        other => other,
    }
}
