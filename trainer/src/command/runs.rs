//! `weir-trainer runs`, `publish` and `rollback`.

use std::path::PathBuf;

use clap::Subcommand;
use data_layer::config::Config;
use data_layer::registry::Registry;

use super::{Format, print, train};
use crate::Result;
use crate::runs::Run;

/// What was trained, from what, how good.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  weir-trainer runs list --dir runs
  weir-trainer runs show runs/1
  weir-trainer runs compare runs/1 runs/2")]
pub enum Args {
    /// Lists the runs of a folder.
    List {
        /// The folder.
        #[arg(long, default_value = "runs")]
        dir: PathBuf,
    },
    /// Shows one run.
    Show {
        /// The run.
        run: PathBuf,
    },
    /// Compares two runs on their held-out requests.
    Compare {
        /// One run.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
}

impl Args {
    pub(super) fn run(self, format: Format) -> Result<()> {
        match self {
            Self::List { dir } => print(format, &Run::all(&dir)?, |runs| {
                if runs.is_empty() {
                    "no runs".to_owned()
                } else {
                    runs.iter().map(line).collect::<Vec<_>>().join("\n")
                }
            }),
            Self::Show { run } => print(format, &Run::open(&run)?, |run| {
                let about = &run.origin.about;
                format!(
                    "{}\nsamples {} ({}, {} rows of {} requests, scene {})\n{}",
                    line(run),
                    run.origin.samples.display(),
                    about.from,
                    about.rows,
                    about.requests,
                    about.scene,
                    train::text(&run.metrics)
                )
            }),
            Self::Compare { one, other } => compare(format, &Run::open(&one)?, &Run::open(&other)?),
        }
    }
}

fn line(run: &Run) -> String {
    let grouped = run.metrics.grouped_auc.map_or("none".into(), |g| format!("{g:.4}"));
    let (path, model) = (run.path.display(), &run.model);
    let (auc, entropy) = (run.metrics.auc, run.metrics.normalised_entropy);
    format!(
        "{path}  {} ({}, {} features)  AUC {auc:.4}  within requests {grouped}  log loss {entropy:.3} of the constant's",
        model.name,
        model.family,
        model.features.len()
    )
}

fn compare(format: Format, one: &Run, other: &Run) -> Result<()> {
    let (a, b) = (&one.model.metrics, &other.model.metrics);
    let same_rows = one.origin.samples_hash == other.origin.samples_hash;
    let rows: Vec<(String, f64, f64, f64)> =
        a.iter().filter_map(|(name, x)| b.get(name).map(|y| (name.clone(), *x, *y, y - x))).collect();
    let only = |x: &Run, y: &Run| -> Vec<String> {
        x.model.features.iter().filter(|f| !y.model.features.contains(f)).cloned().collect()
    };
    let json = serde_json::json!({
        "same_samples": same_rows,
        "metrics": rows.iter().map(|(n, x, y, d)| (n.clone(), serde_json::json!({"one": x, "other": y, "difference": d})))
            .collect::<serde_json::Map<_, _>>(),
        "features_only_in_one": only(one, other),
        "features_only_in_other": only(other, one),
    });
    print(format, &json, |_| {
        let mut out = format!("{} -> {}", one.path.display(), other.path.display());
        if !same_rows {
            out.push_str("\nnote: they were measured on different samples");
        }
        for (name, x, y, d) in &rows {
            out.push_str(&format!("\n  {name:<20} {x:.5} -> {y:.5}  ({d:+.5})"));
        }
        for (what, list) in [("without", only(one, other)), ("with", only(other, one))] {
            if !list.is_empty() {
                out.push_str(&format!("\n  {what} {}", list.join(", ")));
            }
        }
        out
    })
}

/// Publishes a run as the next version of a model.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  weir-trainer publish runs/1 --model ctr --config weir.toml --gate

The gate: the model's log loss must beat the constant's, and its AUC within requests must not be more than 0.005 below that of
its best feature alone, or of the served version.")]
pub struct Publish {
    /// The run.
    run: PathBuf,
    /// Name of the model that scenes use.
    #[arg(long)]
    model: String,
    /// The configuration (weir.toml) that names the folder of models.
    #[arg(long, default_value = "weir.toml")]
    config: PathBuf,
    /// Refuse a model that does not help.
    #[arg(long)]
    gate: bool,
}

/// Goes back to the version that was served before.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// Name of the model.
    model: String,
    /// The configuration (weir.toml) that names the folder of models.
    #[arg(long, default_value = "weir.toml")]
    config: PathBuf,
}

fn done(format: Format, name: &str, version: u32) -> Result<()> {
    let json = serde_json::json!({"model": name, "version": version, "current": format!("{name}@{version}")});
    print(format, &json, |_| format!("{name}@{version} is served from now on"))
}

impl Publish {
    pub(super) fn run(self, format: Format) -> Result<()> {
        let config = Config::load(&self.config)?;
        let version = crate::publish::model(&config, &self.model, &Run::open(&self.run)?, self.gate)?;
        done(format, &self.model, version)
    }
}

impl Rollback {
    pub(super) fn run(self, format: Format) -> Result<()> {
        let config = Config::load(&self.config)?;
        let version = Registry::of(&config).rollback(&self.model)?;
        done(format, &self.model, version)
    }
}
