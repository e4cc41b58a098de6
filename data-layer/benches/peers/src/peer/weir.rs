//! Weir's own store: a key-list file as `weir table build` writes it, its sums checked on every read, every place of a list decoded
//! to the number of an item and a score.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use data_layer::keylist::{
    Columns, EXTENSION, KeyKind, Residency, Room, ScoreCodec, Table, TableSpec, Verify, Writer,
};

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

/// Keys whose lists are compared with what was pushed, place by place.
const COMPARED: usize = 1_000;

struct Weir {
    table: Table,
    room: RefCell<Room>,
}

impl Weir {
    fn of(table: Table) -> Box<dyn Store> {
        Box::new(Self { table, room: RefCell::default() })
    }
}

impl Store for Weir {
    fn get(&self, key: u64) -> u64 {
        let mut room = self.room.borrow_mut();
        self.table.columns(key, &mut room).ok().flatten().map_or(0, touch)
    }

    fn batch(&self, keys: &[u64]) -> u64 {
        let (mut sum, mut room) = (0u64, self.room.borrow_mut());
        self.table.multi_columns(keys, &mut room, |_, list| {
            sum = sum.wrapping_add(list.ok().flatten().map_or(0, touch));
        });
        sum
    }
}

/// Adds up every place. The sum is one of whole numbers, so that adding up is not what takes the time.
#[inline]
fn touch((items, scores): Columns<'_>) -> u64 {
    let places = items.iter().zip(scores);
    let sum = places.fold(0u32, |sum, (item, score)| sum.wrapping_add(item ^ score.to_bits()));
    u64::from(sum) | 1 << 32
}

fn build(feed: &mut Feed<'_>, folder: &Path, scores: ScoreCodec) -> Result<Built> {
    let spec = TableSpec { keys: KeyKind::U64, scores, ..TableSpec::new("peers", 0) };
    let mut writer = Writer::new(spec)?;
    // Number n of the set is number n of the writer.
    for item in 0..feed.data.items {
        let number = writer.item(&item_id(item).to_string())?;
        ensure!(number == item, "items are numbered as they come");
    }
    feed.numbered(|key, list| Ok(writer.push_numbered(key, list)?))?;
    writer.finish(folder)?;
    Ok(Built::Files)
}

fn open(data: &Data, folder: &Path, pages: Pages) -> Result<Box<dyn Store>> {
    if pages == Pages::Cold {
        let table = Table::open(file(folder)?, Verify::Open)?;
        reside(&table, Residency::Lazy)?;
        return Ok(Weir::of(table));
    }
    let table = Table::open(file(folder)?, Verify::Full)?;
    reside(&table, Residency::Warm)?;
    let mut expected = Vec::new();
    for key in data.keys.iter().step_by(data.keys.len().div_ceil(COMPARED)) {
        data.list(*key, &mut expected);
        let list = table.get_key(*key)?.context("a key is missing")?;
        let top = expected.first().map_or(0.0, |(_, score)| *score);
        let same = list.iter().zip(&expected).all(|((item, score), (number, given))| {
            table.dictionary(item) == item_id(*number).to_string() && (score - given).abs() <= top / 65_535.0
        });
        ensure!(same && list.len() == expected.len(), "key {key}: not the list that was pushed");
    }
    Ok(Weir::of(table))
}

fn reside(table: &Table, residency: Residency) -> Result<()> {
    match table.reside(residency) {
        None => Ok(()),
        Some(refused) => bail!("the system refused {residency:?}: {}", refused.detail),
    }
}

fn file(folder: &Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    entries.find(|path| path.extension().is_some_and(|e| e == EXTENSION)).context("no table was written")
}
