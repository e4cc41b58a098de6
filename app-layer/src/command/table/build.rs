//! `weir table build`: files of rows into a generation, however large, without a server and without publishing it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use data_layer::config::parse_size;
use data_layer::keylist::{KeyKind, Op, ScoreCodec, TableSpec};
use data_layer::publish::{Folder, input};
use data_layer::types::{Millis, time};
use indicatif::ProgressBar;
use serde_json::json;

use super::super::{Format, bar};
use crate::error::Result;

/// What `weir table build` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir table build --input sim.parquet --key item --item similar --score score --out tables/item_cf
  weir table build --input lists.csv --separator '|' --out tables/near            # a row per key: k1,i1|i2,0.9|0.8
  weir table build --input users.parquet --key user --vector embedding --out tables/user_vectors
  weir table build --input all.parquet --memory 64MiB --out tables/all            # more rows than memory
  weir table build --delta --input changed.csv --out tables/item_cf               # a column op: replace, merge or delete
  weir table build --delta --op merge --input new.csv --out tables/item_cf")]
pub struct Args {
    /// Parquet, CSV, TSV or NDJSON: a row per key and item, or a row per key with lists.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Column of keys.
    #[arg(long, default_value = "key")]
    key: String,
    /// Column of items, or of lists of items.
    #[arg(long, default_value = "item")]
    item: String,
    /// Column of scores, or of lists of scores.
    #[arg(long)]
    score: Option<String>,
    /// Column of ranks, where a row is a place.
    #[arg(long)]
    rank: Option<String>,
    /// Column of vectors, one per key; items may then be missing.
    #[arg(long, value_name = "COLUMN")]
    vector: Option<String>,
    /// What stands between the elements of a list in CSV and TSV.
    #[arg(long, value_name = "CHARACTER")]
    separator: Option<char>,
    /// A small generation on top of the one that is served: only keys that change. Keys and scores are stored as below.
    #[arg(long, conflicts_with_all = ["numbers", "exact"])]
    delta: bool,
    /// What the delta does with all of its keys; default what a column `op` says of each, else replace.
    #[arg(long, value_name = "OP", requires = "delta", value_parser = ["replace", "merge", "delete"])]
    op: Option<String>,
    /// Longest list, at least 1.
    #[arg(long)]
    top: Option<NonZeroUsize>,
    /// What rows and lists may take in memory, beside the ids of items; more waits on the disk, beside the table. The table is the
    /// same.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = memory)]
    memory: usize,
    /// The table's folder.
    #[arg(long, value_name = "DIR/NAME")]
    out: PathBuf,
    /// How far the source had come, in milliseconds since the Unix epoch; default now.
    #[arg(long, value_name = "T")]
    watermark: Option<Millis>,
    /// Keys are 64-bit numbers.
    #[arg(long)]
    numbers: bool,
    /// Keep scores bit for bit, at twice the space.
    #[arg(long)]
    exact: bool,
}

/// Least memory that is of any use.
const LEAST_MEMORY: usize = 1 << 20;

fn memory(text: &str) -> std::result::Result<usize, String> {
    let size = parse_size(text)?;
    if size < LEAST_MEMORY { Err(format!("expected 1MiB or more, found {text}")) } else { Ok(size) }
}

/// The progress of one phase after the other.
struct Phase {
    name: &'static str,
    bar: ProgressBar,
}

impl Phase {
    fn new() -> Self {
        Self { name: "", bar: ProgressBar::hidden() }
    }

    /// `of` 0 where the end is not known.
    fn at(&mut self, name: &'static str, done: u64, of: u64) {
        if self.name != name {
            self.bar.finish_and_clear();
            *self = Self { name, bar: bar(of, name) };
        }
        self.bar.set_position(done);
    }
}

/// Builds a generation and says what it is.
///
/// # Errors
/// What the file says, with line and column; or the system.
pub fn run(args: &Args, format: Format) -> Result<()> {
    let folder = Folder::at(&args.out)?;
    std::fs::create_dir_all(folder.path()).map_err(data_layer::Error::io(folder.path()))?;
    let watermark = args.watermark.unwrap_or_else(time::now);
    let spec = match args.delta {
        true => folder.delta_spec(watermark)?,
        false => TableSpec {
            keys: if args.numbers { KeyKind::U64 } else { KeyKind::String },
            scores: if args.exact { ScoreCodec::Exact } else { ScoreCodec::Affine },
            ..folder.spec(watermark)
        },
    };
    let op = args.op.as_deref().and_then(Op::of_word);
    let of_delta = args.delta.then(|| op.map_or(input::Ops::Column, input::Ops::All));
    let from = input::Input {
        score: args.score.clone(),
        rank: args.rank.clone(),
        vector: args.vector.clone(),
        separator: args.separator,
        ops: of_delta,
        top: args.top.map(NonZeroUsize::get),
        memory: args.memory,
        scratch: folder.path().to_owned(),
        ..input::Input::new(&args.input, &args.key, &args.item)
    };
    let mut phase = Phase::new();
    let writer = input::read_watched(&from, spec, &mut |step| match step {
        input::Step::Read(rows) => phase.at("rows read", rows, 0),
        input::Step::Group(done, of) => phase.at("rows put into lists", done, of),
    })?;
    let built = folder.build_watched(writer, &mut |done, of| {
        if done < of {
            phase.at("lists written", done, of)
        } else {
            phase.at("lists, waiting for the disk", of, 0)
        }
    })?;
    phase.bar.finish_and_clear();
    let (lists, entries) = (built.statistics.lists, built.statistics.entries);
    match format {
        Format::Text => {
            println!("{}: {lists} lists, {entries} entries; not published yet", built.path.display());
        }
        Format::Json => {
            let answer = json!({"generation": built.generation, "path": built.path, "lists": lists, "entries": entries});
            println!("{answer}");
        }
    }
    Ok(())
}
