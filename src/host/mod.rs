//! This machine: its processes, who owns a port, file descriptors.
//!
//! Linux is complete; elsewhere what needs `/proc` says 'not available here' and never guesses.

mod clock;

pub(crate) use clock::Clock;
