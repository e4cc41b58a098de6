//! What a table is, apart from its lists; and what comes out of building one.

use std::path::PathBuf;

use super::format::{IndexKind, KeyKind, MAX_VECTOR, ScoreCodec};
use super::statistics::Statistics;
use crate::config::check_name;
use crate::types::{DEFAULT_NAMESPACE, Millis};
use crate::{Error, Result};

/// What a builder may hold in memory where nothing else is said: 256 MiB. More is slower: memory that is used again needs no clearing.
pub const DEFAULT_MEMORY: usize = 256 << 20;

/// What a table is, apart from its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec {
    /// Namespace it belongs to.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What keys are.
    pub keys: KeyKind,
    /// How scores are stored.
    pub scores: ScoreCodec,
    /// How far the source had come; becomes the generation's name.
    pub watermark: Millis,
    /// Hash of what the builder calls its schema; 0 where there is none.
    pub schema_hash: u64,
    /// This shard, and how many there are.
    pub shard: (u32, u32),
    /// How records are found. [`IndexKind::Open`] is also taken, unasked, where two text keys have the same hash.
    pub index: IndexKind,
    /// Numbers in the vector of a key, up to [`MAX_VECTOR`]; 0: keys have none.
    pub vector: u32,
    /// For a delta: the header sum of the generation that it is for. `None`: a whole table.
    pub delta: Option<u64>,
    /// Bytes of lists that the builder may hold in memory; at least 1 MiB. The file does not depend on it.
    pub memory: usize,
    /// Folder for the lists beyond; it is made when it is needed. Files there have no names.
    pub scratch: PathBuf,
}

impl TableSpec {
    /// String keys, 16-bit scores, one shard, namespace `main`, a perfect hash, no vectors, no delta, 256 MiB for the builder and the
    /// system's folder for temporary files beyond.
    #[must_use]
    pub fn new(name: impl Into<String>, watermark: Millis) -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            name: name.into(),
            keys: KeyKind::default(),
            scores: ScoreCodec::default(),
            watermark,
            schema_hash: 0,
            shard: (0, 1),
            index: IndexKind::default(),
            vector: 0,
            delta: None,
            memory: DEFAULT_MEMORY,
            scratch: std::env::temp_dir(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        check_name(&self.namespace).map_err(|detail| Error::invalid("namespace", detail))?;
        check_name(&self.name).map_err(|detail| Error::invalid("table name", detail))?;
        if self.shard.0 >= self.shard.1 {
            let detail = format!("expected a shard below {}, found {}", self.shard.1, self.shard.0);
            return Err(Error::invalid("shard", detail));
        }
        if self.vector > MAX_VECTOR {
            let detail = format!("expected a width of at most {MAX_VECTOR}, found {}", self.vector);
            return Err(Error::invalid("vector", detail));
        }
        Ok(())
    }
}

/// A generation that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    /// Its name.
    pub generation: String,
    /// Its file.
    pub path: PathBuf,
    /// Counts and ranges.
    pub statistics: Statistics,
}
