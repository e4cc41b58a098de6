//! The file that says how far a log was forwarded: `forwarded` beside the log's folders. Described in `docs/formats.md`. One that is missing,
//! or damaged, costs a look at the log from its beginning, and loses nothing.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::Lane;
use crate::{Error, Result};

/// Name of the file.
pub const FILE: &str = "forwarded";
const MAGIC: [u8; 8] = *b"WEIRFWD\x01";

/// How far a log was forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Which log.
    pub producer: u64,
    /// Every record up to this sequence is in Redis.
    pub position: u64,
    /// Last sequence that is in, by partition: people's, then items'.
    pub sent: Vec<u64>,
}

impl Forwarded {
    /// Nothing was forwarded of this log.
    #[must_use]
    pub fn none(producer: u64) -> Self {
        let count = Lane::People.partitions() + Lane::Items.partitions();
        Self { producer, position: 0, sent: vec![0; count.into()] }
    }

    /// What the file says of this log; nothing where it is missing, damaged, or another log's.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn load(folder: &Path, producer: u64) -> Result<Self> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => match Self::decode(&bytes) {
                Some(found) if found.producer == producer => Ok(found),
                _ => {
                    tracing::warn!(file = %path.display(), "not of this log, or damaged: what is in Redis is looked up instead");
                    Ok(Self::none(producer))
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::none(producer)),
            Err(error) => Err(Error::io(path)(error)),
        }
    }

    /// Puts the file in place of the last one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, folder: &Path) -> Result<()> {
        let (path, temporary) = (folder.join(FILE), folder.join(format!(".{FILE}.tmp")));
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&self.encode())?;
            file.sync_data()
        });
        written.map_err(Error::io(&temporary))?;
        std::fs::rename(&temporary, &path).map_err(Error::io(path))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.producer, self.position].iter().chain(&self.sent) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let sum = xxh3_64(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<8>()?;
        if u64::from_le_bytes(*sum) != xxh3_64(body) {
            return None;
        }
        let rest = body.strip_prefix(&MAGIC)?;
        let (numbers, []) = rest.as_chunks::<8>() else { return None };
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let (producer, position, sent) = (numbers.next()?, numbers.next()?, numbers.collect::<Vec<_>>());
        (sent.len() == Self::none(0).sent.len()).then_some(Self { producer, position, sent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read_and_anything_else_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let none = Forwarded::none(7);
        assert_eq!(Forwarded::load(folder.path(), 7).unwrap(), none);
        let mut some = Forwarded { position: 9, ..none.clone() };
        some.sent[1087] = 8;
        some.save(folder.path()).unwrap();
        assert_eq!(Forwarded::load(folder.path(), 7).unwrap(), some);
        assert_eq!(Forwarded::load(folder.path(), 8).unwrap(), Forwarded::none(8));
        let path = folder.path().join(FILE);
        let bytes = std::fs::read(&path).unwrap();
        for damaged in [&bytes[..100], &[&bytes[..50], &[bytes[50] ^ 1], &bytes[51..]].concat(), &[]] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(Forwarded::load(folder.path(), 7).unwrap(), none);
        }
    }
}
