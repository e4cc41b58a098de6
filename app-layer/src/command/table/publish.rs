//! `weir table publish`: the gate's limits, who overrides it, and what is told of it.

use std::path::{Path, PathBuf};

use data_layer::Config;
use data_layer::publish::{Folder, Gate, Limits, Published};
use serde_json::json;

use super::{Format, shown};
use crate::error::{Error, Result};

/// Makes a generation the served one, if it is sound and not too far from the one before; puts a delta on top of it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The limits are those of [tables.gate] of the configuration, under the flags that are given. Without --config the
configuration is $WEIR_CONFIG, else weir.toml of this folder where there is one, else the defaults.

Examples:
  weir table publish tables/item_cf
  weir table publish tables/item_cf 20261120T031500Z-1f3a9c04
  weir table publish tables/item_cf --least-coverage 0.9 --most-drift 1
  weir table publish tables/item_cf --force"
)]
pub(super) struct Args {
    /// The table's folder.
    folder: PathBuf,
    /// Which generation; default the newest.
    generation: Option<String>,
    #[command(flatten)]
    gate: GateArgs,
}

/// How far the new one may be from the one before.
#[derive(Debug, clap::Args)]
pub(super) struct GateArgs {
    /// Publish although the gate says no; the journal will tell. What is corrupt, empty or another table's is never published.
    #[arg(long)]
    force: bool,
    /// Least share of the keys of the one before that the new one has (0.5).
    #[arg(long, value_name = "SHARE")]
    least_coverage: Option<f64>,
    /// Least mean length of lists, as a multiple of that before (0.5).
    #[arg(long, value_name = "TIMES")]
    least_length: Option<f64>,
    /// Greatest mean length of lists, as a multiple of that before (2).
    #[arg(long, value_name = "TIMES")]
    most_length: Option<f64>,
    /// How far a quartile of the scores may move, in interquartile ranges of those before (3).
    #[arg(long, value_name = "RANGES")]
    most_drift: Option<f64>,
    /// How many generations stay, this one included: it, and those published before it ([tables] keep, else 5).
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// The configuration with the limits.
    #[arg(long, value_name = "FILE", env = "WEIR_CONFIG")]
    config: Option<PathBuf>,
}

/// How many stay where nobody says, as in `[tables] keep`.
const KEEP: usize = 5;

pub(super) fn run(args: &Args, format: Format) -> Result<()> {
    let folder = Folder::at(&args.folder)?;
    let keep = args.gate.keep()?;
    let told = folder.publish_told(args.generation.as_deref(), args.gate.gate()?)?;
    for warning in &told.warnings {
        eprintln!("{}: {warning}", folder.path().display());
    }
    let removed = remove_old(&folder, keep);
    match format {
        Format::Text => {
            println!("{}: published {}{}", folder.path().display(), told.generation, compared(&told));
            tell_removed(&folder, &removed);
        }
        Format::Json => println!(
            "{}",
            json!({"table": folder.name(), "generation": told.generation, "from": told.from, "gate": told.gate,
                "forced": told.forced, "removed": removed})
        ),
    }
    Ok(())
}

/// Removes what need not be kept, and gives back what it was. Where that fails it is told: what was published is published all the same.
pub(super) fn remove_old(folder: &Folder, keep: usize) -> Vec<String> {
    folder.keep(keep).unwrap_or_else(|error| {
        eprintln!("{}: old generations stay: {error}", folder.path().display());
        Vec::new()
    })
}

pub(super) fn tell_removed(folder: &Folder, removed: &[String]) {
    if !removed.is_empty() {
        println!("{}: removed old {}", folder.path().display(), removed.join(", "));
    }
}

impl GateArgs {
    /// The gate that they ask for.
    pub(super) fn gate(&self) -> Result<Gate> {
        let limits = self.limits()?;
        Ok(if self.force { Gate::Forced(limits) } else { Gate::Within(limits) })
    }

    /// How many generations stay.
    pub(super) fn keep(&self) -> Result<usize> {
        let configured = self.config()?.map(|config| config.tables.keep);
        match self.keep.or(configured).unwrap_or(KEEP) {
            0 => Err(Error::Usage("--keep: expected at least 1, found 0".to_owned())),
            keep => Ok(keep),
        }
    }

    fn config(&self) -> Result<Option<Config>> {
        let beside = Path::new("weir.toml");
        let file = self.config.as_deref().or_else(|| beside.is_file().then_some(beside));
        Ok(file.map(Config::load).transpose()?)
    }

    /// What the flags say, over what the configuration says.
    fn limits(&self) -> Result<Limits> {
        let mut limits = self.config()?.map_or_else(Limits::default, |config| config.tables.gate);
        for (given, limit) in [
            (self.least_coverage, &mut limits.least_coverage),
            (self.least_length, &mut limits.least_length),
            (self.most_length, &mut limits.most_length),
            (self.most_drift, &mut limits.most_drift),
        ] {
            *limit = given.unwrap_or(*limit);
        }
        let usage =
            |(name, detail): (&str, String)| Error::Usage(format!("--{}: {detail}", name.replace('_', "-")));
        limits.check().map_err(usage)?;
        Ok(limits)
    }
}

fn compared(told: &Published) -> String {
    match (&told.gate, &told.from) {
        (Some(gate), _) => format!("; against {}: {}", gate.before, shown::figures(gate)),
        (None, Some(from)) if *from == told.generation => "; it was the current one already".to_owned(),
        _ => String::new(),
    }
}
