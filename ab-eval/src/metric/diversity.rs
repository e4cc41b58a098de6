//! Diversity@k: mean over pairs of the first k of 1 − the Jaccard overlap of their words (Ziegler et al. 2005, with Jaccard
//! as the likeness). Needs an items file. Items without words are left out; fewer than two with words: not defined.

use super::{Kind, Look, Metric};

/// Intra-list diversity.
pub const METRIC: Metric = Metric { name: "diversity", kind: Kind::PerUser(diversity) };

fn diversity(look: &Look<'_>, k: usize) -> Option<f64> {
    let words = look.catalogue.words.as_ref()?;
    let top: Vec<&[u32]> = look
        .listed
        .iter()
        .take(k)
        .filter_map(|i| words.get(*i as usize).map(Vec::as_slice).filter(|w| !w.is_empty()))
        .collect();
    let mut sum = 0.0;
    for (n, a) in top.iter().enumerate() {
        sum += top[..n].iter().map(|b| 1.0 - jaccard(a, b)).sum::<f64>();
    }
    let pairs = top.len() * top.len().saturating_sub(1) / 2;
    (pairs > 0).then(|| sum / pairs as f64)
}

/// Overlap of two sorted sets.
fn jaccard(a: &[u32], b: &[u32]) -> f64 {
    let both = a.iter().filter(|x| b.binary_search(x).is_ok()).count();
    both as f64 / (a.len() + b.len() - both) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Catalogue;

    #[test]
    fn the_same_words_are_no_diversity() {
        let words = Some(vec![vec![1, 2], vec![1, 2], vec![3], vec![]]);
        let catalogue = Catalogue { size: 4, words, popularity: None };
        let of = |listed: &[u32]| {
            diversity(
                &Look { listed, hits: &vec![false; listed.len()], relevant: 1, catalogue: &catalogue },
                9,
            )
        };
        assert_eq!(of(&[0, 1]), Some(0.0));
        assert_eq!(of(&[0, 2, 3]), Some(1.0));
        assert_eq!(of(&[0, 3]), None);
    }
}
