//! Fast == plain, there and back, for every width and length; levels keep order and their word about the error.

use proptest::prelude::*;

use super::*;

fn masked(items: &[u32], bits: u32) -> Vec<u32> {
    items.iter().map(|item| item & (u32::MAX >> (32 - bits))).collect()
}

/// Packs and unpacks in every way there is; all must agree.
fn check(items: &[u32], bits: u32) {
    let (mut fast, mut slow) = (vec![7u8; 3], vec![7u8; 3]);
    pack(items, bits, &mut fast);
    pack::plain(items, bits, &mut slow);
    assert_eq!(fast, slow, "{} items of {bits} bits", items.len());
    let bytes = &fast[3..];
    assert_eq!(bytes.len(), packed_len(items.len(), bits));
    let (mut back, mut plain) = (vec![1; items.len()], vec![2; items.len()]);
    unpack(bytes, bits, &mut back);
    unpack::plain(bytes, bits, &mut plain);
    assert_eq!(back, items);
    assert_eq!(plain, items);
    // What follows the items in a record must not show.
    let followed: Vec<u8> = bytes.iter().copied().chain([0xff; 64]).collect();
    unpack(&followed, bits, &mut back);
    assert_eq!(back, items);
}

#[test]
fn every_width_and_length_comes_back() {
    for bits in 1..=32 {
        for length in 0..70u32 {
            let items: Vec<u32> = (0..length).map(|i| i.wrapping_mul(0x9e37_79b9) ^ i << 7).collect();
            check(&masked(&items, bits), bits);
        }
        check(&masked(&[u32::MAX; 41], bits), bits);
    }
}

#[test]
fn bytes_that_are_missing_read_as_zero_and_no_width_is_a_panic() {
    for bits in 0..=40 {
        for length in 0..60 {
            let bytes = vec![0xff; length];
            let mut found = vec![9; 50];
            unpack(&bytes, bits, &mut found);
            if (1..32).contains(&bits) {
                let mut expected = vec![9; 50];
                unpack::plain(&bytes, bits, &mut expected);
                assert_eq!(found, expected, "{length} bytes, {bits} bits");
            }
        }
    }
}

#[test]
fn the_path_without_avx2_gives_the_same() {
    let bytes: Vec<u8> = (0..500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    macro_rules! check {
        ($($width:literal)*) => {$({
            let (mut wide, mut narrow) = (vec![0; 101], vec![1; 101]);
            unpack(&bytes, $width, &mut wide);
            unpack::without_avx2::<$width>(&bytes, &mut narrow);
            assert_eq!(wide, narrow, "{} bits", $width);
        })*};
    }
    check!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
}

/// Score by score, as version 1 did it.
fn plain_level(score: f32, least: f32, step: f32) -> u16 {
    if step == 0.0 {
        return 0;
    }
    let level = (f64::from(score) - f64::from(least)) / f64::from(step);
    level.round().clamp(0.0, f64::from(u16::MAX)) as u16
}

fn levels(scores: &[f32]) -> (f32, Vec<u16>, Vec<f32>) {
    let (least, greatest) = span(scores);
    let step = step(least, greatest);
    let mut bytes = vec![1];
    let error = quantise(scores, least, step, &mut bytes);
    let mut back = vec![0.0; scores.len()];
    dequantise(&bytes[1..], least, step, &mut back);
    let levels = bytes[1..].chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
    (error, levels, back)
}

#[test]
fn lists_of_nothing_and_of_one_score_are_exact() {
    assert_eq!(levels(&[]), (0.0, vec![], vec![]));
    assert_eq!(levels(&[-2.5]), (0.0, vec![0], vec![-2.5]));
    assert_eq!(levels(&[7.0; 5]), (0.0, vec![0; 5], vec![7.0; 5]));
    assert_eq!(span(&[1.0, -3.0, 2.0]), (-3.0, 2.0));
}

#[test]
fn scores_that_are_too_far_apart_are_told() {
    assert!(!levels(&[f32::MAX, f32::MIN]).0.is_finite());
    let (error, levels, _) = levels(&[1e-45, 0.0, 3e-45]);
    assert!(error.is_finite() && levels.len() == 3, "steps below what f32 holds: {error}");
}

proptest! {
    #[test]
    fn any_items_come_back(items in prop::collection::vec(any::<u32>(), 0..300), bits in 1u32..=32) {
        check(&masked(&items, bits), bits);
    }

    #[test]
    fn levels_are_near_the_plain_ones_keep_order_and_state_their_error(
        scores in prop::collection::vec(prop_oneof![-1e6f32..1e6, -1f32..1.0, Just(0.0), Just(f32::MIN_POSITIVE)], 0..200),
    ) {
        let mut scores = scores;
        scores.sort_by(f32::total_cmp);
        let (least, greatest) = span(&scores);
        let step = step(least, greatest);
        let (error, levels, back) = levels(&scores);
        prop_assert!(levels.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(back.windows(2).all(|pair| pair[0] <= pair[1]));
        let mut worst = 0f32;
        for ((score, level), back) in scores.iter().zip(&levels).zip(&back) {
            prop_assert!(level.abs_diff(plain_level(*score, least, step)) <= 1, "a tie may fall either way");
            prop_assert_eq!(*back, least + step * f32::from(*level));
            worst = worst.max((back - score).abs());
        }
        prop_assert_eq!(worst, error);
    }
}
