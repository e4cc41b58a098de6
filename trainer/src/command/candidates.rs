//! `weir-trainer candidates`.

use std::path::PathBuf;
use std::time::Instant;

use super::{Format, print};
use crate::data::Data;
use crate::offline::{METHODS, Settings, Target, columns, method, write_parquet};
use crate::{Error, Result};

/// Builds a table of candidates, and publishes it.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// The DATA folder to learn from.
    #[arg(long)]
    data: PathBuf,
    /// Which method; --help lists them.
    #[arg(long)]
    method: String,
    /// A setting of the method.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Longest list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    top: u32,
    /// Lists for whom. Rankings (popular, popular_lately) for items are one list under the key `all`.
    #[arg(long = "for", value_enum, default_value_t = For::Items)]
    target: For,
    /// Parquet file to write.
    #[arg(long, required_unless_present = "publish")]
    out: Option<PathBuf>,
    /// Table to build and publish in the folder of the configuration.
    #[arg(long, value_name = "TABLE", requires = "config")]
    publish: Option<String>,
    /// Publish although the gate ([tables.gate]) says that the table is too far from the one before; the journal will tell.
    #[arg(long, requires = "publish")]
    force: bool,
    /// The configuration (weir.toml) that names the folder of tables.
    #[arg(long)]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum For {
    /// One list for each user.
    Users,
    /// One list for each item.
    Items,
}

fn after_help() -> String {
    let mut out = String::from("Methods and their settings (--set key=value):\n");
    for (name, method) in METHODS {
        out.push_str(&format!("  {name}: {}\n", method.about()));
        for (key, value, meaning) in method.settings() {
            out.push_str(&format!("      {key}={value}  {meaning}\n"));
        }
    }
    out.push_str(
        "\nExamples:
  weir-trainer candidates --data train --method item_cf --top 100 --out item_cf.parquet
  weir-trainer candidates --data train --method popular_lately --set half_life=3d --top 500 --publish popular_lately --config weir.toml
  weir-trainer candidates --data train --method item_cf --for users --top 20 --out recs.parquet",
    );
    out
}

/// What was built.
#[derive(Debug, serde::Serialize)]
struct Done {
    method: String,
    settings: std::collections::BTreeMap<String, String>,
    keys: usize,
    rows: usize,
    seconds: f64,
    out: Option<PathBuf>,
    table: Option<String>,
    published: Option<String>,
}

impl Args {
    pub(super) fn run(self, format: Format) -> Result<()> {
        let chosen = method(&self.method)?;
        let settings = Settings::read(&self.set, chosen.settings())?;
        let config = self.config.as_ref().map(data_layer::config::Config::load).transpose()?;
        let data = Data::open(&self.data)?;
        if data.interactions.is_empty() {
            return Err(Error::invalid(
                self.data.display().to_string(),
                "there are no interactions to learn from",
            ));
        }
        let target = if self.target == For::Users { Target::Users } else { Target::Items };
        let started = Instant::now();
        let lists = chosen.build(&data, &settings, target, self.top as usize)?;
        let seconds = started.elapsed().as_secs_f64();
        if let Some(out) = &self.out {
            write_parquet(out, &data, &lists, columns(target, chosen.ranking()))?;
        }
        let published = match (&config, &self.publish) {
            (Some(config), Some(table)) => {
                let told = crate::publish::table(config, table, &data, &lists, chosen.ranking(), self.force)?;
                told.warnings.iter().for_each(|warning| eprintln!("table {table}: {warning}"));
                Some(told.generation)
            }
            _ => None,
        };
        let done = Done {
            method: self.method,
            settings: settings.all().clone(),
            keys: lists.keys.len(),
            rows: lists.lists.iter().map(Vec::len).sum(),
            seconds,
            out: self.out,
            table: self.publish,
            published,
        };
        print(format, &done, |d| {
            let at = d.out.as_ref().map_or(String::new(), |o| format!(" to {}", o.display()));
            let published = match (&d.table, &d.published) {
                (Some(table), Some(generation)) => format!("; table {table} is {generation}"),
                _ => String::new(),
            };
            format!("{}: {} lists, {} rows in {:.1} s{at}{published}", d.method, d.keys, d.rows, d.seconds)
        })
    }
}
