//! `weir table`: build, look into, check, publish and roll back tables, without a server. A server takes the change within a second.

mod build;
mod compact;
mod get;
mod publish;
mod push;

use std::path::PathBuf;

use clap::Subcommand;
use data_layer::publish::{Folder, Stat};
use data_layer::types::time;
use serde_json::json;

use super::Format;
use crate::error::{Error, Result};

/// Builds, looks into, checks, publishes and rolls back tables.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir table build --input sim.parquet --key item --item similar --score score --out tables/item_cf
  weir table get tables/item_cf i1
  weir table publish tables/item_cf
  weir table publish tables/item_cf --force          # although it is far from the one before
  weir table compact tables/item_cf                  # the served generation and its deltas become one
  weir table rollback tables/item_cf
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
    /// Lists all generations, newest first.
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
    /// Goes back to what was published before; takes a delta off.
    Rollback {
        /// The table's folder.
        folder: PathBuf,
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
    let format = args.format;
    match &args.command {
        Command::Build(args) => build::run(args, format),
        Command::Get(args) => get::run(args, format),
        Command::Compact(args) => compact::run(args, format),
        Command::Stat(one) => {
            show(&Folder::at(&one.folder)?.stat(one.generation.as_deref())?, format, "");
            Ok(())
        }
        Command::Verify(one) => {
            show(&Folder::at(&one.folder)?.verify(one.generation.as_deref())?, format, "every byte checks\n");
            Ok(())
        }
        Command::List { folder } => list(&Folder::at(folder)?, format),
        Command::Publish(args) => publish::run(args, format),
        Command::Push(args) => push::run(args, format),
        Command::Rollback { folder } => {
            let folder = Folder::at(folder)?;
            let generation = folder.rollback()?;
            say(&folder, "rolled back to", &generation, format);
            Ok(())
        }
    }
}

fn list(folder: &Folder, format: Format) -> Result<()> {
    if !folder.path().is_dir() {
        return Err(Error::Data(data_layer::Error::NotFound {
            what: "table",
            name: folder.path().display().to_string(),
            hint: "; expected the folder DIR/NAME of a table".to_owned(),
        }));
    }
    let generations = folder.list()?;
    match format {
        Format::Text => {
            for g in generations {
                let mark = match (g.current, g.on_top) {
                    (_, true) => "+",
                    (true, _) => "*",
                    _ => " ",
                };
                println!("{mark} {}\t{} bytes", g.generation, g.bytes);
            }
        }
        Format::Json => {
            let all: Vec<_> = generations
                .iter()
                .map(|g| json!({"generation": g.generation, "current": g.current, "on_top": g.on_top, "bytes": g.bytes}))
                .collect();
            println!("{}", json!({"table": folder.name(), "generations": all}));
        }
    }
    Ok(())
}

fn show(stat: &Stat, format: Format, note: &str) {
    match format {
        Format::Json => println!("{}", serde_json::to_string(stat).unwrap_or_default()),
        Format::Text => {
            let s = &stat.statistics;
            println!("{} of table {} in namespace {}", stat.generation, stat.table, stat.namespace);
            println!(
                "format {}, watermark {}, {} bytes",
                stat.format,
                time::format_rfc3339(stat.watermark),
                stat.bytes
            );
            println!(
                "{} lists ({} empty, longest {}), {} entries, {} items",
                s.lists, s.empty_lists, s.longest, s.entries, s.items
            );
            println!("scores {} to {}, stored within {}", s.least_score, s.greatest_score, s.score_error);
            if let Some(sum) = &stat.delta_of {
                println!("a delta of the generation with sum {sum}");
            }
            for delta in &stat.deltas {
                println!("+ {delta} on top");
            }
            print!("{note}");
        }
    }
}

fn say(folder: &Folder, what: &str, generation: &str, format: Format) {
    match format {
        Format::Text => println!("{}: {what} {generation}", folder.path().display()),
        Format::Json => println!("{}", json!({"table": folder.name(), "generation": generation})),
    }
}
