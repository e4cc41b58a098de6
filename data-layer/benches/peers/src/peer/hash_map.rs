//! `hashbrown::HashMap` from key to boxed bytes: in memory, without sums, without files; what a team writes first.

use std::hash::BuildHasher;
use std::path::Path;

use anyhow::{Result, bail};
use hashbrown::{DefaultHashBuilder, HashMap};
use rustc_hash::FxBuildHasher;

use crate::data::{Data, touch};
use crate::store::{Built, Feed, Pages, Peer, Store};

/// With hashbrown's own hash, foldhash.
pub const FOLD: Peer = Peer {
    name: "hashbrown",
    what: "HashMap<u64, Box<[u8]>>, foldhash; in memory, no sums",
    raw: true,
    build: build::<DefaultHashBuilder>,
    open: no_files,
};

/// With the shortest hash there is.
pub const FX: Peer = Peer {
    name: "hashbrown-fx",
    what: "the same with FxHash",
    raw: true,
    build: build::<FxBuildHasher>,
    open: no_files,
};

struct Boxed<S>(HashMap<u64, Box<[u8]>, S>);

impl<S: BuildHasher> Store for Boxed<S> {
    fn get(&self, key: u64) -> u64 {
        self.0.get(&key).map_or(0, |raw| touch(raw))
    }
}

fn build<S: BuildHasher + Default + 'static>(feed: &mut Feed<'_>, _: &Path) -> Result<Built> {
    let mut map = HashMap::with_capacity_and_hasher(feed.data.keys.len(), S::default());
    feed.raw(|key, raw| {
        map.insert(key, Box::from(raw));
        Ok(())
    })?;
    // What the allocator takes per box: its own 8 bytes, rounded up to 16.
    let a_box = (feed.data.list_bytes() + 8).next_multiple_of(16);
    let bytes = map.allocation_size() + map.len() * a_box;
    Ok(Built::Memory(Box::new(Boxed(map)), bytes as u64))
}

fn no_files(_: &Data, _: &Path, _: Pages) -> Result<Box<dyn Store>> {
    bail!("a map in memory has no files to open")
}
