//! The core of lushan, written from its description: a sorted index of 16-byte `{u64 key, u64 pos}` (pos: low 40 bits offset, high
//! 24 bits length), searched by halves, and `pread` of the data into a buffer. Its protocol and its threads are not here.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use memmap2::Mmap;

use crate::data::{Data, touch};
use crate::kernel::pages;
use crate::store::{Built, Feed, Pages, Peer, Store};

/// The only way to set it.
pub const LUSHAN: Peer = Peer {
    name: "lushan-core",
    what: "sorted 16-byte index, halving, pread; our own from its description",
    raw: true,
    build,
    open,
};

struct Lushan {
    index: Mmap,
    data: File,
    buffer: RefCell<Vec<u8>>,
}

impl Store for Lushan {
    fn get(&self, key: u64) -> u64 {
        let (entries, _) = self.index.as_chunks::<16>();
        let key_of = |entry: &[u8; 16]| u64::from_le_bytes(*entry.first_chunk().unwrap_or(&[0; 8]));
        let Ok(at) = entries.binary_search_by_key(&key, key_of) else { return 0 };
        let pos = u64::from_le_bytes(*entries[at].last_chunk().unwrap_or(&[0; 8]));
        let (offset, length) = (pos & ((1 << 40) - 1), (pos >> 40) as usize);
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(length, 0);
        self.data.read_exact_at(&mut buffer, offset).map_or(0, |()| touch(&buffer))
    }
}

fn build(feed: &mut Feed<'_>, folder: &Path) -> Result<Built> {
    let mut index = BufWriter::new(File::create(folder.join("idx"))?);
    let mut data = BufWriter::with_capacity(1 << 20, File::create(folder.join("dat"))?);
    let mut offset = 0u64;
    feed.raw(|key, raw| {
        index.write_all(&key.to_le_bytes())?;
        index.write_all(&((raw.len() as u64) << 40 | offset).to_le_bytes())?;
        data.write_all(raw)?;
        offset += raw.len() as u64;
        Ok(())
    })?;
    index.flush()?;
    data.flush()?;
    Ok(Built::Files)
}

fn open(_: &Data, folder: &Path, pages: Pages) -> Result<Box<dyn Store>> {
    let index = pages::map(&folder.join("idx"), pages)?;
    let data = File::open(folder.join("dat"))?;
    Ok(Box::new(Lushan { index, data, buffer: RefCell::default() }))
}
