//! Scores to levels of 16 bits and back: `least + step * level`, in `f32`, the same sum for writer and reader, so that the error
//! that the writer states is the one that the reader sees.

/// Levels of a list: 0 to this.
const LEVELS: f64 = u16::MAX as f64;
/// 2^52: added to a number from 0 to 65,535, it leaves the nearest whole number in the lowest bits.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// The least and the greatest score; 0 and 0 where there are none.
#[must_use]
pub fn span(scores: &[f32]) -> (f32, f32) {
    let Some(first) = scores.first() else { return (0.0, 0.0) };
    scores.iter().fold((*first, *first), |(least, greatest), score| {
        (if *score < least { *score } else { least }, if *score > greatest { *score } else { greatest })
    })
}

/// The step between levels that spans least to greatest.
#[must_use]
pub fn step(least: f32, greatest: f32) -> f32 {
    ((f64::from(greatest) - f64::from(least)) / LEVELS) as f32
}

/// Appends the level nearest to each score, 2 bytes little-endian; returns the greatest error made, which is not finite where
/// scores are too far apart. Monotone: the order of a list survives.
#[must_use]
pub fn quantise(scores: &[f32], least: f32, step: f32, out: &mut Vec<u8>) -> f32 {
    // A rounded product with a constant is as monotone as a quotient, and far quicker.
    let inverse = if step > 0.0 { 1.0 / f64::from(step) } else { 0.0 };
    let start = out.len();
    out.resize(start + scores.len() * 2, 0);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked for AVX2.
        return unsafe { wide_levels(scores, least, step, inverse, &mut out[start..]) };
    }
    levels(scores, least, step, inverse, &mut out[start..])
}

/// The same, some at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide_levels(scores: &[f32], least: f32, step: f32, inverse: f64, out: &mut [u8]) -> f32 {
    levels(scores, least, step, inverse, out)
}

#[inline(always)]
fn levels(scores: &[f32], least: f32, step: f32, inverse: f64, out: &mut [u8]) -> f32 {
    let mut worst = 0u32;
    let (out, _) = out.as_chunks_mut::<2>();
    for (score, level) in scores.iter().zip(out) {
        let place = ((f64::from(*score) - f64::from(least)) * inverse).clamp(0.0, LEVELS);
        let nearest = (place + WHOLE).to_bits() as u16;
        *level = nearest.to_le_bytes();
        // Bits of numbers that are not negative are ordered as the numbers are, with infinity and NaN above all.
        worst = worst.max((affine(least, step, nearest) - score).abs().to_bits());
    }
    f32::from_bits(worst)
}

/// Scores from levels as [`quantise`] wrote them. Scores that the bytes do not hold are left as they are.
pub fn dequantise(levels: &[u8], least: f32, step: f32, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor was just asked for AVX2.
        return unsafe { wide(levels, least, step, out) };
    }
    each(levels, least, step, out);
}

/// The same, eight at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide(levels: &[u8], least: f32, step: f32, out: &mut [f32]) {
    each(levels, least, step, out);
}

#[inline(always)]
fn each(levels: &[u8], least: f32, step: f32, out: &mut [f32]) {
    // Pairs as arrays: an iterator over chunks is not always compiled into the loop.
    let (levels, _) = levels.as_chunks::<2>();
    for (score, level) in out.iter_mut().zip(levels) {
        *score = affine(least, step, u16::from_le_bytes(*level));
    }
}

/// Scores as they were written. Scores that the bytes do not hold are left as they are.
pub fn exact(bytes: &[u8], out: &mut [f32]) {
    let (scores, _) = bytes.as_chunks::<4>();
    for (score, bytes) in out.iter_mut().zip(scores) {
        *score = f32::from_le_bytes(*bytes);
    }
}

#[inline(always)]
fn affine(least: f32, step: f32, level: u16) -> f32 {
    least + step * f32::from(level)
}
