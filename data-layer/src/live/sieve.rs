//! A bounded memory of what was met before: says "perhaps" of everything that went in lately, and of one in a hundred others. Not
//! for anything that must be taken out again.

/// Blocks of 512 bits in one generation: 2 KiB.
const BLOCKS: usize = 32;
/// Bits set for one entry.
const BITS: u32 = 6;
/// Entries of one generation; at that, about one in a hundred others is taken for one of them.
pub const GENERATION: u32 = 1400;

/// One generation's bits.
pub type Words = [u64; BLOCKS * 8];

/// A blocked Bloom filter (Putze, Sanders, Singler 2007) in two generations: when the newer is full, the older is forgotten. 2 KiB up to
/// 1,400 entries, then 4 KiB; holds the newest 1,400 at least.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sieve {
    newer: Option<Box<Words>>,
    older: Option<Box<Words>>,
    /// Entries of the newer.
    held: u32,
}

impl Sieve {
    /// Takes an entry in, by its hash.
    pub fn add(&mut self, hash: u64) {
        // Of the newer only: what only the older has is forgotten with it.
        if self.newer.as_ref().is_some_and(|words| each(hash, |word, bit| words[word] & bit != 0)) {
            return;
        }
        if self.held >= GENERATION {
            self.older = self.newer.take();
            self.held = 0;
        }
        self.held += 1;
        let words = self.newer.get_or_insert_with(|| Box::new([0; BLOCKS * 8]));
        each(hash, |word, bit| {
            words[word] |= bit;
            true
        });
    }

    /// Whether an entry may have been taken in.
    #[must_use]
    pub fn has(&self, hash: u64) -> bool {
        let both = [&self.newer, &self.older].into_iter().flatten();
        both.into_iter().any(|words| each(hash, |word, bit| words[word] & bit != 0))
    }

    /// Takes in all that another has. Where the two have too much for a generation each, what was newest in either is kept the longest.
    pub fn merge(&mut self, other: &Self) {
        for (into, from) in [(&mut self.newer, &other.newer), (&mut self.older, &other.older)] {
            match (into.as_mut(), from) {
                (Some(into), Some(from)) => into.iter_mut().zip(from.iter()).for_each(|(a, b)| *a |= b),
                (None, Some(from)) => *into = Some(from.clone()),
                _ => {}
            }
        }
        self.held = self.held.saturating_add(other.held).min(GENERATION);
    }

    /// Entries of the newer generation, and the bits of both.
    #[must_use]
    pub fn parts(&self) -> (u32, [Option<&Words>; 2]) {
        (self.held, [self.newer.as_deref(), self.older.as_deref()])
    }

    /// Puts together what [`Sieve::parts`] took apart.
    #[must_use]
    pub fn of(held: u32, [newer, older]: [Option<Box<Words>>; 2]) -> Self {
        Self { newer, older, held }
    }
}

/// Calls `what` with word and bit of each of an entry's bits, as long as it says so; whether it always did.
fn each(hash: u64, mut what: impl FnMut(usize, u64) -> bool) -> bool {
    let block = (hash as usize % BLOCKS) * 8;
    // Nine bits of the hash for each; the lowest ones chose the block.
    (0..BITS).all(|n| {
        let bit = (hash >> (8 + 9 * n)) as usize & 511;
        what(block + bit / 64, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn hash(n: u64) -> u64 {
        xxh3_64(&n.to_le_bytes())
    }

    #[test]
    fn what_went_in_lately_is_held_and_little_else() {
        let mut sieve = Sieve::default();
        let many = 10 * u64::from(GENERATION);
        (0..many).for_each(|n| sieve.add(hash(n)));
        let lately = many - u64::from(GENERATION)..many;
        assert!(lately.clone().all(|n| sieve.has(hash(n))));
        let strangers = (many..many + 100_000).filter(|n| sieve.has(hash(*n))).count();
        assert!(strangers < 4_000, "{strangers} of 100,000 in two generations");
        assert!((0..many / 2).filter(|n| sieve.has(hash(*n))).count() < many as usize / 20);
    }

    #[test]
    fn a_merged_sieve_holds_what_both_held() {
        let (mut a, mut b) = (Sieve::default(), Sieve::default());
        (0..500).for_each(|n| a.add(hash(n)));
        (1000..1800).for_each(|n| b.add(hash(n)));
        a.merge(&b);
        assert!((0..500).chain(1000..1800).all(|n| a.has(hash(n))));
        let (held, [newer, older]) = a.parts();
        assert_eq!(Sieve::of(held, [newer.cloned().map(Box::new), older.cloned().map(Box::new)]), a);
    }
}
