//! Which keys the deltas of a stack may say anything of: one bit array by the hash of the key, so that all other keys go straight to
//! the base. A bit may be set for a key that no delta has (about one in sixteen); none is ever missing.

use xxhash_rust::xxh3::xxh3_64;

/// Bits per key of the deltas.
const BITS_PER_KEY: usize = 16;

/// A filter over the keys of all deltas. Empty: nothing is touched.
#[derive(Debug, Default)]
pub(super) struct Touched {
    bits: Box<[u64]>,
    mask: u64,
}

impl Touched {
    /// Room for so many keys.
    pub(super) fn for_keys(keys: usize) -> Self {
        if keys == 0 {
            return Self::default();
        }
        let bits = (keys * BITS_PER_KEY).next_power_of_two().max(64);
        Self { bits: vec![0; bits / 64].into(), mask: bits as u64 - 1 }
    }

    /// Notes a key by its text; a number by its decimal digits.
    pub(super) fn add(&mut self, key: &str) {
        let bit = xxh3_64(key.as_bytes()) & self.mask;
        if let Some(word) = self.bits.get_mut((bit / 64) as usize) {
            *word |= 1 << (bit % 64);
        }
    }

    /// Whether any delta may say something of the key.
    #[inline]
    pub(super) fn may_hold(&self, key: &str) -> bool {
        if self.bits.is_empty() {
            return false;
        }
        let bit = xxh3_64(key.as_bytes()) & self.mask;
        self.bits.get((bit / 64) as usize).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_was_added_is_held_and_few_others_are() {
        assert!(!Touched::for_keys(0).may_hold("a"), "without deltas nothing is touched");
        let mut touched = Touched::for_keys(1_000);
        (0..1_000).for_each(|n| touched.add(&format!("k{n}")));
        assert!((0..1_000).all(|n| touched.may_hold(&format!("k{n}"))));
        let others = (0..10_000).filter(|n| touched.may_hold(&format!("other {n}"))).count();
        assert!(others < 1_000, "{others} of 10,000 strangers");
    }
}
