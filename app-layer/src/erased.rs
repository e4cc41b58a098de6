//! Who was erased, as a server asks: how far it is, and what may no longer be read of what was made before. Not for the erasing itself,
//! which is the data layer's.

use std::sync::Arc;

use data_layer::Config;
use data_layer::erase::Erasures;
use data_layer::ingest::Ingest;
use data_layer::types::{Millis, Person};

use crate::Engine;
use crate::error::Result;

/// The erasures of the log: those that the way in notes, or, for who only reads, those that a server has noted.
pub(crate) fn open(config: &Config, ingest: Option<&Ingest>) -> Result<Option<Arc<Erasures>>> {
    Ok(match ingest {
        Some(ingest) => Some(Arc::clone(ingest.erasures())),
        None => Erasures::read_only(config)?.map(Arc::new),
    })
}

impl Engine {
    /// Who was erased, and how far that is.
    #[must_use]
    pub fn erasures(&self) -> Option<&Erasures> {
        self.erasures.as_deref()
    }

    /// When somebody who had this id was erased last: what was made before of what they did is nobody's.
    #[must_use]
    pub fn erased(&self, person: &Person) -> Option<Millis> {
        self.erasures()?.newest(person).map(|(_, time)| time)
    }
}
