//! The data that every store is given: keys, lists, and the order in which they are asked for. All of it follows from numbers,
//! so that nothing but the stores themselves has to lie in memory.

/// Bytes of a raw place: u64 item, f32 score, little-endian.
pub const PLACE: usize = 12;

/// A set of lists: `keys` keys with `places` places each, items drawn from a dictionary of `items`.
#[derive(Debug, Clone)]
pub struct Data {
    /// All keys, rising.
    pub keys: Vec<u64>,
    /// Places of each list.
    pub places: usize,
    /// Items of the dictionary.
    pub items: u32,
}

/// Spreads a number over 64 bits, one to one (SplitMix64's finaliser).
#[must_use]
pub fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The id of an item by its number in the dictionary.
#[must_use]
pub fn item_id(number: u32) -> u64 {
    mix(u64::from(number) ^ 0x17e3_0000_0000)
}

impl Data {
    /// A set of this size.
    #[must_use]
    pub fn new(keys: usize, places: usize, items: u32) -> Self {
        let mut keys: Vec<u64> = (0..keys as u64).map(mix).collect();
        keys.sort_unstable();
        Self { keys, places, items }
    }

    /// Bytes of all places, keys not counted: what every size is measured against.
    #[must_use]
    pub fn payload(&self) -> u64 {
        (self.keys.len() * self.places * PLACE) as u64
    }

    /// Bytes of one raw list.
    #[must_use]
    pub fn list_bytes(&self) -> usize {
        self.places * PLACE
    }

    /// The list of a key: numbers of items, all different, and falling scores between 0 and 1.
    pub fn list(&self, key: u64, list: &mut Vec<(u32, f32)>) {
        let items = u64::from(self.items);
        let seed = mix(key);
        let (start, stride) = (seed % items, 1 + (seed >> 32) % (items / self.places as u64).max(2));
        let top = 0.5 + (seed >> 40) as f32 / (1u64 << 25) as f32;
        list.clear();
        // Strides below items / places never come round to where they began.
        list.extend((0..self.places as u64).map(|i| {
            let item = start + i * stride;
            let item = if item >= items { item - items } else { item };
            (item as u32, top / (1.0 + i as f32 * 0.125))
        }));
    }

    /// A list as the peers store it, appended.
    pub fn raw(&self, key: u64, scratch: &mut Vec<(u32, f32)>, raw: &mut Vec<u8>) {
        self.list(key, scratch);
        for (item, score) in scratch {
            raw.extend_from_slice(&item_id(*item).to_le_bytes());
            raw.extend_from_slice(&score.to_le_bytes());
        }
    }

    /// Keys asked for, all equally likely.
    #[must_use]
    pub fn uniform(&self, count: usize) -> Vec<u64> {
        (0..count as u64).map(|n| self.keys[(mix(n ^ 0xabcd) % self.keys.len() as u64) as usize]).collect()
    }

    /// Keys asked for as Zipf's law has it, exponent 1: the most popular has 1/ln(keys) of all requests.
    #[must_use]
    pub fn zipf(&self, count: usize) -> Vec<u64> {
        let log = (self.keys.len() as f64).ln();
        let rank = |n: u64| (((mix(n ^ 0x21bf) >> 11) as f64 / (1u64 << 53) as f64) * log).exp() as u64 - 1;
        (0..count as u64).map(|n| self.keys[(mix(rank(n)) % self.keys.len() as u64) as usize]).collect()
    }
}

/// Touches every byte of a raw list: the sum of its 64-bit words.
#[inline]
#[must_use]
pub fn touch(raw: &[u8]) -> u64 {
    let (words, rest) = raw.as_chunks::<8>();
    let sum = words.iter().fold(0u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}
