//! A rate that is a ratio of sums over people (clicks over looks), with the interval of the delta method over people: rows of
//! one person are not independent, people are (Deng, Knoblich and Lu 2018).

use statrs::distribution::{ContinuousCDF, Normal};

use super::Estimate;

/// What one person adds: (below, above), such as looks and clicks.
pub type Pair = (f64, f64);

/// A rate and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Sum above over sum below.
    pub value: f64,
    /// Standard error over people; `None` with fewer than two people.
    pub error: Option<f64>,
}

/// A difference of two rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// Second less first, with the interval.
    pub difference: Estimate,
    /// Chance of a difference at least so large in either direction where there is none (normal).
    pub p: f64,
}

/// The rate over people; `None` where the sum below is zero.
#[must_use]
pub fn rate(people: &[Pair]) -> Option<Rate> {
    let below: f64 = people.iter().map(|p| p.0).sum();
    let above: f64 = people.iter().map(|p| p.1).sum();
    if below <= 0.0 {
        return None;
    }
    let value = above / below;
    let n = people.len() as f64;
    let squares: f64 = people.iter().map(|(b, a)| (a - value * b).powi(2)).sum();
    let error = (people.len() > 1).then(|| (squares * n / (n - 1.0)).sqrt() / below);
    Some(Rate { value, error })
}

impl Rate {
    /// The rate ± 1.96 standard errors; without an error, the value alone.
    #[must_use]
    pub fn interval(&self) -> Estimate {
        let half = 1.96 * self.error.unwrap_or(0.0);
        Estimate { value: self.value, low: self.value - half, high: self.value + half }
    }
}

/// `b` less `a`, from different people. `None` where either has no error to judge by, or both errors are zero.
#[must_use]
pub fn contrast(a: &Rate, b: &Rate) -> Option<Contrast> {
    let error = (a.error?.powi(2) + b.error?.powi(2)).sqrt();
    if error <= 0.0 {
        return None;
    }
    let value = b.value - a.value;
    let difference = Estimate { value, low: value - 1.96 * error, high: value + 1.96 * error };
    let p = 2.0 * Normal::standard().cdf(-(value / error).abs());
    Some(Contrast { difference, p })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::draw::{normal, poisson, stream, unit};

    /// A person with a rate of their own, and so rows that go together.
    fn person(rng: &mut impl rand::Rng, shift: f64) -> Pair {
        let own = (0.1 + shift + 0.05 * normal(rng)).clamp(0.0, 1.0);
        let looks = 1 + poisson(rng, 8.0);
        let clicks = (0..looks).filter(|_| unit(rng) <= own).count();
        (f64::from(looks), clicks as f64)
    }

    fn p_value(trial: u64, shift: f64) -> f64 {
        let mut rng = stream(17, trial);
        let a: Vec<Pair> = (0..150).map(|_| person(&mut rng, 0.0)).collect();
        let b: Vec<Pair> = (0..150).map(|_| person(&mut rng, shift)).collect();
        contrast(&rate(&a).unwrap(), &rate(&b).unwrap()).unwrap().p
    }

    /// A law: where nothing differs, p-values are uniform (Kolmogorov and Smirnov, 1 % level).
    #[test]
    fn p_values_of_equal_buckets_are_uniform() {
        let trials = 800;
        let mut p: Vec<f64> = (0..trials).map(|t| p_value(t, 0.0)).collect();
        p.sort_unstable_by(f64::total_cmp);
        let n = trials as f64;
        let gap = p
            .iter()
            .enumerate()
            .map(|(i, p)| (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs()))
            .fold(0.0, f64::max);
        assert!(gap < 1.63 / n.sqrt(), "{gap}");
        let rejected = p.iter().filter(|p| **p < 0.05).count() as f64 / n;
        assert!((0.03..=0.07).contains(&rejected), "{rejected}");
    }

    #[test]
    fn a_real_difference_is_found() {
        let found = (0..40).filter(|t| p_value(*t, 0.06) < 0.05).count();
        assert!(found > 35, "{found}");
    }

    #[test]
    fn people_are_the_units_not_rows() {
        // Ten people who always or never click: ten looks each say no more than one.
        let people: Vec<Pair> = (0..10).map(|n| (10.0, if n % 2 == 0 { 10.0 } else { 0.0 })).collect();
        let rate = rate(&people).unwrap();
        assert_eq!(rate.value, 0.5);
        assert!((rate.error.unwrap() - (0.25_f64 / 9.0).sqrt()).abs() < 1e-12);
        assert_eq!(super::rate(&[(0.0, 0.0)]), None);
        assert!(contrast(&rate, &Rate { value: 0.1, error: None }).is_none());
    }
}
