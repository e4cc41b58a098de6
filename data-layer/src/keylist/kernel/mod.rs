//! The hot loops of the static store: item numbers by bits, scores by levels. Each fast form has a plain twin, which says what it
//! does and which tests hold it to. Not for anything that knows what a record is.

mod pack;
mod quantise;
mod unpack;

pub use pack::pack;
pub use quantise::{dequantise, quantise, span, step};
pub use unpack::unpack;

/// Bytes that so many items of so many bits take.
#[must_use]
pub fn packed_len(items: usize, bits: u32) -> usize {
    (items * bits as usize).div_ceil(8)
}

#[cfg(test)]
mod tests;
