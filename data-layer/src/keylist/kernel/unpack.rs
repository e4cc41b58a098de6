//! Bits to numbers, the way back from `pack.rs`: eight items at a time, one code path per width.
//!
//! With AVX2 (found when the program runs) and up to 25 bits, eight items are one byte shuffle, one shift by lane and one mask;
//! elsewhere each is a word read from its byte, shifted and masked.

/// Items that are unpacked together: they fill as many bytes as an item has bits.
const GROUP: usize = 8;
/// Bytes that a group is read from, at most.
const WINDOW: usize = 40;

/// Bytes that a group of a width is read from, its own and some after them: what both ways of reading touch.
const fn window(bits: usize) -> usize {
    let (narrow, wide) = (7 * bits / 8 + 8, 4 * bits / 8 + 16);
    if narrow > wide { narrow } else { wide }
}

/// Reads `out.len()` items of `bits` bits each (1 to 32) from the start of `bytes`. Items that the bytes do not hold are 0.
#[inline]
pub fn unpack(bytes: &[u8], bits: u32, out: &mut [u32]) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match bits {
                $($width => unpack_width::<$width>(bytes, out),)*
                32 => unpack_whole(bytes, out),
                _ => out.fill(0),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
}

fn unpack_whole(bytes: &[u8], out: &mut [u32]) {
    let mut words =
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    out.iter_mut().for_each(|item| *item = words.next().unwrap_or(0));
}

fn unpack_width<const BITS: usize>(bytes: &[u8], out: &mut [u32]) {
    // Groups whose window lies within the bytes; the others are read from a padded copy.
    let whole =
        bytes.len().checked_sub(window(BITS)).map_or(0, |spare| spare / BITS + 1).min(out.len() / GROUP);
    let (groups, rest) = out.split_at_mut(whole * GROUP);
    #[cfg(target_arch = "x86_64")]
    let done = BITS <= 25 && std::arch::is_x86_feature_detected!("avx2") && {
        // SAFETY: the processor was just asked for AVX2.
        unsafe { wide::groups::<BITS>(bytes, groups) };
        true
    };
    #[cfg(not(target_arch = "x86_64"))]
    let done = false;
    if !done {
        narrow_groups::<BITS>(bytes, groups);
    }
    let mut at = whole * BITS;
    for items in rest.chunks_mut(GROUP) {
        let mut window = [0; WINDOW];
        let left = bytes.get(at..).unwrap_or(&[]);
        let length = left.len().min(WINDOW);
        window[..length].copy_from_slice(&left[..length]);
        let group = narrow::<BITS>(&window);
        items.copy_from_slice(&group[..items.len()]);
        at += BITS;
    }
}

fn narrow_groups<const BITS: usize>(bytes: &[u8], out: &mut [u32]) {
    let starts = bytes.windows(window(BITS)).step_by(BITS);
    for (window, items) in starts.zip(out.chunks_exact_mut(GROUP)) {
        items.copy_from_slice(&narrow::<BITS>(window));
    }
}

/// One group of a window, word by word.
#[inline(always)]
fn narrow<const BITS: usize>(window: &[u8]) -> [u32; GROUP] {
    let mut items = [0; GROUP];
    for (number, item) in items.iter_mut().enumerate() {
        let (at, shift) = (number * BITS / 8, number * BITS % 8);
        let mut word = [0; 8];
        word.copy_from_slice(&window[at..at + 8]);
        *item = (u64::from_le_bytes(word) >> shift) as u32 & (u32::MAX >> (32 - BITS));
    }
    items
}

/// Eight items in one AVX2 register.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_loadu_si256, _mm256_set_m128i,
        _mm256_set1_epi32, _mm256_shuffle_epi8, _mm256_srlv_epi32, _mm256_storeu_si256,
    };

    use super::{GROUP, window};

    /// Where the upper four items of a group start.
    const fn upper(bits: usize) -> usize {
        4 * bits / 8
    }

    /// For each byte of the register, the byte of its half's 16 that belongs there.
    const fn shuffle(bits: usize) -> [u8; 32] {
        let mut places = [0; 32];
        let mut lane = 0;
        while lane < GROUP {
            let start = if lane < 4 { 0 } else { upper(bits) };
            let mut byte = 0;
            while byte < 4 {
                places[lane * 4 + byte] = (lane * bits / 8 - start + byte) as u8;
                byte += 1;
            }
            lane += 1;
        }
        places
    }

    const fn shifts(bits: usize) -> [u32; GROUP] {
        let mut shifts = [0; GROUP];
        let mut lane = 0;
        while lane < GROUP {
            shifts[lane] = (lane * bits % 8) as u32;
            lane += 1;
        }
        shifts
    }

    /// Unpacks groups of `BITS` bits, at most 25; stops where a window would pass the end of the bytes.
    #[target_feature(enable = "avx2")]
    pub fn groups<const BITS: usize>(bytes: &[u8], out: &mut [u32]) {
        let places: &[u8; 32] = &const { shuffle(BITS) };
        let lanes: &[u32; GROUP] = &const { shifts(BITS) };
        // SAFETY: both are 32 bytes long, and unaligned loads take any address.
        let (places, lanes) = unsafe {
            (
                _mm256_loadu_si256(places.as_ptr().cast::<__m256i>()),
                _mm256_loadu_si256(lanes.as_ptr().cast::<__m256i>()),
            )
        };
        let mask = _mm256_set1_epi32((u32::MAX >> (32 - BITS)) as i32);
        let (groups, _) = out.as_chunks_mut::<GROUP>();
        for (number, items) in groups.iter_mut().enumerate() {
            let Some(window) = bytes.get(number * BITS..number * BITS + window(BITS)) else { return };
            let (low, high) = (&window[..16], &window[upper(BITS)..upper(BITS) + 16]);
            // SAFETY: both slices are 16 bytes long, and unaligned loads take any address.
            let (low, high) = unsafe {
                (
                    _mm_loadu_si128(low.as_ptr().cast::<__m128i>()),
                    _mm_loadu_si128(high.as_ptr().cast::<__m128i>()),
                )
            };
            let spread = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), places);
            let group = _mm256_and_si256(_mm256_srlv_epi32(spread, lanes), mask);
            // SAFETY: the chunk has eight items, 32 bytes, and unaligned stores take any address.
            unsafe { _mm256_storeu_si256(items.as_mut_ptr().cast::<__m256i>(), group) };
        }
    }
}

/// Bit by bit: what unpacking means.
#[cfg(test)]
pub(super) fn plain(bytes: &[u8], bits: u32, out: &mut [u32]) {
    for (number, item) in out.iter_mut().enumerate() {
        *item = 0;
        for bit in 0..bits as usize {
            let at = number * bits as usize + bit;
            *item |= u32::from(bytes.get(at / 8).map_or(0, |byte| byte >> (at % 8) & 1)) << bit;
        }
    }
}

/// The path without AVX2, for tests on machines that have it.
#[cfg(test)]
pub(super) fn without_avx2<const BITS: usize>(bytes: &[u8], out: &mut [u32]) {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len() + WINDOW + out.len() * 4, 0);
    let mut groups = vec![0; out.len().next_multiple_of(GROUP)];
    narrow_groups::<BITS>(&padded, &mut groups);
    out.copy_from_slice(&groups[..out.len()]);
}
