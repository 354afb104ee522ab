//! End to end: inventory.
