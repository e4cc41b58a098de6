//! tests: placeholder root.
