//! What the tests across crates share: the source tree as text, and Weir's programs as real processes.

pub mod source;
pub mod tree;
