//! `weir-eval ctr`: scored rows against their labels.

use std::path::PathBuf;

use clap::Args;

use super::{Format, print};
use crate::ctr::judge;
use crate::error::Result;
use crate::inference::Resampling;
use crate::input::scored;
use crate::report::ctr::{as_json, as_text};

const EXAMPLES: &str = "\
Examples:
  weir-eval ctr --scored scored.parquet
  weir-eval ctr --scored scored.csv --k 5,10 --format json

Columns: label (0 or 1) and score; user (for GAUC), slate (for NDCG and MRR) and weight where there are. A metric that is
not defined on the data is named with the reason.";

/// Judge scored rows.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Ctr {
    /// Scored rows: Parquet, .csv, or text with tabs.
    #[arg(long, value_name = "FILE")]
    scored: PathBuf,
    /// Where slates are cut.
    #[arg(long, value_delimiter = ',', default_values_t = [5_u32, 10], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    k: Vec<u32>,
    /// Bootstrap resamples of users, else slates, else rows.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    resamples: u32,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Form of the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Ctr {
    /// Reads, judges, prints.
    ///
    /// # Errors
    /// A file that is not what it should be.
    pub fn run(self) -> Result<()> {
        let sample = scored::read(&self.scored)?;
        let mut cuts: Vec<usize> = self.k.iter().map(|k| *k as usize).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let how = Resampling { times: self.resamples as usize, seed: self.seed };
        let figures = judge(&sample, &cuts, how);
        print(&match self.format {
            Format::Text => as_text(&sample, &figures),
            Format::Json => as_json(&sample, &figures).to_string(),
        })
    }
}
