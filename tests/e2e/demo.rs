//! End to end: demo.
