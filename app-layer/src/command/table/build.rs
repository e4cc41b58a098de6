//! `weir table build`: files of rows into a generation, however large, without a server and without publishing it.

use std::path::PathBuf;

use data_layer::keylist::{KeyKind, Op, ScoreCodec, TableSpec};
use data_layer::publish::{Folder, input};
use data_layer::types::{Millis, time};
use serde_json::json;

use super::super::{Format, bar};
use crate::error::Result;

/// What `weir table build` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir table build --input sim.parquet --key item --item similar --score score --out tables/item_cf
  weir table build --input lists.csv --separator '|' --out tables/near            # a row per key: k1,i1|i2,0.9|0.8
  weir table build --input users.parquet --key user --vector embedding --out tables/user_vectors
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
    /// Longest list.
    #[arg(long)]
    top: Option<usize>,
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
        top: args.top,
        scratch: folder.path().to_owned(),
        ..input::Input::new(&args.input, &args.key, &args.item)
    };
    let bar = bar(0, "rows read");
    let writer = input::read_watched(&from, spec, &mut |rows| {
        bar.set_position(rows);
    })?;
    bar.set_message(format!("writing {} lists", writer.len()));
    let built = folder.build(writer)?;
    bar.finish_and_clear();
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
