//! Novelty@k: mean self-information of the items shown, in bits: log2((U + 1) / (c + 1)), with c of U training users
//! having taken the item (after Zhou et al. 2010). Needs training interactions.

use super::{Kind, Look, Metric};

/// Novelty.
pub const METRIC: Metric = Metric { name: "novelty", kind: Kind::PerUser(novelty) };

fn novelty(look: &Look<'_>, k: usize) -> Option<f64> {
    let (counts, users) = look.catalogue.popularity.as_ref()?;
    let top = &look.listed[..look.listed.len().min(k)];
    let bits = |item: &u32| {
        let count = counts.get(*item as usize).copied().unwrap_or(0);
        ((f64::from(*users) + 1.0) / (f64::from(count) + 1.0)).log2()
    };
    (!top.is_empty()).then(|| top.iter().map(bits).sum::<f64>() / top.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Catalogue;

    #[test]
    fn rare_items_are_novel() {
        let catalogue = Catalogue { size: 2, words: None, popularity: Some((vec![3, 0], 3)) };
        let look = |listed| Look { listed, hits: &[false], relevant: 1, catalogue: &catalogue };
        assert_eq!(novelty(&look(&[0]), 5), Some(0.0));
        assert_eq!(novelty(&look(&[1]), 5), Some(2.0));
        assert_eq!(novelty(&Look { hits: &[], ..look(&[]) }, 5), None);
    }
}
