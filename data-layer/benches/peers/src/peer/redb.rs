//! redb: a copy-on-write B-tree in Rust, with a page cache of its own, here large enough for the whole file.

use std::path::Path;

use anyhow::Result;
use redb::{Builder, ReadOnlyTable, ReadableDatabase, TableDefinition};

use crate::data::{Data, touch};
use crate::store::{Built, Feed, Pages, Peer, Store};

/// The only way to set it.
pub const REDB: Peer = Peer {
    name: "redb",
    what: "filled in order, one read transaction, a cache for the whole file",
    raw: true,
    build,
    open,
};

const LISTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lists");
const CACHE: usize = 3 << 30;

struct Redb {
    lists: ReadOnlyTable<u64, &'static [u8]>,
    _database: redb::Database,
}

impl Store for Redb {
    fn get(&self, key: u64) -> u64 {
        self.lists.get(key).ok().flatten().map_or(0, |list| touch(list.value()))
    }
}

fn build(feed: &mut Feed<'_>, folder: &Path) -> Result<Built> {
    let database = Builder::new().set_cache_size(1 << 30).create(folder.join("redb"))?;
    let writes = database.begin_write()?;
    {
        let mut lists = writes.open_table(LISTS)?;
        feed.raw(|key, raw| {
            lists.insert(key, raw)?;
            Ok(())
        })?;
    }
    writes.commit()?;
    Ok(Built::Files)
}

fn open(_: &Data, folder: &Path, _: Pages) -> Result<Box<dyn Store>> {
    let database = Builder::new().set_cache_size(CACHE).open(folder.join("redb"))?;
    let lists = database.begin_read()?.open_table(LISTS)?;
    Ok(Box::new(Redb { lists, _database: database }))
}
