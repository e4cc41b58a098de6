//! What a store must do to be measured: be built from lists, be opened, and be asked.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::data::Data;
use crate::kernel::clock;

/// Lists made ready at a time while a store is built.
const AHEAD: usize = 4096;

/// An opened store.
pub trait Store {
    /// Finds one list, touches every byte of it, and gives what came of that; 0 where the key is not there.
    fn get(&self, key: u64) -> u64;

    /// One key after the other.
    fn gets(&self, keys: &[u64]) -> u64 {
        keys.iter().fold(0, |sum, key| sum.wrapping_add(self.get(*key)))
    }

    /// All of these keys at once, by the store's own call for that where it has one.
    fn batch(&self, keys: &[u64]) -> u64 {
        self.gets(keys)
    }
}

/// What building gave.
pub enum Built {
    /// Files in the folder, to be opened.
    Files,
    /// A store in memory, and the bytes that it takes there.
    Memory(Box<dyn Store>, u64),
}

/// A kind of store: how it is built and opened.
pub struct Peer {
    /// Its name, in tables and in `ONLY`.
    pub name: &'static str,
    /// What it is and how it is set, in a few words.
    pub what: &'static str,
    /// Whether it gives back the raw bytes, so that what comes of touching them is the same for all such stores.
    pub raw: bool,
    /// Builds it in an empty folder of its own.
    pub build: fn(&mut Feed<'_>, &Path) -> Result<Built>,
    /// Opens what was built as files.
    pub open: fn(&Data, &Path, Pages) -> Result<Box<dyn Store>>,
}

/// Where the pages of a store's files are when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// In the page cache.
    Warm,
    /// On the disk.
    Cold,
}

/// The lists of a set in rising order of keys. Making them is not what is measured, so the time it takes is kept apart.
pub struct Feed<'a> {
    /// What is fed.
    pub data: &'a Data,
    /// Time spent on making lists: on the wall's clock, and of the processor.
    pub making: (Duration, Duration),
}

impl<'a> Feed<'a> {
    /// Feeds this set.
    #[must_use]
    pub fn new(data: &'a Data) -> Self {
        Self { data, making: (Duration::ZERO, Duration::ZERO) }
    }

    fn made_since(&mut self, (wall, processor): (Instant, Duration)) {
        self.making.0 += wall.elapsed();
        self.making.1 += clock::thread() - processor;
    }

    /// Each key with its list as raw bytes.
    pub fn raw(&mut self, mut each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let (mut scratch, mut raw) = (Vec::new(), Vec::new());
        for keys in self.data.keys.chunks(AHEAD) {
            let start = (Instant::now(), clock::thread());
            raw.clear();
            keys.iter().for_each(|key| self.data.raw(*key, &mut scratch, &mut raw));
            self.made_since(start);
            for (key, list) in keys.iter().zip(raw.chunks_exact(self.data.list_bytes())) {
                each(*key, list)?;
            }
        }
        Ok(())
    }

    /// Each key with its list as numbers of items and scores.
    pub fn numbered(&mut self, mut each: impl FnMut(u64, &[(u32, f32)]) -> Result<()>) -> Result<()> {
        let (mut scratch, mut lists) = (Vec::new(), Vec::new());
        for keys in self.data.keys.chunks(AHEAD) {
            let start = (Instant::now(), clock::thread());
            lists.clear();
            for key in keys {
                self.data.list(*key, &mut scratch);
                lists.extend_from_slice(&scratch);
            }
            self.made_since(start);
            for (key, list) in keys.iter().zip(lists.chunks_exact(self.data.places)) {
                each(*key, list)?;
            }
        }
        Ok(())
    }
}
