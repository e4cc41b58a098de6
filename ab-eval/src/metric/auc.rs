//! AUC over the whole catalogue: the chance that something taken stands above something not taken. Items that the list does
//! not name tie at the bottom. Needs lists longer than a slate to say much; not cut at k.

use super::{Kind, Look, Metric};

/// AUC of a list against the catalogue, mean over users.
pub const METRIC: Metric = Metric { name: "auc", kind: Kind::WholeList(auc) };

fn auc(look: &Look<'_>) -> Option<f64> {
    let others = look.catalogue.size.checked_sub(look.relevant).filter(|n| *n > 0)?;
    let mut above = 0; // others that stand above the place at hand
    let mut won = 0.0;
    let mut found = 0;
    for hit in look.hits {
        if *hit {
            found += 1;
            won += (others - above) as f64;
        } else {
            above += 1;
        }
    }
    let (unlisted, unlisted_others) = (look.relevant - found, others - above);
    won += unlisted as f64 * unlisted_others as f64 / 2.0;
    Some(won / (look.relevant as f64 * others as f64))
}

#[cfg(test)]
mod tests {
    use crate::metric::testing::of;

    #[test]
    fn counts_pairs_and_half_of_the_ties() {
        assert_eq!(of(super::METRIC, &[true, false], 1, 9, 4), Some(1.0));
        assert_eq!(of(super::METRIC, &[], 1, 9, 4), Some(0.5));
        // Listed: taken, other, taken; unlisted: two others. Pairs 2 × 3, won 3 + 2.
        assert_eq!(of(super::METRIC, &[true, false, true], 2, 9, 5), Some(5.0 / 6.0));
        assert_eq!(of(super::METRIC, &[true], 1, 9, 1), None);
    }
}
