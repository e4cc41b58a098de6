//! RocksDB (the system's library) with each of its table formats. There is one sorted file and nothing in memory tables: block
//! tables are written in order by its own file writer and taken in whole; the others, which it does not take in, are put and flushed once; `multi_get` is its batched call on sorted keys.

use std::path::Path;

use anyhow::Result;

use crate::data::touch;
use crate::kernel::rocksdb::{Database, Format, Writing};
use crate::store::{Built, Feed, Pages, Peer, Store};

/// Cuckoo hashing in a mapped file.
pub const CUCKOO: Peer = Peer {
    name: "rocksdb-cuckoo",
    what: "cuckoo table, mapped",
    raw: true,
    build: |feed, folder| build(feed, folder, Format::Cuckoo),
    open: |_, folder, pages| open(folder, Format::Cuckoo, pages),
};

/// The plain table: a hash of prefixes over a mapped file.
pub const PLAIN: Peer = Peer {
    name: "rocksdb-plain",
    what: "plain table, mapped, hash index over whole keys",
    raw: true,
    build: |feed, folder| build(feed, folder, Format::Plain),
    open: |_, folder, pages| open(folder, Format::Plain, pages),
};

/// The default format, mapped.
pub const BLOCK: Peer = Peer {
    name: "rocksdb-block",
    what: "block table, mapped, hash index in 4 KiB blocks, no compression, sums checked",
    raw: true,
    build: |feed, folder| build(feed, folder, Format::Block { cache: 0 }),
    open: |_, folder, pages| open(folder, Format::Block { cache: 0 }, pages),
};

/// The default format with a block cache for everything.
pub const BLOCK_CACHE: Peer = Peer {
    name: "rocksdb-block-cache",
    what: "the same with a block cache of 2.5 GiB, not mapped",
    raw: true,
    build: |feed, folder| build(feed, folder, Format::Block { cache: CACHE }),
    open: |_, folder, pages| open(folder, Format::Block { cache: CACHE }, pages),
};

const CACHE: usize = 5 << 29;

struct Rocks(Database);

impl Store for Rocks {
    fn get(&self, key: u64) -> u64 {
        self.0.get(&key.to_be_bytes(), touch)
    }

    fn batch(&self, keys: &[u64]) -> u64 {
        let mut sorted: Vec<[u8; 8]> = keys.iter().map(|key| key.to_be_bytes()).collect();
        sorted.sort_unstable();
        self.0.multi_get(&sorted, touch)
    }
}

fn build(feed: &mut Feed<'_>, folder: &Path, format: Format) -> Result<Built> {
    let mut writer = Writing::start(folder, format)?;
    feed.raw(|key, raw| writer.put(&key.to_be_bytes(), raw))?;
    writer.finish()?;
    Ok(Built::Files)
}

fn open(folder: &Path, format: Format, _: Pages) -> Result<Box<dyn Store>> {
    Ok(Box::new(Rocks(Database::open(folder, format)?)))
}
