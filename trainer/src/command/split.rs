//! `weir-trainer split`.

use std::path::PathBuf;

use super::{Format, print};
use crate::Error;
use crate::Result;
use crate::data::Data;
use crate::split::{At, By, run};

/// Splits DATA into train and test without a leak.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir-trainer split --data data --by time --test 0.2 --out split
  weir-trainer split --data data --by time --at 2013-06-01T00:00:00Z --out split
  weir-trainer split --data data --by leave-last --out split")]
pub struct Args {
    /// The DATA folder to split.
    #[arg(long)]
    data: PathBuf,
    /// What decides.
    #[arg(long, value_enum)]
    by: Kind,
    /// Share held out (time, hash).
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    test: f64,
    /// Where to cut in time: a share of the rows (0.8), milliseconds since 1970, or RFC 3339. Replaces --test.
    #[arg(long, value_name = "FRACTION|TIME")]
    at: Option<At>,
    /// Seed of the draw (hash).
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder to write: train/, test/ and split.json.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// What happened at or after one moment is held out.
    Time,
    /// A share of (user, item) pairs, drawn by a seeded hash.
    Hash,
    /// Each user's last item.
    LeaveLast,
}

pub(super) fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if s > 0.0 && s < 1.0 => Ok(s),
        _ => Err(format!("expected a share between 0 and 1, found {text:?}")),
    }
}

impl Args {
    pub(super) fn run(self, format: Format) -> Result<()> {
        if self.at.is_some() && self.by != Kind::Time {
            return Err(Error::Usage("--at goes with --by time".into()));
        }
        let by = match self.by {
            Kind::Time => By::Time(self.at.unwrap_or(At::Share(1.0 - self.test))),
            Kind::Hash => By::Hash { test: self.test, seed: self.seed },
            Kind::LeaveLast => By::LeaveLast,
        };
        let data = Data::open(&self.data)?;
        if !data.report.times && self.by != Kind::Hash {
            eprintln!("weir-trainer: note: this data has no times; the order of the file stands for them");
        }
        let report = run(&data, by, &self.out)?;
        print(format, &report, |r| {
            let cut = r.cut.as_ref().map_or(String::new(), |c| format!(", cut at {c}"));
            format!(
                "train {} rows, test {} rows of {} users ({} of them new){cut}",
                r.train, r.test, r.test_users, r.cold_users
            )
        })
    }
}
