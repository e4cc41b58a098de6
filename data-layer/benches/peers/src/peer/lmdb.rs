//! LMDB through heed: a B+ tree in a map. Keys are appended in order, which is its fastest and densest way to be filled; one read
//! transaction serves all gets.

use std::path::Path;

use anyhow::{Context, Result};
use heed::types::Bytes;
use heed::{Database, EnvFlags, EnvOpenOptions, PutFlags, RoTxn, WithTls};

use crate::data::{Data, touch};
use crate::store::{Built, Feed, Pages, Peer, Store};

/// The only way to set it.
pub const LMDB: Peer =
    Peer { name: "lmdb", what: "heed; filled in order, one read transaction", raw: true, build, open };

type Lists = Database<Bytes, Bytes>;

/// Places and scores, generously: the map is sparse.
const MAP: usize = 16 << 30;

struct Lmdb {
    lists: Lists,
    reads: RoTxn<'static, WithTls>,
}

impl Store for Lmdb {
    fn get(&self, key: u64) -> u64 {
        self.lists.get(&self.reads, &key.to_be_bytes()).ok().flatten().map_or(0, touch)
    }
}

fn env(folder: &Path, flags: EnvFlags) -> Result<heed::Env> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP);
    // SAFETY: the folder is this run's own, nobody else writes its files, and the flags change neither locks nor what is valid.
    unsafe { options.flags(flags).open(folder).context("lmdb") }
}

fn build(feed: &mut Feed<'_>, folder: &Path) -> Result<Built> {
    let env = env(folder, EnvFlags::empty())?;
    let mut writes = env.write_txn()?;
    let lists: Lists = env.create_database(&mut writes, None)?;
    feed.raw(|key, raw| Ok(lists.put_with_flags(&mut writes, PutFlags::APPEND, &key.to_be_bytes(), raw)?))?;
    writes.commit()?;
    env.prepare_for_closing().wait();
    Ok(Built::Files)
}

fn open(_: &Data, folder: &Path, pages: Pages) -> Result<Box<dyn Store>> {
    let flags = if pages == Pages::Cold { EnvFlags::NO_READ_AHEAD } else { EnvFlags::empty() };
    let env = env(folder, flags)?;
    let reads = env.read_txn()?;
    let lists: Lists = env.open_database(&reads, None)?.context("no lists were written")?;
    drop(reads);
    Ok(Box::new(Lmdb { lists, reads: env.static_read_txn()? }))
}
