//! `weir table get`: what a table, or one generation of it, says of a key.

use std::path::PathBuf;

use data_layer::keylist::{Key, KeyKind, Op, Verify};
use data_layer::publish::Folder;
use data_layer::publish::overlay::{Overlay, Places};
use serde_json::json;

use super::super::Format;
use crate::error::Result;

/// Which key, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The table's folder.
    folder: PathBuf,
    /// The key.
    key: String,
    /// One generation alone, instead of what is served; of a delta, what it does with the key.
    #[arg(long)]
    generation: Option<String>,
}

/// What is said of a key.
#[derive(Default)]
struct Found {
    generation: String,
    list: Places,
    vector: Vec<f32>,
    /// What a delta does with the key, where one was asked.
    op: Option<Op>,
}

/// Prints a list.
///
/// # Errors
/// No such table, or what is damaged.
pub fn run(args: &Args, format: Format) -> Result<()> {
    let folder = Folder::at(&args.folder)?;
    let found = match &args.generation {
        Some(generation) => alone(&folder, generation, &args.key)?,
        None => served(&folder, &args.key)?,
    };
    match format {
        Format::Text => found.show(&args.key),
        Format::Json => println!("{}", found.json(&args.key)),
    }
    Ok(())
}

/// Of the served generation with the deltas on it.
fn served(folder: &Folder, key: &str) -> Result<Found> {
    let overlay: Overlay = folder.overlay(Verify::Open)?;
    let line = folder.served_line()?.unwrap_or_default();
    let mut found = Found { generation: line.name(), ..Found::default() };
    if let Some(key) = known(key, overlay.spec().keys) {
        found.list = overlay.list(key)?.unwrap_or_default();
        overlay.vector(key, &mut found.vector)?;
    }
    Ok(found)
}

/// Of one file.
fn alone(folder: &Folder, generation: &str, key: &str) -> Result<Found> {
    let table = folder.open(Some(generation), Verify::Open)?;
    let mut found = Found { generation: table.header().generation(), ..Found::default() };
    if let Some(key) = known(key, table.header().keys) {
        if let Some(list) = table.get_key(key)? {
            found.op = table.header().base.map(|_| list.op());
            found.list =
                list.iter().map(|(item, score)| (table.dictionary(item).to_owned(), score)).collect();
        }
        table.vector(key, &mut found.vector)?;
    }
    Ok(found)
}

fn known(key: &str, kind: KeyKind) -> Option<Key<'_>> {
    Key::of_kind(key, kind)
}

impl Found {
    fn show(&self, key: &str) {
        if let Some(op) = self.op {
            println!("{op}");
        }
        if self.list.is_empty() && self.vector.is_empty() && self.op.is_none() {
            eprintln!("{key:?} has no list in {}", self.generation);
        }
        if !self.vector.is_empty() {
            println!("{}", self.vector.iter().map(f32::to_string).collect::<Vec<_>>().join(" "));
        }
        self.list.iter().for_each(|(item, score)| println!("{item}\t{score}"));
    }

    fn json(&self, key: &str) -> serde_json::Value {
        let items: Vec<_> =
            self.list.iter().map(|(item, score)| json!({"item": item, "score": score})).collect();
        let mut answer = json!({"key": key, "generation": self.generation, "items": items});
        if !self.vector.is_empty() {
            answer["vector"] = json!(self.vector);
        }
        if let Some(op) = self.op {
            answer["op"] = json!(op.word());
        }
        answer
    }
}
