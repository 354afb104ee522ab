//! End to end: profiles.
