//! This machine: its processes, who owns a port, file descriptors.
//!
//! Linux is complete; elsewhere what needs `/proc` says 'not available here' and never guesses.

mod clock;
mod descriptors;

pub(crate) use clock::Clock;
pub(crate) use descriptors::raise_descriptor_limit;
