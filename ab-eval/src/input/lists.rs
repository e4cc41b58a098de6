//! Ranked lists (`user`, `item` and `rank` or `score`) and truth (`user`, `item`), by dense numbers.

use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Names, Table};
use crate::error::Result;

/// Ranked lists by user, best first, without duplicates.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    lists: FxHashMap<u32, Vec<u32>>,
}

/// What users took after the lists were made.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    relevant: FxHashMap<u32, FxHashSet<u32>>,
}

impl Lists {
    /// Reads lists. Order is by `rank` where there is one, else by `score`, greatest first, equal ones as the file has
    /// them; without either, the order of the file.
    ///
    /// # Errors
    /// Missing columns, empty cells, scores or ranks that are not finite, an item twice in a list, two items of one rank.
    pub fn read(path: &Path, users: &mut Names, items: &mut Names) -> Result<Self> {
        let table = Table::open(path)?;
        let (who, what) = (table.text("user")?, table.text("item")?);
        let ranks = if table.has("rank") { Some(table.numbers("rank")?) } else { None };
        let scores = if table.has("score") { Some(table.numbers("score")?) } else { None };
        let mut rows: FxHashMap<u32, Vec<(f64, u32, u32)>> = FxHashMap::default();
        for row in 0..table.rows() {
            let key = match (&ranks, &scores) {
                (Some(ranks), _) => ranks[row],
                (None, Some(scores)) => -scores[row],
                (None, None) => 0.0,
            };
            let entry = (key, row as u32, items.number(&what[row]));
            rows.entry(users.number(&who[row])).or_default().push(entry);
        }
        let mut lists = FxHashMap::default();
        for (user, mut list) in rows {
            list.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut seen = FxHashSet::default();
            if let Some((_, row, item)) = list.iter().find(|entry| !seen.insert(entry.2)) {
                let detail =
                    format!("item {:?} is twice in the list of {:?}", items.name(*item), users.name(user));
                return Err(table.wrong(*row as usize, &detail));
            }
            if let (Some(_), Some(pair)) = (&ranks, list.windows(2).find(|w| w[0].0 == w[1].0)) {
                let detail = format!("rank {} is twice in the list of {:?}", pair[1].0, users.name(user));
                return Err(table.wrong(pair[1].1 as usize, &detail));
            }
            lists.insert(user, list.into_iter().map(|entry| entry.2).collect());
        }
        Ok(Self { lists })
    }

    /// Takes lists as they are, for callers that have them in memory. The caller sees to it that no item is twice in a list.
    #[must_use]
    pub fn from_rows(rows: impl IntoIterator<Item = (u32, Vec<u32>)>) -> Self {
        Self { lists: rows.into_iter().collect() }
    }

    /// The list of a user, empty where there is none.
    #[must_use]
    pub fn of(&self, user: u32) -> &[u32] {
        self.lists.get(&user).map_or(&[], Vec::as_slice)
    }

    /// Whether this user has a list.
    #[must_use]
    pub fn has(&self, user: u32) -> bool {
        self.lists.contains_key(&user)
    }
}

impl Truth {
    /// Reads pairs; a pair twice counts once.
    ///
    /// # Errors
    /// Missing columns, empty cells.
    pub fn read(path: &Path, users: &mut Names, items: &mut Names) -> Result<Self> {
        let table = Table::open(path)?;
        let (who, what) = (table.text("user")?, table.text("item")?);
        Ok(Self::from_pairs(who.iter().zip(&what).map(|(u, i)| (users.number(u), items.number(i)))))
    }

    /// Takes pairs of user and item.
    #[must_use]
    pub fn from_pairs(pairs: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut relevant: FxHashMap<u32, FxHashSet<u32>> = FxHashMap::default();
        for (user, item) in pairs {
            relevant.entry(user).or_default().insert(item);
        }
        Self { relevant }
    }

    /// Users with something relevant, sorted by name, so that the order of a file decides nothing.
    #[must_use]
    pub fn users(&self, names: &Names) -> Vec<u32> {
        let mut users: Vec<u32> = self.relevant.keys().copied().collect();
        users.sort_unstable_by_key(|&u| names.name(u));
        users
    }

    /// What one user took.
    #[must_use]
    pub fn of(&self, user: u32) -> Option<&FxHashSet<u32>> {
        self.relevant.get(&user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(text: &str) -> Result<(Lists, Names, Names)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recs.csv");
        fs::write(&path, text).unwrap();
        let (mut users, mut items) = (Names::default(), Names::default());
        let lists = Lists::read(&path, &mut users, &mut items)?;
        Ok((lists, users, items))
    }

    fn order(text: &str) -> Vec<String> {
        let (lists, users, items) = read(text).unwrap();
        lists.of(users.get("u").unwrap()).iter().map(|&i| items.name(i).to_owned()).collect()
    }

    #[test]
    fn rank_goes_before_score_and_score_before_the_file() {
        assert_eq!(order("user,item,score,rank\nu,a,9,3\nu,b,1,1\nu,c,5,2\n"), ["b", "c", "a"]);
        assert_eq!(order("user,item,score\nu,a,1\nu,b,2\nu,c,2\n"), ["b", "c", "a"]);
        assert_eq!(order("user,item\nu,a\nu,b\n"), ["a", "b"]);
    }

    #[test]
    fn refuses_what_is_no_list() {
        for (text, part) in [
            ("user,item\nu,a\nu,a\n", "line 3: item \"a\" is twice"),
            ("user,item,score\nu,a,inf\n", "line 2: column \"score\""),
            ("user,item,rank\nu,a,1\nu,b,1\n", "rank 1 is twice"),
            ("user,thing\nu,a\n", "\"item\""),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
