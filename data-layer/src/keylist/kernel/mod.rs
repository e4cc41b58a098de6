//! The hot loops of the static store: item numbers by bits, scores by levels, sums. Each fast form has a plain twin, which says what it
//! does and which tests hold it to. Not for anything that knows what a record is.

mod pack;
mod quantise;
mod sum;
mod unpack;

pub use pack::pack;
pub use quantise::{dequantise, exact, quantise, span, step};
pub use sum::sum;
pub use unpack::unpack;

/// Bytes that so many items of so many bits take.
#[must_use]
pub fn packed_len(items: usize, bits: u32) -> usize {
    (items * bits as usize).div_ceil(8)
}

#[cfg(test)]
mod tests;
