//! `weir table compact`: a generation and the deltas on it become one whole generation, through the gate.

use std::path::PathBuf;

use data_layer::publish::Folder;
use serde_json::json;

use super::super::{Format, bar};
use super::publish::{GateArgs, remove_old, tell_removed};
use crate::error::Result;

/// Which table, and within what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The table's folder.
    folder: PathBuf,
    #[command(flatten)]
    gate: GateArgs,
}

/// Compacts.
///
/// # Errors
/// There is no delta, something is damaged, or the gate says no; what is served then stays.
pub fn run(args: &Args, format: Format) -> Result<()> {
    let folder = Folder::at(&args.folder)?;
    let (gate, keep) = (args.gate.gate()?, args.gate.keep()?);
    let bar = bar(0, "lists written");
    let told = folder.compact(gate, &mut |lists| bar.set_position(lists))?;
    bar.finish_and_clear();
    for warning in &told.warnings {
        eprintln!("{}: {warning}", folder.path().display());
    }
    let removed = remove_old(&folder, keep);
    let from = told.from.clone().unwrap_or_default();
    match format {
        Format::Text => {
            println!("{}: published {}, made of {from}", folder.path().display(), told.generation);
            tell_removed(&folder, &removed);
        }
        Format::Json => println!(
            "{}",
            json!({"table": folder.name(), "generation": told.generation, "from": from, "gate": told.gate,
                "forced": told.forced, "removed": removed})
        ),
    }
    Ok(())
}
