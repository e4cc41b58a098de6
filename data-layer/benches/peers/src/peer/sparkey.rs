//! Sparkey, Spotify's constant store: a log of records and a hash index of `{u64 hash, place}`, both mapped. The C library itself,
//! without compression, values read where they lie.

use std::path::Path;

use anyhow::Result;

use crate::data::{Data, touch};
use crate::kernel::sparkey::{Log, Reader, write_hash};
use crate::store::{Built, Feed, Pages, Peer, Store};

/// The only way to set it.
pub const SPARKEY: Peer =
    Peer { name: "sparkey", what: "the C library, no compression, no copies", raw: true, build, open };

struct Sparkey(Reader);

impl Store for Sparkey {
    fn get(&self, key: u64) -> u64 {
        self.0.find(&key.to_le_bytes()).map_or(0, touch)
    }
}

fn build(feed: &mut Feed<'_>, folder: &Path) -> Result<Built> {
    let mut log = Log::create(&folder.join("lists.spl"))?;
    feed.raw(|key, raw| log.put(&key.to_le_bytes(), raw))?;
    log.close()?;
    write_hash(&folder.join("lists.spi"), &folder.join("lists.spl"))?;
    Ok(Built::Files)
}

fn open(_: &Data, folder: &Path, _: Pages) -> Result<Box<dyn Store>> {
    Ok(Box::new(Sparkey(Reader::open(&folder.join("lists.spi"), &folder.join("lists.spl"))?)))
}
