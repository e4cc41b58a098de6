//! A dictionary of texts: text to dense code and back. The item table has one for all strings of attributes, the trainer one a column. Codes
//! are local to their dictionary, never stored.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// Text to dense code, in order of first sight, and back. Nothing is ever removed.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    texts: Vec<Arc<str>>,
    codes: FxHashMap<Arc<str>, u32>,
}

impl Dictionary {
    /// The code of a text, new or known.
    pub fn intern(&mut self, text: &str) -> u32 {
        if let Some(code) = self.codes.get(text) {
            return *code;
        }
        let (code, shared) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.texts.push(Arc::clone(&shared));
        self.codes.insert(shared, code);
        code
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        self.texts.reserve(more);
        self.codes.reserve(more);
    }

    /// The code of a known text.
    #[must_use]
    pub fn code(&self, text: &str) -> Option<u32> {
        self.codes.get(text).copied()
    }

    /// The text of a code; empty for one that was never given.
    #[must_use]
    pub fn text(&self, code: u32) -> &str {
        self.texts.get(code as usize).map_or("", |t| t)
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// All texts in order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|t| &**t)
    }

    /// The text of a code, shared.
    #[must_use]
    pub fn shared(&self, code: u32) -> Arc<str> {
        self.texts.get(code as usize).map_or_else(|| Arc::from(""), Arc::clone)
    }
}
