//! Results as text for people and JSON for programs. No figures are computed here.

pub mod ranking;
pub mod text;
