//! End to end: probing.
