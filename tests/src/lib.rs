//! What the tests across crates share: the source tree as text, and Weir's programs as real processes.

pub mod client;
pub mod programs;
pub mod server;
pub mod site;
pub mod source;
pub mod study;
pub mod tree;
