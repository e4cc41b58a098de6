//! Latent vectors: facets of topics, items near a facet, people near a few facets, and how tastes drift.

use rand::Rng;

use super::draw::{below, normal, unit};

/// Length of a latent vector.
pub const DIMENSIONS: usize = 16;

/// A direction of length one.
pub type Vector = [f32; DIMENSIONS];

/// Inner product; the affinity of a person and an item, −1..=1 for unit vectors.
#[must_use]
pub fn dot(a: &Vector, b: &Vector) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A random direction.
pub fn direction(rng: &mut impl Rng) -> Vector {
    let mut v = [0.0; DIMENSIONS];
    v.iter_mut().for_each(|x| *x = normal(rng) as f32);
    unit_length(v)
}

/// The same direction with length one and four decimals, so that files stay small and exact.
#[must_use]
pub fn unit_length(mut v: Vector) -> Vector {
    let length = dot(&v, &v).sqrt().max(1e-6);
    v.iter_mut().for_each(|x| *x = (*x / length * 1e4).round() / 1e4);
    v
}

/// A direction near another one: `noise` is the length of the random part against 1 of the centre.
pub fn near(rng: &mut impl Rng, centre: &Vector, noise: f32) -> Vector {
    let aside = direction(rng);
    let mut v = *centre;
    v.iter_mut().zip(aside).for_each(|(x, n)| *x += noise * n);
    unit_length(v)
}

/// A person's taste: two or three facets of `centres`, the first the strongest, and noise.
/// Returns the index of the first facet too.
pub fn taste(rng: &mut impl Rng, centres: &[Vector]) -> (Vector, usize) {
    let home = below(rng, centres.len());
    let mut v = centres[home];
    for _ in 0..1 + below(rng, 2) {
        let weight = 0.4 + 0.5 * unit(rng) as f32;
        let other = centres[below(rng, centres.len())];
        v.iter_mut().zip(other).for_each(|(x, c)| *x += weight * c);
    }
    (near(rng, &unit_length(v), 0.3), home)
}

/// One day of drift: a small random step and, with chance `fad`, a turn towards another facet.
pub fn drift(rng: &mut impl Rng, taste: &Vector, centres: &[Vector], step: f32, fad: f64) -> Vector {
    let mut v = near(rng, taste, step);
    if rng.random::<f64>() < fad {
        let other = centres[below(rng, centres.len())];
        v.iter_mut().zip(other).for_each(|(x, c)| *x += 0.8 * c);
    }
    unit_length(v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::draw::stream;

    #[test]
    fn vectors_have_length_one_and_stay_near() {
        let mut rng = stream(1, 0);
        for _ in 0..100 {
            let centre = direction(&mut rng);
            let v = near(&mut rng, &centre, 0.5);
            assert!((dot(&v, &v) - 1.0).abs() < 1e-3);
            assert!(dot(&v, &centre) > 0.6);
        }
    }
}
