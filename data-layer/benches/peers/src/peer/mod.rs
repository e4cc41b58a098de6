//! The stores that are measured: one file each, and one line in the list below.

mod cdb;
mod hash_map;
mod lmdb;
mod lushan;
mod redb;
mod rocksdb;
mod sparkey;
mod weir;

use crate::store::Peer;

/// Everything that is measured, in the order of the tables. The first is what ratios are taken against.
pub const PEERS: [Peer; 13] = [
    hash_map::FOLD,
    hash_map::FX,
    weir::AFFINE,
    weir::EXACT,
    lushan::LUSHAN,
    sparkey::SPARKEY,
    cdb::CDB,
    rocksdb::CUCKOO,
    rocksdb::PLAIN,
    rocksdb::BLOCK,
    rocksdb::BLOCK_CACHE,
    lmdb::LMDB,
    redb::REDB,
];
