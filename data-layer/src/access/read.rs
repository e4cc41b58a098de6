//! The one trait of the read path: what reads lists by key. A stack of generations does, and so does each decorator over it
//! ([`Cached`](super::Cached), [`Timed`](super::Timed), [`Counted`](super::Counted)), so that they go around one another in any order.

use crate::Result;
use crate::live::Scored;

/// Takes the place of a key among those asked for, and its list; `None` where the table has no such key.
pub type EachList<'a> = dyn FnMut(usize, Result<Option<&[Scored]>>) + 'a;

/// Reads lists of one table. `tests/contract.rs` holds what every implementation passes.
pub trait ReadLists {
    /// Calls `each` once per key, in the order of the keys, with the first `at_most` places of its list. What can't be read is an
    /// error of its own key; the others are read all the same.
    fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>);

    /// Appends the first places of one list; `false` where the table has no such key. The same as [`ReadLists::lists`] of one key.
    ///
    /// # Errors
    /// What [`ReadLists::lists`] says of the key; nothing is appended.
    fn list(&self, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        let mut outcome = Ok(false);
        self.lists(&[key], at_most, &mut |_, found| {
            outcome = found.map(|list| list.map(|list| out.extend_from_slice(list)).is_some());
        });
        outcome
    }
}

impl<L: ReadLists + ?Sized> ReadLists for &L {
    fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        (**self).lists(keys, at_most, each);
    }

    fn list(&self, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        (**self).list(key, at_most, out)
    }
}
