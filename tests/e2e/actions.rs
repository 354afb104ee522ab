//! End to end: actions.
