//! Whether people fell into buckets in the shares that were meant (chi-square). If not, something between assignment and
//! the report loses people, and no difference can be trusted (Fabijan et al. 2019).

use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Below this chance the shares count as wrong.
pub const ALARM: f64 = 0.001;

/// Result of the check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareCheck {
    /// The statistic.
    pub chi_square: f64,
    /// Chance of a deviation at least so large where the shares are as meant.
    pub p: f64,
}

/// Compares counts with shares. `None` with fewer than two buckets, nobody in them, or a share that is not positive.
#[must_use]
pub fn check(counts: &[u64], shares: &[f64]) -> Option<ShareCheck> {
    let total: u64 = counts.iter().sum();
    let whole: f64 = shares.iter().sum();
    if counts.len() < 2 || counts.len() != shares.len() || total == 0 || shares.iter().any(|s| *s <= 0.0) {
        return None;
    }
    let chi_square: f64 = counts
        .iter()
        .zip(shares)
        .map(|(count, share)| {
            let expected = total as f64 * share / whole;
            (*count as f64 - expected).powi(2) / expected
        })
        .sum();
    let law = ChiSquared::new((counts.len() - 1) as f64).ok()?;
    Some(ShareCheck { chi_square, p: law.sf(chi_square) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::draw::{stream, unit};

    #[test]
    fn finds_what_is_missing_and_nothing_else() {
        assert!(check(&[5000, 5000], &[0.5, 0.5]).unwrap().p > 0.99);
        assert!(check(&[5000, 4600], &[0.5, 0.5]).unwrap().p < ALARM);
        let known = check(&[60, 40], &[1.0, 1.0]).unwrap();
        assert!((known.chi_square - 4.0).abs() < 1e-12 && (known.p - 0.045_500_263_9).abs() < 1e-9);
        assert_eq!(check(&[1], &[1.0]), None);
    }

    #[test]
    fn honest_shares_rarely_alarm() {
        let mut alarms = 0;
        for trial in 0..2000 {
            let mut rng = stream(23, trial);
            let first = (0..500).filter(|_| unit(&mut rng) <= 0.3).count() as u64;
            alarms += u32::from(check(&[first, 500 - first], &[0.3, 0.7]).unwrap().p < 0.05);
        }
        assert!((60..=140).contains(&alarms), "{alarms}");
    }
}
