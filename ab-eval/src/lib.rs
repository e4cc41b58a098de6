//! ab-eval: placeholder root.
