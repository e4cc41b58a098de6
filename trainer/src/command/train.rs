//! `weir-trainer train`.

use std::path::PathBuf;

use super::{Format, print};
use crate::Result;
use crate::model::Spec;
use crate::model::train::{Metrics, train};
use crate::runs::{Origin, Run, hash};
use crate::sample::read;

/// Trains a model from samples.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir-trainer train --samples samples --spec model.toml --out runs/1
  weir-trainer train --samples samples --spec model.toml --out runs/1 --format json

The run holds model.json, metrics.json (on held-out requests), spec.toml and run.json. The same samples and spec give the same bytes.")]
pub struct Args {
    /// The SAMPLES folder.
    #[arg(long)]
    samples: PathBuf,
    /// What to train (model.toml).
    #[arg(long)]
    spec: PathBuf,
    /// The run to write.
    #[arg(long)]
    out: PathBuf,
}

impl Args {
    pub(super) fn run(self, format: Format) -> Result<()> {
        let spec = Spec::load(&self.spec)?;
        let (samples, about) = read(&self.samples)?;
        let (model, metrics) = train(&samples, &about, &spec)?;
        let origin = Origin {
            format: 1,
            samples_hash: hash(&self.samples.join("samples.parquet"))?,
            samples: self.samples,
            about,
            trainer: env!("CARGO_PKG_VERSION").into(),
        };
        Run::write(&self.out, &model, &metrics, &spec, &origin)?;
        print(format, &metrics, text)
    }
}

/// Metrics for people.
pub(super) fn text(m: &Metrics) -> String {
    let grouped = m.grouped_auc.map_or("none".into(), |g| format!("{g:.4}"));
    let best = m
        .best_feature
        .as_ref()
        .map_or(String::new(), |(f, auc)| format!(" (best feature alone: {f} {auc:.4})"));
    let mut out = format!(
        "held out {} rows, {} positive: AUC {:.4}, within requests {grouped}{best}\n\
         log loss {:.5}, {:.3} of the constant's; calibration {:.2}\nweights of standardised features:",
        m.valid_rows, m.valid_positives, m.auc, m.log_loss, m.normalised_entropy, m.calibration
    );
    for (name, weight) in &m.importance {
        out.push_str(&format!("\n  {weight:+.3}  {name}"));
    }
    out
}
