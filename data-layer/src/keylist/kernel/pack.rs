//! Numbers to bits, the lowest bit first, without gaps.

use super::packed_len;

/// Appends each item's lowest `bits` bits (1 to 32; items are expected to have no more), [`packed_len`] bytes in all. The bits
/// after the last item are 0.
pub fn pack(items: &[u32], bits: u32, out: &mut Vec<u8>) {
    let bits = bits.clamp(1, 32);
    let mask = u32::MAX >> (32 - bits);
    out.reserve(packed_len(items.len(), bits) + 4);
    let (mut word, mut filled) = (0u64, 0);
    for item in items {
        // Fewer than 32 bits wait in the word, so there is room for as many more.
        word |= u64::from(item & mask) << filled;
        filled += bits;
        if filled >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            filled -= 32;
        }
    }
    let rest = word.to_le_bytes();
    out.extend_from_slice(&rest[..filled.div_ceil(8) as usize]);
}

/// Bit by bit: what packing means.
#[cfg(test)]
pub(super) fn plain(items: &[u32], bits: u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + packed_len(items.len(), bits), 0);
    for (number, item) in items.iter().enumerate() {
        for bit in 0..bits as usize {
            let at = number * bits as usize + bit;
            out[start + at / 8] |= ((item >> bit & 1) as u8) << (at % 8);
        }
    }
}
