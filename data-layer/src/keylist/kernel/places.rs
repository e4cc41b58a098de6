//! Items and scores of a list in one pass: what `unpack.rs` and `quantise.rs` do one after the other, eight places at a time. A list
//! of ten is two turns of one loop here; apart, the calls take longer than the work. Not for exact scores.

use super::{dequantise, unpack};

/// Places that are read together.
const GROUP: usize = 8;
/// Bits of an item, at most, in the fused form: four of them and the bits before the first fit into 16 bytes.
const MOST_BITS: u32 = 25;

/// Where a run of places stands in its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    /// Items from the first byte on; what stands after the scores is not looked at, but lets the last group be read whole.
    pub bytes: &'a [u8],
    /// Bits of an item, 1 to 32.
    pub bits: u32,
    /// Where the levels of the scores start.
    pub levels: usize,
    /// Score of level 0.
    pub least: f32,
    /// From one level to the next.
    pub step: f32,
}

/// Whether [`places`] of so many bits an item are read in one pass on this machine.
#[must_use]
pub fn reads_in_one_go(bits: u32) -> bool {
    #[cfg(target_arch = "x86_64")]
    return bits.wrapping_sub(1) < MOST_BITS && std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Fills both slices, which are as long as each other and end with a whole group of eight. What stands in places that the list does
/// not have means nothing.
#[inline]
pub fn places(packed: &Packed<'_>, items: &mut [u32], scores: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if reads_in_one_go(packed.bits) {
        // SAFETY: the processor was just asked for AVX2.
        return unsafe { places_here(packed, items, scores) };
    }
    apart(packed, 0, items, scores);
}

/// [`places`] where the processor is known to have AVX2 and items have at most 25 bits; compiled into its caller.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub fn places_here(packed: &Packed<'_>, items: &mut [u32], scores: &mut [f32]) {
    let rest = wide::places(packed, items, scores);
    // The last groups of a section: their windows would pass its end.
    if rest < items.len() {
        apart(packed, rest, items, scores);
    }
}

/// The same in two passes, from place `at` on, a multiple of eight.
#[cold]
fn apart(packed: &Packed<'_>, at: usize, items: &mut [u32], scores: &mut [f32]) {
    let (from, levels) = (at / GROUP * packed.bits as usize, packed.levels + at * 2);
    unpack(packed.bytes.get(from..).unwrap_or(&[]), packed.bits, &mut items[at..]);
    let levels = packed.bytes.get(levels..).unwrap_or(&[]);
    dequantise(levels, packed.least, packed.step, &mut scores[at..]);
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::{
        __m128i, __m256i, _mm_loadu_si128, _mm256_add_ps, _mm256_and_si256, _mm256_cvtepi32_ps,
        _mm256_cvtepu16_epi32, _mm256_loadu_si256, _mm256_mul_ps, _mm256_set_m128i, _mm256_set1_epi32,
        _mm256_set1_ps, _mm256_shuffle_epi8, _mm256_srlv_epi32, _mm256_storeu_ps, _mm256_storeu_si256,
    };

    use super::{GROUP, MOST_BITS, Packed};

    /// For one width: the byte of its half's 16 that belongs in each byte of the register, and how far each lane is shifted.
    #[repr(C, align(32))]
    struct Spread {
        places: [u8; 32],
        shifts: [u32; GROUP],
    }

    static SPREADS: [Spread; MOST_BITS as usize + 1] = {
        let mut spreads = [const { Spread { places: [0; 32], shifts: [0; GROUP] } }; MOST_BITS as usize + 1];
        let mut bits = 1;
        while bits <= MOST_BITS as usize {
            let mut lane = 0;
            while lane < GROUP {
                let start = if lane < 4 { 0 } else { bits / 2 };
                let mut byte = 0;
                while byte < 4 {
                    spreads[bits].places[lane * 4 + byte] = (lane * bits / 8 - start + byte) as u8;
                    byte += 1;
                }
                spreads[bits].shifts[lane] = (lane * bits % 8) as u32;
                lane += 1;
            }
            bits += 1;
        }
        spreads
    };

    /// Reads groups until all places are read, or until a group's window would pass the end of the bytes; returns the number of
    /// places that were read.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn places(packed: &Packed<'_>, items: &mut [u32], scores: &mut [f32]) -> usize {
        let bits = packed.bits as usize;
        let Some(Spread { places, shifts }) = SPREADS.get(bits) else { return 0 };
        // SAFETY: both arrays are 32 bytes long, and unaligned loads take any address.
        let (places, shifts) = unsafe {
            (
                _mm256_loadu_si256(places.as_ptr().cast::<__m256i>()),
                _mm256_loadu_si256(shifts.as_ptr().cast::<__m256i>()),
            )
        };
        let mask = _mm256_set1_epi32((u32::MAX >> (32 - packed.bits)) as i32);
        let (least, step) = (_mm256_set1_ps(packed.least), _mm256_set1_ps(packed.step));
        let (item_groups, _) = items.as_chunks_mut::<GROUP>();
        let (score_groups, _) = scores.as_chunks_mut::<GROUP>();
        let (bytes, mut at, mut level) = (packed.bytes, 0, packed.levels);
        for (number, (items, scores)) in item_groups.iter_mut().zip(score_groups).enumerate() {
            if at + bits / 2 + 16 > bytes.len() || level + 16 > bytes.len() {
                return number * GROUP;
            }
            // SAFETY: three times 16 bytes from `at`, from `bits / 2` after it and from `level`; the latter two end within the
            // bytes, as was just asked, and the first ends before the second. Unaligned loads take any address.
            let (low, high, levels) = unsafe {
                let start = bytes.as_ptr();
                (
                    _mm_loadu_si128(start.add(at).cast::<__m128i>()),
                    _mm_loadu_si128(start.add(at + bits / 2).cast::<__m128i>()),
                    _mm_loadu_si128(start.add(level).cast::<__m128i>()),
                )
            };
            let spread = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), places);
            let group = _mm256_and_si256(_mm256_srlv_epi32(spread, shifts), mask);
            let levels = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(levels));
            let group_scores = _mm256_add_ps(least, _mm256_mul_ps(step, levels));
            // SAFETY: each chunk has eight places, 32 bytes, and unaligned stores take any address.
            unsafe {
                _mm256_storeu_si256(items.as_mut_ptr().cast::<__m256i>(), group);
                _mm256_storeu_ps(scores.as_mut_ptr(), group_scores);
            }
            at += bits;
            level += 16;
        }
        items.len()
    }
}
