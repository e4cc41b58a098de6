//! Dot products of one weight vector with many rows. The order of additions is fixed (eight lanes, then halves), so that the fast
//! form, the plain form, one row and a block all give the same bits.

const LANES: usize = 8;

/// `Σ row[i] · weights[i]` over the shorter of the two.
#[must_use]
pub fn dot(row: &[f32], weights: &[f32]) -> f32 {
    let len = row.len().min(weights.len());
    let (row, weights) = (&row[..len], &weights[..len]);
    let mut lanes = [0.0_f32; LANES];
    let (rows, row_rest) = row.as_chunks::<LANES>();
    let (columns, weights_rest) = weights.as_chunks::<LANES>();
    for (r, w) in rows.iter().zip(columns) {
        for lane in 0..LANES {
            lanes[lane] += r[lane] * w[lane];
        }
    }
    for (lane, (r, w)) in row_rest.iter().zip(weights_rest).enumerate() {
        lanes[lane] += r * w;
    }
    sum(lanes)
}

/// The same, written as the definition reads.
#[must_use]
pub fn dot_plain(row: &[f32], weights: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    for at in 0..row.len().min(weights.len()) {
        lanes[at % LANES] += row[at] * weights[at];
    }
    sum(lanes)
}

fn sum(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// The dot product of each row of a row-major block with the weights, into `out`, as far as both reach. A block of width 0 gives zeros.
pub fn dot_rows(block: &[f32], width: usize, weights: &[f32], out: &mut [f32]) {
    if width == 0 {
        out.fill(0.0);
        return;
    }
    for (row, out) in block.chunks_exact(width).zip(out) {
        *out = dot(row, weights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fast_equals_plain(pairs in prop::collection::vec((any::<f32>(), any::<f32>()), 0..70)) {
            let (row, weights): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let (fast, plain) = (dot(&row, &weights), dot_plain(&row, &weights));
            prop_assert!(fast.to_bits() == plain.to_bits() || fast.is_nan() && plain.is_nan());
        }

        #[test]
        fn batch_equals_single(width in 1_usize..40, rows in 0_usize..20, seed in any::<u32>()) {
            let value = |at: usize| ((at as f32 + seed as f32 * 1e-6).sin() * 10.0).fract();
            let block: Vec<f32> = (0..width * rows).map(value).collect();
            let weights: Vec<f32> = (0..width).map(|at| value(at + 7)).collect();
            let mut out = vec![0.0; rows];
            dot_rows(&block, width, &weights, &mut out);
            for (row, got) in block.chunks(width).zip(&out) {
                prop_assert_eq!(dot(row, &weights).to_bits(), got.to_bits());
            }
        }

        #[test]
        fn near_the_exact_sum(pairs in prop::collection::vec((-10.0_f32..10.0, -10.0_f32..10.0), 0..200)) {
            let (row, weights): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let exact: f64 = pairs.iter().map(|&(r, w)| f64::from(r) * f64::from(w)).sum();
            let size: f64 = pairs.iter().map(|&(r, w)| (f64::from(r) * f64::from(w)).abs()).sum();
            prop_assert!((f64::from(dot(&row, &weights)) - exact).abs() <= 1e-5 * size + 1e-6);
        }
    }
}
