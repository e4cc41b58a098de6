//! cdb, D. J. Bernstein's constant database: 256 hash tables of `{u32 hash, u32 place}` behind the records, read through a map. Written
//! from the format's description, because a crate that copies each value would make it look slower than it is.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};
use memmap2::Mmap;

use crate::data::{Data, touch};
use crate::kernel::pages;
use crate::store::{Built, Feed, Pages, Peer, Store};

/// The only way to set it.
pub const CDB: Peer =
    Peer { name: "cdb", what: "the format of cdb, read through a map, no copies", raw: true, build, open };

const HEADER: usize = 2048;

struct Cdb(Mmap);

fn hash(key: &[u8]) -> u32 {
    key.iter().fold(5381, |hash: u32, byte| (hash << 5).wrapping_add(hash) ^ u32::from(*byte))
}

impl Cdb {
    fn number(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = hash(key);
        let row = (hash & 255) as usize * 8;
        let (table, slots) = (self.number(row) as usize, self.number(row + 4));
        let mut slot = if slots == 0 { 0 } else { (hash >> 8) % slots };
        for _ in 0..slots {
            let at = table + slot as usize * 8;
            let record = self.number(at + 4) as usize;
            if record == 0 {
                return None;
            }
            if self.number(at) == hash {
                let (keys, values) = (self.number(record) as usize, self.number(record + 4) as usize);
                let start = record + 8 + keys;
                if self.0.get(record + 8..start)? == key {
                    return self.0.get(start..start + values);
                }
            }
            slot = if slot + 1 == slots { 0 } else { slot + 1 };
        }
        None
    }
}

impl Store for Cdb {
    fn get(&self, key: u64) -> u64 {
        self.find(&key.to_le_bytes()).map_or(0, touch)
    }
}

fn build(feed: &mut Feed<'_>, folder: &Path) -> Result<Built> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(folder.join("cdb"))?);
    file.write_all(&[0; HEADER])?;
    let mut tables: Vec<Vec<(u32, u32)>> = vec![Vec::new(); 256];
    let mut at = HEADER;
    feed.raw(|key, raw| {
        let key = key.to_le_bytes();
        file.write_all(&(key.len() as u32).to_le_bytes())?;
        file.write_all(&(raw.len() as u32).to_le_bytes())?;
        file.write_all(&key)?;
        file.write_all(raw)?;
        let hash = hash(&key);
        let place = u32::try_from(at).context("a cdb holds at most 4 GiB")?;
        tables[(hash & 255) as usize].push((hash, place));
        at += 8 + key.len() + raw.len();
        Ok(())
    })?;
    let mut header = Vec::with_capacity(HEADER);
    for entries in &tables {
        let slots = entries.len() * 2;
        header.extend_from_slice(&u32::try_from(at).context("a cdb holds at most 4 GiB")?.to_le_bytes());
        header.extend_from_slice(&(slots as u32).to_le_bytes());
        let mut table = vec![(0u32, 0u32); slots];
        for (hash, place) in entries {
            let mut slot = (hash >> 8) as usize % slots;
            while table[slot].1 != 0 {
                slot = (slot + 1) % slots;
            }
            table[slot] = (*hash, *place);
        }
        for (hash, place) in &table {
            file.write_all(&hash.to_le_bytes())?;
            file.write_all(&place.to_le_bytes())?;
        }
        at += slots * 8;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header)?;
    file.flush()?;
    Ok(Built::Files)
}

fn open(_: &Data, folder: &Path, pages: Pages) -> Result<Box<dyn Store>> {
    Ok(Box::new(Cdb(pages::map(&folder.join("cdb"), pages)?)))
}
