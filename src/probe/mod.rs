//! One question asked: bounded, cleaned, never panicking; gives an [`Outcome`](crate::health::Outcome).
//!
//! Must not know thresholds, schedules or other probes, and never asks again after a failure. One deadline stands around all of a
//! question: reading secrets, looking a name up, connecting, TLS, the head of the answer, its body, decoding it; or a command
//! and all that it starts.

mod asker;
mod body;
mod client;
mod connector;
mod exchange;
mod exec;
mod explain;
mod lookup;
mod masks;
mod race;
mod redirect;
mod request;
mod secret;
mod tcp;
mod tls;
mod trail;

#[cfg(test)]
mod tests;

pub(crate) use asker::{Asker, Reply};
pub(crate) use exec::{Commands, Ready, run};
pub(crate) use masks::Masks;
pub(crate) use secret::reveal;
