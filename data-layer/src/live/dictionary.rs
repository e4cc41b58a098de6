//! One dictionary of all strings that item attributes hold: text to code and back. Codes are local to this process.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// Text to dense code and back. Nothing is ever removed.
#[derive(Debug, Default)]
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

    /// The text of a code, shared.
    #[must_use]
    pub fn shared(&self, code: u32) -> Arc<str> {
        self.texts.get(code as usize).map_or_else(|| Arc::from(""), Arc::clone)
    }
}
