//! Sections on a disk: what it is, its number, lengths, sum, bytes. Each stands for itself, so that damage is named by its section and several
//! threads can unpack them. Not for what is in them.

use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::{Error, Result};

/// Version of the form that this program writes, and the newest that it reads. In version 1 all that is known of an item was in one section.
pub const VERSION: u32 = 2;
/// First bytes of every snapshot.
const MAGIC: [u8; 8] = *b"WEIRSNAP";
/// Kind, number, bytes unpacked, bytes packed, sum.
const HEADER: usize = 32;
/// Longest section, unpacked.
const MOST: u64 = 1 << 30;
/// zstd's quickest level that still halves most of it.
const LEVEL: i32 = 1;

/// What a section is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Head = 1,
    Ids = 2,
    Words = 3,
    Sources = 4,
    Fresh = 5,
    Items = 6,
    People = 7,
    Owners = 8,
    Deeds = 9,
    Carried = 10,
    End = 11,
    Counts = 12,
    Near = 13,
}

impl Kind {
    const ALL: [(Self, &'static str); 13] = [
        (Self::Head, "head"),
        (Self::Ids, "ids"),
        (Self::Words, "words"),
        (Self::Sources, "sources"),
        (Self::Fresh, "fresh"),
        (Self::Items, "items"),
        (Self::People, "people"),
        (Self::Owners, "owners"),
        (Self::Deeds, "deeds"),
        (Self::Carried, "carried"),
        (Self::End, "end"),
        (Self::Counts, "counts"),
        (Self::Near, "near"),
    ];

    fn of(number: u32) -> Option<Self> {
        Self::ALL.iter().map(|(kind, _)| *kind).find(|kind| *kind as u32 == number)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

/// Writes sections one after the other.
pub(super) struct Sections<W> {
    to: W,
    place: PathBuf,
    count: u32,
    bytes: u64,
}

impl<W: Write> Sections<W> {
    pub fn new(mut to: W, place: &Path) -> Result<Self> {
        let mut first = MAGIC.to_vec();
        first.extend_from_slice(&VERSION.to_le_bytes());
        first.extend_from_slice(&[0; 4]);
        to.write_all(&first).map_err(Error::io(place))?;
        Ok(Self { to, place: place.to_owned(), count: 0, bytes: first.len() as u64 })
    }

    pub fn put(&mut self, kind: Kind, number: u32, raw: &[u8]) -> Result<()> {
        let section = self.pack(kind, number, raw)?;
        self.put_packed(&section)
    }

    /// A section as it will lie on the disk.
    pub fn pack(&self, kind: Kind, number: u32, raw: &[u8]) -> Result<Vec<u8>> {
        let packed = zstd::bulk::compress(raw, LEVEL).map_err(Error::io(&self.place))?;
        let mut section = Vec::with_capacity(HEADER + packed.len());
        section.extend_from_slice(&(kind as u32).to_le_bytes());
        section.extend_from_slice(&number.to_le_bytes());
        section.extend_from_slice(&(raw.len() as u64).to_le_bytes());
        section.extend_from_slice(&(packed.len() as u64).to_le_bytes());
        let sum = sum(&section, &packed);
        section.extend_from_slice(&sum.to_le_bytes());
        section.extend_from_slice(&packed);
        Ok(section)
    }

    /// Writes what [`Sections::pack`] made.
    pub fn put_packed(&mut self, section: &[u8]) -> Result<()> {
        self.to.write_all(section).map_err(Error::io(&self.place))?;
        self.count += 1;
        self.bytes += section.len() as u64;
        Ok(())
    }

    /// Writes the last section, which says how many there are; gives back the bytes of all.
    pub fn end(mut self) -> Result<u64> {
        let count = self.count;
        self.put(Kind::End, count, &[])?;
        self.to.flush().map_err(Error::io(&self.place))?;
        Ok(self.bytes)
    }
}

fn sum(header: &[u8], packed: &[u8]) -> u64 {
    let mut sum = Xxh3::new();
    sum.update(header);
    sum.update(packed);
    sum.digest()
}

/// A section as it lies on the disk.
#[derive(Debug)]
pub(super) struct Packed {
    pub kind: Kind,
    pub number: u32,
    header: [u8; HEADER],
    bytes: Vec<u8>,
    offset: u64,
    place: PathBuf,
}

impl Packed {
    /// Its bytes, once its sum is found right.
    pub fn unpack(&self) -> Result<Vec<u8>> {
        let (found, says) = (sum(&self.header[..24], &self.bytes), word(&self.header[24..]));
        if found != says {
            return Err(self.wrong(0, format!("expected the sum {says:016x}, found {found:016x}")));
        }
        let len = word(&self.header[8..16]) as usize;
        let raw = zstd::bulk::decompress(&self.bytes, len);
        let raw = raw.map_err(|error| self.wrong(0, error.to_string()))?;
        if raw.len() != len {
            return Err(self.wrong(0, format!("expected {len} bytes, found {}", raw.len())));
        }
        Ok(raw)
    }

    /// An error of this section, at a byte of what it unpacks to.
    pub fn wrong(&self, at: usize, detail: impl std::fmt::Display) -> Error {
        let detail = if at == 0 { detail.to_string() } else { format!("{detail}, at byte {at} unpacked") };
        let section = format!("section {} {}", self.kind.name(), self.number);
        Error::Corrupt { path: self.place.clone(), section, offset: self.offset, detail }
    }
}

/// Reads sections one after the other.
pub(super) struct Reader<R> {
    from: BufReader<R>,
    place: PathBuf,
    at: u64,
    len: u64,
    count: u32,
    ended: bool,
    version: u32,
    /// One that was read and given back.
    back: Option<Packed>,
}

impl<R: Read> Reader<R> {
    /// `len` is how long the file is.
    pub fn new(from: R, len: u64, place: &Path) -> Result<Self> {
        let mut from = BufReader::with_capacity(1 << 20, from);
        let corrupt = |detail: String| Error::Corrupt {
            path: place.to_owned(),
            section: "header".to_owned(),
            offset: 0,
            detail,
        };
        let mut first = [0; 16];
        if len < 16 {
            return Err(corrupt(format!("expected a snapshot, found {len} bytes")));
        }
        from.read_exact(&mut first).map_err(Error::io(place))?;
        if first[..8] != MAGIC {
            return Err(corrupt("expected a snapshot, found something else".to_owned()));
        }
        let version = u32::from_le_bytes([first[8], first[9], first[10], first[11]]);
        if version > VERSION {
            return Err(Error::Newer { path: place.to_owned(), found: version, known: VERSION });
        }
        if version == 0 {
            return Err(corrupt(format!("expected version {VERSION}, found 0")));
        }
        let place = place.to_owned();
        Ok(Self { from, place, at: 16, len, count: 0, ended: false, version, back: None })
    }

    /// Version of the form.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The next section; `None` behind the last. A file that ends before its last section is an error.
    pub fn next(&mut self) -> Result<Option<Packed>> {
        if let Some(back) = self.back.take() {
            return Ok(Some(back));
        }
        if self.ended {
            return Ok(None);
        }
        let offset = self.at;
        let after = self.count;
        let cut = |place: &Path, detail: String| Error::Corrupt {
            path: place.to_owned(),
            section: format!("section after {after} others"),
            offset,
            detail,
        };
        if self.len - self.at < HEADER as u64 {
            return Err(cut(&self.place, "the file ends before its last section".to_owned()));
        }
        let mut header = [0; HEADER];
        self.from.read_exact(&mut header).map_err(Error::io(&self.place))?;
        self.at += HEADER as u64;
        let number = word(&header[..8]);
        let (raw, packed) = (word(&header[8..16]), word(&header[16..24]));
        let Some(kind) = Kind::of(number as u32) else {
            return Err(cut(&self.place, format!("found a section of kind {}", number as u32)));
        };
        if raw > MOST || packed > self.len - self.at {
            let left = self.len - self.at;
            let detail =
                format!("a section {} of {packed} bytes, {raw} unpacked; {left} are left", kind.name());
            return Err(cut(&self.place, detail));
        }
        let mut bytes = vec![0; packed as usize];
        self.from.read_exact(&mut bytes).map_err(Error::io(&self.place))?;
        self.at += packed;
        let number = (number >> 32) as u32;
        let section = Packed { kind, number, header, bytes, offset, place: self.place.clone() };
        if kind == Kind::End {
            section.unpack()?;
            if number != self.count {
                return Err(section.wrong(0, format!("expected {number} sections, found {}", self.count)));
            }
            self.ended = true;
            return Ok(None);
        }
        self.count += 1;
        Ok(Some(section))
    }

    /// Gives one back: it is the next again.
    pub fn give_back(&mut self, section: Packed) {
        self.back = Some(section);
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}
