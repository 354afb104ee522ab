//! A well-behaved service in a box: health, status and shutdown routes, draining, clean-up.
//!
//! Imports nothing of ours: a program that knows nothing of healthctl can use it.
