//! `weir-trainer sample`.

use std::path::PathBuf;
use std::sync::Arc;

use data_layer::access::{Access, Tables};
use data_layer::config::Config;
use data_layer::types::time::parse_span;

use super::{Format, print};
use crate::data::Data;
use crate::model::Spec;
use crate::sample::bootstrap::{self, Moments, Plan};
use crate::sample::{About, Samples, Scene, World, history, write};
use crate::split::{At, cut};
use crate::{Error, Result};

/// Makes samples to train from: out of a server's log, or by replaying DATA.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir-trainer sample --log demo/log --config demo/weir.toml --out samples
  weir-trainer sample --data train --from 0.875 --scene home.toml --config weir.toml --out samples
  weir-trainer sample --data train --history past --scene home.toml --config weir.toml --out samples

Replaying asks the tables of the configuration. Publish tables from before the window first: tables that know what they are
then asked to predict leak the label.")]
pub struct Args {
    /// Log folder of a server: decisions joined with what people did. (The configuration names it too.)
    #[arg(long, conflicts_with = "data")]
    log: Option<PathBuf>,
    /// A DATA folder to replay instead.
    #[arg(long, required_unless_present = "log")]
    data: Option<PathBuf>,
    /// The past, as DATA: what --data has beyond it are the labels. In place of --from.
    #[arg(long, conflicts_with_all = ["from", "to"], requires = "data")]
    history: Option<PathBuf>,
    /// Start of the window: a share of the rows, milliseconds since 1970, or RFC 3339.
    #[arg(long, value_name = "FRACTION|TIME")]
    from: Option<At>,
    /// End of the window; default: the end of the data.
    #[arg(long, value_name = "FRACTION|TIME")]
    to: Option<At>,
    /// The scene whose recalls propose (replay), or whose decisions count (log; its name or file).
    #[arg(long)]
    scene: Option<PathBuf>,
    /// The configuration (weir.toml).
    #[arg(long)]
    config: PathBuf,
    /// When people ask: `snapshot` (once, at the start of the window), `parts:N`, or `sessions:30m` (after each pause).
    #[arg(long, default_value = "snapshot", value_parser = moments)]
    requests: Moments,
    /// At most this many requests, drawn evenly (replay).
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    most_requests: usize,
    /// Share of the negatives to keep.
    #[arg(long, default_value_t = 0.2, value_parser = kept)]
    negatives: f64,
    /// Seed of that draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make only the features that this spec names; default: all that there are.
    #[arg(long)]
    spec: Option<PathBuf>,
    /// How long after a decision an action still belongs to it (log).
    #[arg(long, default_value = "24h", value_parser = parse_span)]
    window: i64,
    /// The SAMPLES folder to write.
    #[arg(long)]
    out: PathBuf,
}

fn moments(text: &str) -> std::result::Result<Moments, String> {
    let wrong =
        || format!("expected snapshot, parts:N or sessions:SPAN such as sessions:30m, found {text:?}");
    match text.split_once(':') {
        None if text == "snapshot" => Ok(Moments::Snapshot),
        Some(("parts", n)) => match n.parse() {
            Ok(n @ 1..=1000) => Ok(Moments::Parts(n)),
            _ => Err(wrong()),
        },
        Some(("sessions", span)) => parse_span(span).map(Moments::Sessions),
        _ => Err(wrong()),
    }
}

fn kept(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if s > 0.0 && s <= 1.0 => Ok(s),
        _ => Err(format!("expected a share above 0, up to 1, found {text:?}")),
    }
}

impl Args {
    pub(super) fn run(self, format: Format) -> Result<()> {
        let config = Config::load(&self.config)?;
        let (samples, about) = match &self.data {
            Some(data) => self.replay(&config, data)?,
            None => self.log(&config)?,
        };
        if about.positives == 0 {
            return Err(Error::invalid(
                "samples",
                format!(
                    "{} requests and not one recalled item was taken; nothing can be learnt from that",
                    about.requests
                ),
            ));
        }
        write(&self.out, &samples, &about)?;
        print(format, &about, |a| {
            let notes: String = a.notes.iter().map(|n| format!("\n  note: {n}")).collect();
            // A log does not say who had a history.
            let cold = match a.from.as_str() {
                "log" => String::new(),
                _ => format!(" ({} of people without history)", a.cold_requests),
            };
            let (rows, positives, requests, features) = (a.rows, a.positives, a.requests, a.features.len());
            format!(
                "{rows} rows, {positives} positive, of {requests} requests{cold}, {features} features{notes}"
            )
        })
    }

    fn replay(&self, config: &Config, dir: &std::path::Path) -> Result<(Samples, About)> {
        let Some(scene) = &self.scene else {
            return Err(Error::Usage(
                "--data needs --scene FILE: its recalls propose what is sampled".into(),
            ));
        };
        let scene = Scene::load(scene)?;
        let mut data = Data::open(dir)?;
        let window = match &self.history {
            Some(past) => {
                let (joined, window) = history::after(&data, &Data::open(past)?)?;
                data = joined;
                window
            }
            None => self.window_of(&data)?,
        };
        let plan = Plan {
            from: window.0,
            to: window.1,
            moments: self.requests,
            most: self.most_requests,
            negatives: self.negatives,
            seed: self.seed,
        };
        let mut world = World::new(config, &data)?;
        let tables = Tables::open(config, Arc::clone(&world.live))?;
        let snapshot = tables.snapshot();
        let late: Vec<&str> = snapshot
            .tables()
            .filter(|(_, table)| table.table().header().watermark >= plan.from)
            .map(|(name, _)| name)
            .collect();
        let leak = format!(
            "tables {} know what happens in the window (watermark at or after it); the label leaks into their scores",
            late.join(", ")
        );
        let live = Arc::clone(&world.live);
        let access = Access { snapshot: &snapshot, live: live.lists(), now_ms: 0 };
        let features = match &self.spec {
            Some(path) => {
                let there = compute_layer::FeatureSet::all_names(&scene.sources(), &live.schema());
                Spec::load(path)?.resolve(&there)?
            }
            None => Vec::new(),
        };
        let (samples, mut about) = bootstrap::run(&data, &mut world, &scene, &access, &features, plan)?;
        about.tables = snapshot.generations();
        if !late.is_empty() {
            eprintln!("weir-trainer: warning: {leak}");
            about.notes.push(leak);
        }
        Ok((samples, about))
    }

    fn window_of(&self, data: &Data) -> Result<(i64, i64)> {
        let Some(from) = self.from else {
            return Err(Error::Usage(
                "--data needs --from (a share of the rows, or a time) or --history DATA".into(),
            ));
        };
        let times = &data.interactions.time;
        let from = cut(times, from)?;
        let to = match self.to {
            Some(to) => cut(times, to)?,
            None => times.last().map_or(from, |t| t + 1),
        };
        if from >= to {
            return Err(Error::Usage("--from must be before --to".into()));
        }
        Ok((from, to))
    }

    fn log(&self, config: &Config) -> Result<(Samples, About)> {
        let dir = self.log.clone().unwrap_or_else(|| config.log.dir.clone());
        let scene = self.scene.as_ref().and_then(|s| s.file_stem()).and_then(|s| s.to_str());
        crate::sample::log::run(config, &dir, scene, self.window, self.negatives, self.seed)
    }
}
