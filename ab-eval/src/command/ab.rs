//! `weir-eval ab`: click-through by bucket of an experiment, from the log of a server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use data_layer::experiment::Layers;
use data_layer::feedback;
use data_layer::types::DEFAULT_NAMESPACE;
use data_layer::types::time::parse_span;

use super::{Format, print};
use crate::ab::{Question, summarise};
use crate::error::{Error, Result};
use crate::report::ab::{as_json, as_text};

const EXAMPLES: &str = "\
Examples:
  weir-eval ab --log log --experiment rank
  weir-eval ab --log log --experiment rank --shares a=0.9,b=0.1 --out report.json
  weir-eval ab --log log --experiment rank --experiments experiments
  weir-eval ab --log log --experiment rank --served

The log may belong to a running server. Without --epoch the newest epoch is counted.";

/// Click-through by bucket.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Ab {
    /// `[log].dir` of the server.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Layer of the experiment.
    #[arg(long, value_name = "LAYER")]
    experiment: String,
    /// Namespace.
    #[arg(long, default_value = DEFAULT_NAMESPACE)]
    namespace: String,
    /// Only this scene.
    #[arg(long)]
    scene: Option<String>,
    /// Only this epoch.
    #[arg(long)]
    epoch: Option<String>,
    /// Count what was served as seen, for scenes with `shown = "served"`.
    #[arg(long)]
    served: bool,
    /// The action that counts as a click.
    #[arg(long, default_value = "click")]
    action: String,
    /// Shares of people that were meant, such as a=0.9,b=0.1; absent: equal.
    #[arg(long, value_delimiter = ',', value_name = "BUCKET=SHARE", value_parser = share)]
    shares: Vec<(String, f64)>,
    /// Folder of experiment files (`[experiments].dir`): the layer's file says which shares were meant.
    #[arg(long, value_name = "DIR", conflicts_with = "shares")]
    experiments: Option<PathBuf>,
    /// How long after an answer an interaction without its request_id counts for it.
    #[arg(long, default_value = "24h")]
    window: String,
    /// Write the report to a file too; JSON where it ends in .json, else text.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Form of the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn share(text: &str) -> std::result::Result<(String, f64), String> {
    let wrong = || format!("expected BUCKET=SHARE with a share above 0, such as a=0.5, found {text:?}");
    let (name, share) = text.split_once('=').ok_or_else(wrong)?;
    let share: f64 = share.parse().map_err(|_| wrong())?;
    if share > 0.0 && share.is_finite() { Ok((name.to_owned(), share)) } else { Err(wrong()) }
}

impl Ab {
    /// Bucket to the share of people that was meant; empty where nothing says so.
    fn meant(&self) -> Result<BTreeMap<String, f64>> {
        let Some(folder) = &self.experiments else { return Ok(self.shares.iter().cloned().collect()) };
        let layers = Layers::load(folder)?;
        let layer = layers.get(&self.experiment).ok_or_else(|| {
            let names: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
            Error::input(folder, format!("expected a layer {:?}, found {names:?}", self.experiment))
        })?;
        Ok(layer.buckets.iter().map(|b| (b.name.clone(), f64::from(b.slots))).collect())
    }

    /// Reads the log, counts, prints.
    ///
    /// # Errors
    /// A log that cannot be read; no decision of that layer in it.
    pub fn run(self) -> Result<()> {
        let window = parse_span(&self.window).map_err(|e| Error::Usage(format!("--window: {e}")))?;
        let shares = self.meant()?;
        let outcomes: Vec<_> = feedback::join(&self.log, &self.namespace, window)?.collect();
        let question = Question {
            experiment: self.experiment,
            epoch: self.epoch,
            scene: self.scene,
            served: self.served,
            action: self.action,
            shares,
        };
        let Some(summary) = summarise(&outcomes, &question) else {
            let mut layers: Vec<&String> = outcomes.iter().flat_map(|o| o.decision.buckets.keys()).collect();
            layers.sort_unstable();
            layers.dedup();
            let detail = format!(
                "no decision of experiment {:?} matches; {} decisions, of the experiments {layers:?}",
                question.experiment,
                outcomes.len()
            );
            return Err(Error::input(&self.log, detail));
        };
        let (text, json) = (as_text(&summary), as_json(&summary).to_string());
        if let Some(path) = &self.out {
            let wants_json = path.extension().is_some_and(|e| e == "json");
            let report = if wants_json { &json } else { &text };
            std::fs::write(path, format!("{report}\n")).map_err(Error::io(path))?;
        }
        print(match self.format {
            Format::Text => &text,
            Format::Json => &json,
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn shares_are_checked() {
        assert_eq!(super::share("a=0.5"), Ok(("a".to_owned(), 0.5)));
        for bad in ["a", "a=", "a=x", "a=0", "a=-1", "a=inf"] {
            assert!(super::share(bad).is_err(), "{bad}");
        }
    }
}
