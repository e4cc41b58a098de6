//! trainer: placeholder root.
