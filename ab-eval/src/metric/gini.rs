//! Gini@k: how unequally showings are spread over the whole catalogue; 0 all items alike, towards 1 one item takes all.

use super::{Kind, Metric};

/// Gini index.
pub const METRIC: Metric = Metric { name: "gini", kind: Kind::Overall(gini) };

/// `Σ (2 i − n − 1) x_i / (n Σ x)` with x ascending and i from 1; items that were never shown count as 0.
fn gini(shown: &mut [u32], catalogue: usize) -> Option<f64> {
    let total: f64 = shown.iter().map(|x| f64::from(*x)).sum();
    if total == 0.0 || catalogue < shown.len() {
        return None;
    }
    shown.sort_unstable();
    let (n, never) = (catalogue as f64, catalogue - shown.len());
    let sum: f64 = shown
        .iter()
        .enumerate()
        .map(|(place, x)| (2.0 * (never + place + 1) as f64 - n - 1.0) * f64::from(*x))
        .sum();
    Some(sum / (n * total))
}

#[cfg(test)]
mod tests {
    use super::gini;

    #[test]
    fn equal_is_zero_and_one_of_many_is_near_one() {
        assert_eq!(gini(&mut [3, 3, 3, 3], 4), Some(0.0));
        assert_eq!(gini(&mut [7], 100), Some(0.99));
        assert_eq!(gini(&mut [], 4), None);
    }
}
