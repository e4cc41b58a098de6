//! Seeded draws: one ChaCha stream per thing drawn, so that nothing depends on the order in which things are drawn.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator for one purpose (`stream`) of one seed. The same pair gives the same draws on every machine.
#[must_use]
pub fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// Uniform in (0, 1]: never zero, so that its logarithm is finite.
pub fn unit(rng: &mut impl Rng) -> f64 {
    1.0 - rng.random::<f64>()
}

/// Standard normal (Box and Muller 1958, one of the pair).
pub fn normal(rng: &mut impl Rng) -> f64 {
    (-2.0 * unit(rng).ln()).sqrt() * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

/// Poisson with a small mean (Knuth's product of uniforms); cut at 64.
pub fn poisson(rng: &mut impl Rng, mean: f64) -> u32 {
    let floor = (-mean).exp();
    let mut product = unit(rng);
    let mut count = 0;
    while product > floor && count < 64 {
        product *= unit(rng);
        count += 1;
    }
    count
}

/// Standard Gumbel: adding it to log-weights and taking the greatest draws in proportion to the weights.
pub fn gumbel(rng: &mut impl Rng) -> f64 {
    -(-unit(rng).ln()).max(f64::MIN_POSITIVE).ln()
}

/// An index below `n` (0 where `n` is 0).
pub fn below(rng: &mut impl Rng, n: usize) -> usize {
    if n == 0 { 0 } else { rng.random_range(0..n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, s| (0..8).map(|_| stream(seed, s).random::<u64>()).collect::<Vec<_>>();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn moments_are_right() {
        let mut rng = stream(7, 0);
        let n = 20_000;
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0);
        for _ in 0..n {
            let x = normal(&mut rng);
            sum += x;
            squares += x * x;
            count += poisson(&mut rng, 0.7);
        }
        assert!((sum / f64::from(n)).abs() < 0.03);
        assert!((squares / f64::from(n) - 1.0).abs() < 0.05);
        assert!((f64::from(count) / f64::from(n) - 0.7).abs() < 0.03);
    }
}
