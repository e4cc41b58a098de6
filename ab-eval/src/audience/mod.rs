//! A simulated public whose truth is known: it makes data to start from, and acts on what a server shows through the
//! public API. The formulas are in `docs/audience.md`. Not a model of anybody: it is a known world to check reports against.
//!
//! **Invariant:** the truth (tastes, appeal, chances) is written to `truth/` only, and only this folder reads it back.

pub mod act;
pub mod choice;
pub mod client;
pub mod draw;
pub mod files;
pub mod play;
pub mod taste;
pub mod words;
pub mod world;

pub use play::{Past, Row, make};
pub use world::{Laws, Recipe, World};

#[cfg(test)]
mod tests;
