//! `weir table`: build, look into, check, publish and roll back tables, without a server. A server takes the change within a second.

mod build;
mod publish;

use std::path::PathBuf;

use clap::Subcommand;
use data_layer::keylist::{Key, Verify};
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
  weir table rollback tables/item_cf")]
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
    Get {
        /// The table's folder.
        folder: PathBuf,
        /// The key.
        key: String,
        /// Another generation than the served one.
        #[arg(long)]
        generation: Option<String>,
    },
    /// Prints what a generation is.
    Stat(One),
    /// Checks every byte of a generation.
    Verify(One),
    /// Lists all generations, newest first.
    List {
        /// The table's folder.
        folder: PathBuf,
    },
    /// Makes a generation the served one, if it is sound and not too far from the one before.
    Publish(publish::Args),
    /// Goes back to the generation that was published before.
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
        Command::Get { folder, key, generation } => {
            get(&Folder::at(folder)?, key, generation.as_deref(), format)
        }
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
        Command::Rollback { folder } => {
            let folder = Folder::at(folder)?;
            let generation = folder.rollback()?;
            say(&folder, "rolled back to", &generation, format);
            Ok(())
        }
    }
}

fn get(folder: &Folder, key: &str, generation: Option<&str>, format: Format) -> Result<()> {
    let table = folder.open(generation, Verify::Open)?;
    let found = table.get(key)?;
    let mut vector: Vec<f32> = Vec::new();
    if let Some(key) = Key::of_kind(key, table.header().keys) {
        table.vector(key, &mut vector)?;
    }
    let items: Vec<(&str, f32)> =
        found.iter().flat_map(|list| list.iter().map(|(i, s)| (table.dictionary(i), s))).collect();
    match format {
        Format::Text if items.is_empty() && vector.is_empty() => {
            eprintln!("{key:?} has no list in {}", table.header().generation())
        }
        Format::Text => {
            if !vector.is_empty() {
                println!("{}", vector.iter().map(f32::to_string).collect::<Vec<_>>().join(" "));
            }
            items.iter().for_each(|(item, score)| println!("{item}\t{score}"));
        }
        Format::Json => {
            let items: Vec<_> =
                items.iter().map(|(item, score)| json!({"item": item, "score": score})).collect();
            let mut answer = json!({"key": key, "generation": table.header().generation(), "items": items});
            if !vector.is_empty() {
                answer["vector"] = json!(vector);
            }
            println!("{answer}");
        }
    }
    Ok(())
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
                println!("{}{}\t{} bytes", if g.current { "* " } else { "  " }, g.generation, g.bytes);
            }
        }
        Format::Json => {
            let all: Vec<_> = generations
                .iter()
                .map(|g| json!({"generation": g.generation, "current": g.current, "bytes": g.bytes}))
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
