//! compute-layer: placeholder root.
