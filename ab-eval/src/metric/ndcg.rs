//! NDCG@k with binary gains and discount 1/log2(place + 1), places from 1; the ideal list is cut at k
//! (Järvelin and Kekäläinen 2002).

use super::{Kind, Look, Metric};

/// NDCG.
pub const METRIC: Metric = Metric { name: "ndcg", kind: Kind::PerUser(ndcg) };

/// The discount of a place, from 0.
#[must_use]
pub fn discount(place: usize) -> f64 {
    1.0 / (place as f64 + 2.0).log2()
}

fn ndcg(look: &Look<'_>, k: usize) -> Option<f64> {
    let gained: f64 =
        look.hits.iter().take(k).enumerate().filter(|(_, h)| **h).map(|(p, _)| discount(p)).sum();
    let ideal: f64 = (0..look.relevant.min(k)).map(discount).sum();
    Some(gained / ideal)
}

#[cfg(test)]
mod tests {
    use crate::metric::testing::of;

    #[test]
    fn one_for_the_ideal_list_even_if_cut() {
        assert_eq!(of(super::METRIC, &[true, true, false], 2, 3, 9), Some(1.0));
        assert_eq!(of(super::METRIC, &[true, true], 7, 2, 9), Some(1.0));
        let second = of(super::METRIC, &[false, true], 1, 2, 9).unwrap();
        assert!((second - 1.0 / 3f64.log2()).abs() < 1e-12);
    }
}
