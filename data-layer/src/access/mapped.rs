//! One file of a table with its items as ordinals of this process.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::keylist::{List, Table};
use crate::live::Scored;
use crate::types::Ordinal;
use crate::{Error, Result};

/// A table with its items as ordinals of this process.
#[derive(Debug)]
pub struct Mapped {
    table: Table,
    ordinals: Vec<Ordinal>,
    checked: AtomicBool,
}

impl Mapped {
    /// Pairs a table of which every byte was checked with the ordinals of its dictionary, in its order.
    ///
    /// # Errors
    /// As many ordinals as the dictionary has ids are needed.
    pub fn new(table: Table, ordinals: Vec<Ordinal>) -> Result<Self> {
        if ordinals.len() != table.dictionary_len() as usize {
            let detail = format!("expected {} ordinals, found {}", table.dictionary_len(), ordinals.len());
            return Err(Error::invalid(table.path().display().to_string(), detail));
        }
        Ok(Self { table, ordinals, checked: AtomicBool::new(true) })
    }

    /// The same, of which only what [`crate::keylist::Verify::Open`] promises was checked.
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { checked: AtomicBool::new(false), ..self }
    }

    /// Whether every byte was checked since the file was opened.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.checked.load(Ordering::Relaxed)
    }

    pub(super) fn note_checked(&self) {
        self.checked.store(true, Ordering::Relaxed);
    }

    /// The table itself.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Name of its generation.
    #[must_use]
    pub fn generation(&self) -> String {
        self.table.header().generation()
    }

    /// Appends the first places of a list of this table.
    ///
    /// # Errors
    /// A list that names an item which the dictionary does not have; nothing is appended.
    pub(super) fn take(&self, list: &List<'_>, at_most: usize, out: &mut Vec<Scored>) -> Result<()> {
        let start = out.len();
        let mut strange = None;
        list.first(at_most).chunks(&mut |items, scores| {
            out.extend(items.iter().zip(scores).map(|(number, score)| {
                let item = self.ordinals.get(*number as usize).copied().unwrap_or_else(|| {
                    strange = Some(*number);
                    Ordinal::MAX
                });
                Scored { item, score: *score }
            }));
        });
        match strange {
            None => Ok(()),
            Some(number) => {
                out.truncate(start);
                Err(self.unknown(number))
            }
        }
    }

    /// The ordinal of an item of the dictionary.
    ///
    /// # Errors
    /// An item that the dictionary does not have.
    pub(super) fn ordinal(&self, item: u32) -> Result<Ordinal> {
        self.ordinals.get(item as usize).copied().ok_or_else(|| self.unknown(item))
    }

    fn unknown(&self, item: u32) -> Error {
        Error::Corrupt {
            path: self.table.path().to_owned(),
            section: "records".to_owned(),
            offset: 0,
            detail: format!("a list names item {item} of {}", self.ordinals.len()),
        }
    }
}
