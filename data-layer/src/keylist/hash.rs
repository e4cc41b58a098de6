//! Hashes and sums of version 2. Part of the format: `docs/formats.md` states each of them.

use xxhash_rust::xxh3::xxh3_64;

use super::{Key, kernel};

/// Hash of a key: XXH3-64 of a text's bytes, [`number`] of a number.
#[inline]
pub(super) fn of(key: Key<'_>) -> u64 {
    match key {
        Key::U64(key) => number(key),
        Key::Str(text) => xxh3_64(text.as_bytes()),
    }
}

/// A bijection, so that two numbers never have the same hash: variant 13 of Stafford's mixers, the finaliser of `SplitMix64`.
#[inline]
pub(super) fn number(key: u64) -> u64 {
    let key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

/// The 32 bits that stand first in a record and last in a line of pilots: the low half of XXH3-64 of the rest.
#[inline]
pub(super) fn sum(bytes: &[u8]) -> u32 {
    kernel::sum(bytes) as u32
}

/// Home bucket of a hash: its upper bits, scaled.
#[inline]
pub(super) fn bucket(hash: u64, buckets: u64) -> u64 {
    ((u128::from(hash) * u128::from(buckets)) >> 64) as u64
}
