//! The ids of items while a table is built: each id once, numbered in the order in which they came. Not the dictionary of a file,
//! which is sorted.

use xxhash_rust::xxh3::xxh3_64;

/// Bits of an entry of the table that are a number; above them stand bits of the hash.
const NUMBER_BITS: u32 = 32;
/// Entries at the start; a power of two.
const ENTRIES: usize = 64;

/// Ids by number and numbers by id, about 20 bytes an id beside its text.
#[derive(Debug)]
pub(super) struct Dictionary {
    texts: String,
    /// Where the text of each number ends.
    ends: Vec<u32>,
    /// Open addressing: the upper half of the hash and the number + 1; 0 where free. A power of two, at most half full.
    table: Vec<u64>,
}

impl Dictionary {
    pub fn new() -> Self {
        Self { texts: String::new(), ends: Vec::new(), table: vec![0; ENTRIES] }
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a number; empty where it was never given.
    pub fn text(&self, number: u32) -> &str {
        let at = number as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.texts.get(start as usize..end as usize).unwrap_or("")
    }

    /// The number of an id that is there.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.search(text, xxh3_64(text.as_bytes())).ok()
    }

    /// Adds an id that is not there, and gives its number.
    ///
    /// # Errors
    /// A sentence where there are 2^32-1, or where their texts would have 4 GiB.
    pub fn add(&mut self, text: &str) -> Result<u32, String> {
        if (self.len() + 1) * 2 > self.table.len() {
            self.grow();
        }
        let hash = xxh3_64(text.as_bytes());
        let place = match self.search(text, hash) {
            Ok(number) => return Ok(number),
            Err(place) => place,
        };
        let number = u32::try_from(self.len()).ok().filter(|number| *number < u32::MAX);
        let number = number.ok_or("more than 2^32-1 items")?;
        let end = u32::try_from(self.texts.len() + text.len());
        let end = end.map_err(|_| "all ids together must have less than 4 GiB")?;
        self.texts.push_str(text);
        self.ends.push(end);
        self.table[place] = entry(hash, number);
        Ok(number)
    }

    /// The number of a text, or the free place in the table for it.
    fn search(&self, text: &str, hash: u64) -> Result<u32, usize> {
        let mask = self.table.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let entry = self.table[place];
            if entry == 0 {
                return Err(place);
            }
            let number = (entry as u32).wrapping_sub(1);
            if entry >> NUMBER_BITS == hash >> NUMBER_BITS && self.text(number) == text {
                return Ok(number);
            }
            place = (place + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.table = vec![0; self.table.len() * 2];
        let mask = self.table.len() - 1;
        for number in 0..self.len() as u32 {
            let hash = xxh3_64(self.text(number).as_bytes());
            let mut place = hash as usize & mask;
            while self.table[place] != 0 {
                place = (place + 1) & mask;
            }
            self.table[place] = entry(hash, number);
        }
    }
}

fn entry(hash: u64, number: u32) -> u64 {
    hash >> NUMBER_BITS << NUMBER_BITS | u64::from(number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_one_number() {
        let mut dictionary = Dictionary::new();
        assert_eq!((dictionary.find(""), dictionary.text(0), dictionary.len()), (None, "", 0));
        let texts: Vec<String> =
            (0..10_000u32).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b1))).collect();
        for (number, text) in (0u32..).zip(&texts) {
            assert_eq!(dictionary.find(text), None);
            assert_eq!(dictionary.add(text), Ok(number));
            assert_eq!(dictionary.add(text), Ok(number), "once");
        }
        for (number, text) in (0u32..).zip(&texts) {
            assert_eq!((dictionary.find(text), dictionary.text(number)), (Some(number), text.as_str()));
        }
        assert_eq!((dictionary.len(), dictionary.text(10_000)), (10_000, ""));
        assert_eq!(dictionary.add(""), Ok(10_000));
        assert_eq!(dictionary.text(10_000), "");
    }
}
