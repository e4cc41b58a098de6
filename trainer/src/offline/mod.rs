//! Candidate tables, built offline from DATA. One file for each method; the list below is the only place that names them.

mod item_cf;
mod popular;
mod settings;
mod write;

use crate::data::Data;
use crate::{Error, Result};

pub use settings::Settings;
pub use write::{columns, write_parquet};

/// What the keys of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One list for each user, without what the user has met in DATA.
    Users,
    /// One list for each item; for rankings one list under the key `all`.
    Items,
}

/// Lists by key. Items are codes of DATA's dictionary; each list is ordered, best first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lists {
    /// Key of each list.
    pub keys: Vec<String>,
    /// Items with finite scores.
    pub lists: Vec<Vec<(u32, f32)>>,
}

/// A method that makes candidates.
pub trait Method: Sync {
    /// Builds lists of at most `top` items.
    ///
    /// # Errors
    /// A setting that does not make sense, or data that the method cannot use.
    fn build(&self, data: &Data, settings: &Settings, target: Target, top: usize) -> Result<Lists>;
    /// One line for `--help`.
    fn about(&self) -> &'static str;
    /// Names, defaults and meanings of the settings.
    fn settings(&self) -> &'static [(&'static str, &'static str, &'static str)];
    /// Whether the table for items is one ranking under the key `all`.
    fn ranking(&self) -> bool;
}

/// All methods by name. A new one is a file and a line here.
pub const METHODS: [(&str, &dyn Method); 3] = [
    ("popular", &popular::Popular),
    ("popular_lately", &popular::PopularLately),
    ("item_cf", &item_cf::ItemCf),
];

/// The method of this name.
///
/// # Errors
/// There is none; the message lists all.
pub fn method(name: &str) -> Result<&'static dyn Method> {
    METHODS.iter().find(|(n, _)| *n == name).map(|(_, m)| *m).ok_or_else(|| {
        let names: Vec<&str> = METHODS.iter().map(|(n, _)| *n).collect();
        Error::Usage(format!("no method {name:?}; there are {}", names.join(", ")))
    })
}

/// Orders by score, best first, then by the hash of the id, then by the id, and cuts. `total_cmp`: no score can confuse it.
pub(crate) fn best(data: &Data, mut list: Vec<(u32, f32)>, top: usize, ties: &[u64]) -> Vec<(u32, f32)> {
    let names = &data.interactions.items;
    let order = |a: &(u32, f32), b: &(u32, f32)| {
        b.1.total_cmp(&a.1)
            .then_with(|| ties[a.0 as usize].cmp(&ties[b.0 as usize]))
            .then_with(|| names.text(a.0).cmp(names.text(b.0)))
    };
    if list.len() > top && top > 0 {
        list.select_nth_unstable_by(top - 1, order);
        list.truncate(top);
    }
    list.sort_unstable_by(order);
    list.truncate(top);
    // A copy of the right size: what was cut off would else be held for every key.
    list.as_slice().into()
}

/// The tie-breaking hash of each item (XXH3-64 of the id), by code.
pub(crate) fn ties(data: &Data) -> Vec<u64> {
    data.interactions.items.iter().map(|id| xxhash_rust::xxh3::xxh3_64(id.as_bytes())).collect()
}

#[cfg(test)]
mod tests;
