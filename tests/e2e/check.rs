//! End to end: check.
