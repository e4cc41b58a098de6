//! Hot loops, each with a plain twin that is its oracle. Safe code: the compiler vectorises fixed-width chunks.

pub mod dot;
