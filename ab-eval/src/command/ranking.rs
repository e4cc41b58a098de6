//! `weir-eval ranking`: ranked lists against what people took.

use std::path::PathBuf;

use clap::Args;

use super::{Format, print};
use crate::error::{Error, Result};
use crate::inference::Resampling;
use crate::input::{Catalogue, Lists, Names, Truth};
use crate::ranking::{Case, judge};
use crate::report::ranking::{Users, as_json, as_text};

const EXAMPLES: &str = "\
Examples:
  weir-eval ranking --recs recs.parquet --truth test.inter --k 10,20
  weir-eval ranking --recs recs.parquet --truth test.parquet --k 20 --baseline popular.parquet --format json
  weir-eval ranking --recs recs.parquet --truth test.parquet --items items.parquet --train train.parquet

Lists need the columns user, item, and rank or score. Users in the truth without a list count as zero; users without
anything relevant are left out. Novelty needs --train, diversity --items.";

/// Compare ranked lists with what people took.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Ranking {
    /// Lists: Parquet (or text) with user, item, and rank or score.
    #[arg(long, value_name = "FILE")]
    recs: PathBuf,
    /// What people took: Parquet, .inter or other text with user and item.
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Where lists are cut.
    #[arg(long, value_delimiter = ',', default_values_t = [10_u32, 20], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    k: Vec<u32>,
    /// Lists to compare with, on the same users.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Items file: its rows are the catalogue, and say how items differ.
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Number of items that could have been listed, where no file says so.
    #[arg(long, value_name = "N", conflicts_with = "items")]
    catalogue: Option<usize>,
    /// Column of the items file that diversity goes by.
    #[arg(long, value_name = "COLUMN", requires = "items")]
    attribute: Option<String>,
    /// Training interactions, for novelty.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Bootstrap resamples of users.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    resamples: u32,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Form of the result.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Ranking {
    /// Reads, judges, prints.
    ///
    /// # Errors
    /// A file that is not what it should be; a truth without anything in it; a catalogue smaller than what was seen.
    pub fn run(self) -> Result<()> {
        let (mut users, mut items) = (Names::default(), Names::default());
        let mut catalogue = Catalogue::default();
        if let Some(path) = &self.items {
            catalogue.read_items(path, self.attribute.as_deref(), &mut items)?;
        }
        let truth = Truth::read(&self.truth, &mut users, &mut items)?;
        let lists = Lists::read(&self.recs, &mut users, &mut items)?;
        let baseline = match &self.baseline {
            Some(path) => Some(Lists::read(path, &mut users, &mut items)?),
            None => None,
        };
        if let Some(path) = &self.train {
            catalogue.read_training(path, &mut items)?;
        }
        catalogue.size = self.size(items.len())?;
        let judged = truth.users(&users);
        if judged.is_empty() {
            return Err(Error::input(&self.truth, "expected users with relevant items, found none"));
        }
        let unlisted = judged.iter().filter(|u| !lists.has(**u)).count();
        let case = Case {
            lists: &lists,
            baseline: baseline.as_ref(),
            truth: &truth,
            users: &judged,
            catalogue: &catalogue,
        };
        let cuts = self.cuts();
        let how = Resampling { times: self.resamples as usize, seed: self.seed };
        let figures = judge(&case, &cuts, how);
        let users = Users { judged: judged.len(), unlisted };
        print(&match self.format {
            Format::Text => as_text(users, &figures),
            Format::Json => as_json(users, &figures).to_string(),
        })
    }

    fn cuts(&self) -> Vec<usize> {
        let mut cuts: Vec<usize> = self.k.iter().map(|k| *k as usize).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    fn size(&self, seen: usize) -> Result<usize> {
        match self.catalogue {
            Some(n) if n < seen => Err(Error::Usage(format!(
                "--catalogue must be at least the number of different items in the files, {seen}, found {n}"
            ))),
            Some(n) => Ok(n),
            None => Ok(seen),
        }
    }
}
