//! `weir-trainer import`.

use std::path::PathBuf;

use super::{Format, print};
use crate::data::Report;
use crate::import::{Inputs, Options, find, run};
use crate::{Error, Result};

/// Reads RecBole, CSV, TSV, Parquet, MovieLens or event files into DATA.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir-trainer import --dir ml-latest-small --out data
  weir-trainer import --inter clicks.csv --items goods.parquet --out data
  weir-trainer import --inter events.ndjson --out data --skip-bad 10")]
pub struct Args {
    /// A folder to look through (*.inter, *.parquet, ratings.csv and movies.csv, *.ndjson).
    #[arg(long, conflicts_with_all = ["inter", "items", "users"])]
    dir: Option<PathBuf>,
    /// Files of interactions.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    inter: Vec<PathBuf>,
    /// Files of items.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    items: Vec<PathBuf>,
    /// Files of users.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    users: Vec<PathBuf>,
    /// The DATA folder to write.
    #[arg(long)]
    out: PathBuf,
    /// How many malformed lines of a file may be skipped (and counted) before the import fails.
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip_bad: u64,
}

impl Args {
    pub(super) fn run(self, format: Format) -> Result<()> {
        let inputs = match (&self.dir, self.inter.is_empty()) {
            (Some(dir), _) => find(dir)?,
            (None, false) => {
                Inputs { parts: vec![(String::new(), self.inter)], items: self.items, users: self.users }
            }
            (None, true) => return Err(Error::Usage("name what to import with --inter or --dir".into())),
        };
        let done = run(&inputs, &self.out, Options { skip_bad: self.skip_bad })?;
        let json = serde_json::json!({
            "out": self.out,
            "parts": done.iter().map(|(n, r)| serde_json::json!({"part": n, "report": r})).collect::<Vec<_>>(),
        });
        print(format, &json, |_| {
            done.iter().map(|(name, report)| text(name, report)).collect::<Vec<_>>().join("\n")
        })
    }
}

fn text(name: &str, report: &Report) -> String {
    let part = if name.is_empty() { String::new() } else { format!("{name}: ") };
    let mut out = format!(
        "{part}{} interactions of {} users with {} items",
        report.interactions, report.users, report.items
    );
    if report.times {
        use data_layer::types::time::format_rfc3339;
        let (first, last) = (format_rfc3339(report.first_ms), format_rfc3339(report.last_ms));
        out.push_str(&format!(", {first} to {last} (times in {})", report.time_unit));
    }
    for file in &report.files {
        let skipped: Vec<String> = file.skipped.iter().map(|(why, n)| format!("{n} {why}")).collect();
        let skipped =
            if skipped.is_empty() { String::new() } else { format!("; skipped {}", skipped.join(", ")) };
        out.push_str(&format!("\n  {} ({}): {} rows{skipped}", file.file, file.form, file.read));
        if !file.ignored_columns.is_empty() {
            out.push_str(&format!("; not used: {}", file.ignored_columns.join(", ")));
        }
    }
    report.notes.iter().for_each(|note| out.push_str(&format!("\n  note: {note}")));
    out
}
