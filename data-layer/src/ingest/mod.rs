//! Dynamic data in: decode, check, append to the log, then let every consumer apply it to the live store.

pub mod consumer;
