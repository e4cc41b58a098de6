//! What the tests across crates share: the source tree as text, Weir's programs as real processes, and how a test says that it did not run.

pub mod client;
pub mod not_run;
pub mod programs;
pub mod redis;
pub mod s3;
pub mod senders;
pub mod server;
pub mod site;
pub mod source;
pub mod store;
pub mod study;
pub mod tree;
