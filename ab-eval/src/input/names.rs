//! Names to dense numbers, in order of first sight.

use rustc_hash::FxHashMap;

/// A dictionary of names.
#[derive(Debug, Clone, Default)]
pub struct Names {
    index: FxHashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    /// The number of a name; a new one gets the next.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(&n) = self.index.get(name) {
            return n;
        }
        let n = self.names.len() as u32;
        self.index.insert(name.to_owned(), n);
        self.names.push(name.to_owned());
        n
    }

    /// The number of a name that has been seen.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, n: u32) -> &str {
        &self.names[n as usize]
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
