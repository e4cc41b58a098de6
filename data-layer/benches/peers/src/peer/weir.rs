//! Weir's own store: a key-list file as `weir table build` writes it, its sums checked on every read, every place of a list decoded.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use data_layer::keylist::{EXTENSION, KeyKind, List, ScoreCodec, Table, TableSpec, Verify, Writer};

use crate::data::{Data, item_id};
use crate::store::{Built, Feed, Pages, Peer, Store};

/// Scores in 16 bits, as tables are written by default.
pub const AFFINE: Peer = Peer {
    name: "weir",
    what: "this store, 16-bit scores, sums checked, every place decoded",
    raw: false,
    build: |feed, folder| build(feed, folder, ScoreCodec::Affine),
    open,
};

/// Scores as they were given.
pub const EXACT: Peer = Peer {
    name: "weir-exact",
    what: "the same with exact scores",
    raw: false,
    build: |feed, folder| build(feed, folder, ScoreCodec::Exact),
    open,
};

struct Weir(Table);

impl Store for Weir {
    fn get(&self, key: u64) -> u64 {
        self.0.get(&key.to_string()).ok().flatten().map_or(0, touch)
    }

    fn batch(&self, keys: &[u64]) -> u64 {
        let texts: Vec<String> = keys.iter().map(u64::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut sum = 0u64;
        self.0.multi_get(&texts, &mut |_, list| {
            sum = sum.wrapping_add(list.ok().flatten().map_or(0, touch));
        });
        sum
    }
}

/// Decodes every place; integer sums, so that adding up is not what takes the time.
fn touch(list: List<'_>) -> u64 {
    list.iter().fold(0, |sum, (item, score)| sum.wrapping_add(u64::from(item) ^ u64::from(score.to_bits())))
}

fn build(feed: &mut Feed<'_>, folder: &Path, scores: ScoreCodec) -> Result<Built> {
    let spec = TableSpec { keys: KeyKind::U64, scores, ..TableSpec::new("peers", 0) };
    let mut writer = Writer::new(spec)?;
    let names: Vec<String> = (0..feed.data.items).map(|item| item_id(item).to_string()).collect();
    let mut places = Vec::new();
    feed.numbered(|key, list| {
        places.clear();
        places.extend(list.iter().map(|(item, score)| (names[*item as usize].as_str(), *score)));
        Ok(writer.push(key, &places)?)
    })?;
    writer.finish(folder)?;
    Ok(Built::Files)
}

fn open(_: &Data, folder: &Path, pages: Pages) -> Result<Box<dyn Store>> {
    let verify = if pages == Pages::Cold { Verify::Header } else { Verify::Full };
    Ok(Box::new(Weir(Table::open(file(folder)?, verify)?)))
}

fn file(folder: &Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.find(|path| path.extension().is_some_and(|e| e == EXTENSION)).context("no table was written")
}
