//! End to end: watch.
