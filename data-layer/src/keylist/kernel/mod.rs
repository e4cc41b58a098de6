//! The hot loops of the static store: item numbers by bits, scores by levels, both at once, sums. Each fast form has a plain twin, which says what it
//! does and which tests hold it to. Not for anything that knows what a record is.

mod pack;
mod places;
mod quantise;
mod sum;
mod unpack;

pub use pack::pack;
#[cfg(target_arch = "x86_64")]
pub use places::places_here;
pub use places::{Packed, places, reads_in_one_go};
pub use quantise::{dequantise, exact, quantise, span, step};
pub use sum::sum;
#[cfg(target_arch = "x86_64")]
pub use sum::sum_here;
pub use unpack::unpack;

/// Bytes that so many items of so many bits take.
#[must_use]
pub fn packed_len(items: usize, bits: u32) -> usize {
    (items * bits as usize).div_ceil(8)
}

#[cfg(test)]
mod tests;
