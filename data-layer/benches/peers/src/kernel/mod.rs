//! What needs `unsafe`: C libraries, maps of files, prefetching, clocks.

pub mod clock;
pub mod pages;
pub mod reads;
pub mod rocksdb;
pub mod sparkey;
