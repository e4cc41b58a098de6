//! Results as text for people and JSON for programs. No figures are computed here.

pub mod ab;
pub mod ctr;
pub mod ranking;
pub mod text;
