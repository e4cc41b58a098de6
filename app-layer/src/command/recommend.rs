//! `weir recommend`: the same flow without a server; for one person, or for many into a file. Time stands still and nothing is late.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use data_layer::tabular::{Cells, ColumnType, Reader, Writer};
use data_layer::types::{Id, Millis, time};

use super::{ConfigFile, Format, bar};
use crate::error::{Error, Result};
use crate::present::Answer;
use crate::request::{MAX_SIZE, Request};
use crate::{Engine, flow};

/// Recommends without a server: for one person, or for many into a file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  weir recommend --scene home --user u1 --size 10 --explain
  weir recommend --scene home --users users.parquet --now-ms 1770000000000 --seed 1 --out recs.parquet")]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Which scene.
    #[arg(long)]
    scene: String,
    /// Who asks.
    #[arg(long, conflicts_with = "users")]
    user: Option<String>,
    /// Many who ask: a file with a column `user`, or text with one id a line.
    #[arg(long, value_name = "FILE", requires = "out")]
    users: Option<PathBuf>,
    /// Anchors: the page being read, the cart.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    items: Vec<String>,
    /// How many items; default from the scene.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=MAX_SIZE as i64))]
    size: Option<u32>,
    /// A rule that every item must pass.
    #[arg(long, value_name = "RULE")]
    filter: Option<String>,
    /// Attributes to show with each item.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fields: Vec<String>,
    /// The time it is for, in milliseconds since the Unix epoch; default now.
    #[arg(long, value_name = "T")]
    now_ms: Option<Millis>,
    /// Seed of all chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The whole story.
    #[arg(long, conflicts_with = "users")]
    explain: bool,
    /// Where the recommendations of many go: Parquet with user, item, score, rank.
    #[arg(long, value_name = "FILE", requires = "users")]
    out: Option<PathBuf>,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Recommends.
///
/// # Errors
/// What can't be opened, an unknown scene, a field that is wrong.
pub fn run(args: &Args) -> Result<()> {
    let engine = Engine::read_only(args.config.load()?)?;
    match (&args.users, &args.out) {
        (Some(users), Some(out)) => many(&engine, args, users, out),
        _ => one(&engine, args),
    }
}

fn request(args: &Args, user: Option<Id>) -> Result<Request> {
    let items: std::result::Result<Vec<Id>, _> = args.items.iter().map(|id| Id::new(id)).collect();
    Ok(Request {
        scene: args.scene.clone(),
        user,
        items: items.map_err(|e| Error::Usage(format!("--items: {e}")))?,
        size: args.size.map(|n| n as usize),
        filter: args.filter.clone(),
        fields: args.fields.clone(),
        explain: args.explain,
        seed: Some(args.seed),
        now_ms: Some(args.now_ms.unwrap_or_else(time::now)),
        ..Request::default()
    })
}

fn one(engine: &Engine, args: &Args) -> Result<()> {
    let user =
        args.user.as_deref().map(Id::new).transpose().map_err(|e| Error::Usage(format!("--user: {e}")))?;
    let answer = futures::executor::block_on(flow::recommend(engine, &request(args, user)?))?;
    match args.format {
        Format::Json => println!("{}", serde_json::to_string(&answer).map_err(Error::io("answer"))?),
        Format::Text => print(&answer),
    }
    Ok(())
}

fn print(answer: &Answer) {
    for item in &answer.items {
        let attributes: Vec<String> = item
            .attributes
            .iter()
            .map(|(name, value)| format!("{name}={}", serde_json::to_string(value).unwrap_or_default()))
            .collect();
        let (place, sources) = (item.position + 1, item.sources.join(","));
        println!("{place:>3}  {:<24} {:>10.6}  {sources}  {}", item.id, item.score, attributes.join(" "));
    }
    for left_out in &answer.degraded {
        println!("left out: {}: {} ({})", left_out.stage, left_out.detail, left_out.cause);
    }
    let Some(story) = &answer.explain else { return };
    println!("\nstages");
    for stage in &story.stages {
        println!("  {:<12} {:>8} µs  {:>6} candidates", stage.name, stage.took_us, stage.count);
    }
    println!(
        "\ncandidates ({} passed the filters, {} were removed)",
        story.candidates.len(),
        story.removed.len()
    );
    for candidate in story.candidates.iter().take(answer.items.len().max(10)) {
        let said = candidate.sources.iter().map(|s| format!("{} {:.4} (rank {})", s.name, s.score, s.rank));
        println!("  {:<24} {:>10.6}  {}", candidate.id, candidate.score, said.collect::<Vec<_>>().join(", "));
        if let Some(features) = story.features.get(&candidate.id).filter(|f| !f.is_empty()) {
            let features = features.iter().map(|(name, value)| format!("{name}={value:.4}"));
            println!("      {}", features.collect::<Vec<_>>().join(" "));
        }
    }
    for removed in story.removed.iter().take(20) {
        println!("removed: {} by {}", removed.id, removed.by);
    }
    for moved in story.moves.iter().take(20) {
        let to = moved.to.map_or_else(|| "nowhere".to_owned(), |to| format!("{to:.4}"));
        println!("moved: {} by {}: {} from {:.4} to {to}", moved.id, moved.by, moved.what, moved.from);
    }
}

/// One row of the output: who, and the items in order.
type Slate = Vec<(String, f32)>;

fn many(engine: &Engine, args: &Args, users: &Path, out: &Path) -> Result<()> {
    let users = read_users(users)?;
    let slates = slates(engine, args, &users)?;
    let columns = [
        ("user", ColumnType::Text),
        ("item", ColumnType::Text),
        ("score", ColumnType::Float),
        ("rank", ColumnType::Int),
    ];
    let mut writer = Writer::create(out, &columns)?;
    let mut rows = 0;
    for (users, slates) in users.chunks(GROUP).zip(slates.chunks(GROUP)) {
        let (mut who, mut items, mut scores, mut ranks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (user, slate) in users.iter().zip(slates) {
            for ((item, score), rank) in slate.iter().zip(1_i64..) {
                who.push(user.as_str());
                items.push(item.as_str());
                scores.push(f64::from(*score));
                ranks.push(rank);
            }
        }
        rows += who.len();
        writer.write(&[Cells::Text(&who), Cells::Text(&items), Cells::Float(&scores), Cells::Int(&ranks)])?;
    }
    writer.finish()?;
    match args.format {
        Format::Text => println!("{}: {rows} rows for {} users", out.display(), users.len()),
        Format::Json => println!("{}", serde_json::json!({"out": out, "users": users.len(), "rows": rows})),
    }
    Ok(())
}

/// Users of one row group of the output.
const GROUP: usize = 4_096;

/// Asks for every user, on all cores; the order is the users'.
fn slates(engine: &Engine, args: &Args, users: &[Id]) -> Result<Vec<Slate>> {
    let (next, progress) = (AtomicUsize::new(0), bar(users.len() as u64, "users"));
    let template = request(args, None)?;
    let work = || -> Result<Vec<(usize, Slate)>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(user) = users.get(at) else { return Ok(done) };
            let request = Request { user: Some(user.clone()), ..template.clone() };
            let answer = futures::executor::block_on(flow::recommend(engine, &request))?;
            done.push((at, answer.items.into_iter().map(|item| (item.id, item.score)).collect()));
            progress.inc(1);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Result<Vec<(usize, Slate)>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let failed = || Err(Error::Io { place: "recommend".into(), detail: "a thread failed".into() });
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| failed())).collect()
    });
    progress.finish_and_clear();
    let mut all = vec![Slate::new(); users.len()];
    for part in parts {
        for (at, slate) in part? {
            all[at] = slate;
        }
    }
    Ok(all)
}

/// The users of a file, each once, in the order of the file.
fn read_users(path: &Path) -> Result<Vec<Id>> {
    let mut seen = HashSet::new();
    let mut users = Vec::new();
    let mut take = |text: &str, place: String| -> Result<()> {
        let id = Id::new(text).map_err(|e| Error::Data(data_layer::Error::invalid(place, e.to_string())))?;
        if seen.insert(id.clone()) {
            users.push(id);
        }
        Ok(())
    };
    if data_layer::tabular::Format::of(path).is_ok() {
        for row in Reader::open(path)?.rows(&["user"])? {
            let row = row?;
            take(&row.id(0)?, row.place())?;
        }
    } else {
        let file = std::fs::File::open(path).map_err(Error::io(path.display()))?;
        for (line, text) in std::io::BufReader::new(file).lines().enumerate() {
            let text = text.map_err(Error::io(path.display()))?;
            if !text.is_empty() {
                take(&text, format!("{}:{}", path.display(), line + 1))?;
            }
        }
    }
    Ok(users)
}
