//! `weir check`: everything that can be wrong, at once, before serving.

use super::{ConfigFile, Format};
use crate::Engine;
use crate::error::{Error, Result};
use crate::scene::Work;

/// Checks everything that can be wrong, at once, before serving.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Checks.
///
/// # Errors
/// Every fault of every file.
pub fn run(args: &Args) -> Result<()> {
    let engine = match Engine::read_only(args.config.load()?) {
        Err(Error::Files(faults)) if args.format == Format::Json => {
            let list = faults.iter().map(
                |f| serde_json::json!({"file": f.file, "line": f.line, "path": f.path, "detail": f.detail}),
            );
            println!("{}", serde_json::json!({"ok": false, "faults": list.collect::<Vec<_>>()}));
            return Err(Error::Files(faults));
        }
        other => other?,
    };
    let scenes = engine.scenes();
    let mut told = Vec::new();
    for scene in scenes.list() {
        let work = scenes.work(scene, &Default::default())?;
        let layers: Vec<String> = scenes.layers(scene).map(|layer| layer.name.clone()).collect();
        if args.format == Format::Text {
            print_scene(&engine, &scene.name, &work, &layers);
        }
        told.push(serde_json::json!({
            "scene": scene.name, "file": scene.file, "version": work.version, "layers": layers,
            "waves": waves(&engine, &work), "tables": work.tables,
        }));
    }
    let notes = engine.config().log.notes();
    match args.format {
        Format::Text => {
            notes.iter().for_each(|note| println!("note: {note}"));
            println!("{} scenes check", told.len());
        }
        Format::Json => println!("{}", serde_json::json!({"ok": true, "scenes": told, "notes": notes})),
    }
    Ok(())
}

/// What a request of this work waits for, wave by wave: the person, then the lists of lazy tables, where it reads such.
fn waves(engine: &Engine, work: &Work) -> Vec<Vec<String>> {
    let lazy = work.tables.iter().filter(|table| engine.lazy().contains(*table));
    let lists: Vec<String> = lazy.map(|table| format!("table {table}")).collect();
    let all = [vec!["person".to_owned()], lists];
    all.into_iter().filter(|wave| !wave.is_empty()).collect()
}

fn print_scene(engine: &Engine, name: &str, work: &Work, layers: &[String]) {
    let list = |names: Vec<&str>| if names.is_empty() { "–".to_owned() } else { names.join(", ") };
    println!(
        "scene {name}  (size {}, deadline {} ms, version {})",
        work.size, work.deadline_ms, work.version
    );
    println!("  wave 1      person: attributes, recent {}, met", work.history);
    let (lazy, warm): (Vec<&str>, _) =
        work.tables.iter().map(String::as_str).partition(|table| engine.lazy().contains(*table));
    if !lazy.is_empty() {
        println!("  wave 2      lists of lazy tables: {}", list(lazy));
    }
    println!("  then        tables in memory: {}", list(warm));
    println!("  recall      {}", list(work.recalls.iter().map(|r| r.name.as_str()).collect()));
    println!("  filters     {}", list(work.filters.iter().map(|f| f.name.as_str()).collect()));
    let model = work.rank.as_ref().map(|r| r.version.as_str());
    let model = model
        .or(work.rank_missing.as_deref().map(|_| "missing now; blend"))
        .unwrap_or("blend of the sources");
    println!("  rank        {model}");
    println!("  strategies  {}", list(work.strategies.iter().map(|s| s.name.as_str()).collect()));
    println!("  layers      {}", list(layers.iter().map(String::as_str).collect()));
}
