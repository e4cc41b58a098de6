//! What is known about items beside the lists: how many there are, what they are like, how popular they were in training.

use std::path::Path;

use super::{Names, Table};
use crate::error::{Error, Result};

/// Knowledge about items that some metrics need. Absent parts leave those metrics out.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Number of items that could have been listed; at least those that were seen in any file.
    pub size: usize,
    /// By item number: sorted codes of its words; empty where nothing is known.
    pub words: Option<Vec<Vec<u32>>>,
    /// By item number: users who took it in training. With the number of users in training.
    pub popularity: Option<(Vec<u32>, u32)>,
}

impl Catalogue {
    /// Reads an items file: its rows make the catalogue, `attribute` (default: the first of category, topic, genres, genre,
    /// class, tags that exists) says how items differ.
    ///
    /// # Errors
    /// A missing column, with those that there are.
    pub fn read_items(&mut self, path: &Path, attribute: Option<&str>, items: &mut Names) -> Result<()> {
        let table = Table::open(path)?;
        let ids: Vec<u32> = table.text("item")?.iter().map(|i| items.number(i)).collect();
        let usual = ["category", "topic", "genres", "genre", "class", "tags"];
        let column = attribute.or_else(|| usual.into_iter().find(|n| table.has(n)));
        if let Some(column) = column {
            let mut codes = Names::default();
            let mut words = vec![Vec::new(); items.len()];
            for (id, list) in ids.iter().zip(table.words(column)?) {
                let mut list: Vec<u32> = list.iter().map(|w| codes.number(w)).collect();
                list.sort_unstable();
                list.dedup();
                words[*id as usize] = list;
            }
            self.words = Some(words);
        }
        Ok(())
    }

    /// Reads training interactions, for novelty.
    ///
    /// # Errors
    /// Missing columns, empty cells, an empty file.
    pub fn read_training(&mut self, path: &Path, items: &mut Names) -> Result<()> {
        let table = Table::open(path)?;
        let mut users = Names::default();
        let (who, what) = (table.text("user")?, table.text("item")?);
        let mut pairs: Vec<(u32, u32)> =
            who.iter().zip(&what).map(|(u, i)| (users.number(u), items.number(i))).collect();
        if pairs.is_empty() {
            return Err(Error::input(path, "expected training interactions, found none"));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut counts = vec![0; items.len()];
        pairs.iter().for_each(|(_, i)| counts[*i as usize] += 1);
        self.popularity = Some((counts, users.len() as u32));
        Ok(())
    }
}
