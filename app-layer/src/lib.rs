//! app-layer: placeholder root.
