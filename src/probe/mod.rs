//! Runs one probe: with limits, cleaned, without panics; the result is an [`Outcome`].
//!
//! A probe knows no thresholds, schedules or other probes, and is never repeated after a failure. One deadline holds for all of a
//! probe: reading secrets, the name lookup, the connection, TLS, the response head, the body and its decoding; or a command
//! and all that it starts.
//!
//! A new kind is a file here with a function `probe`, and a row of `probe_kinds`.

mod body;
mod classify;
mod client;
mod connector;
mod error;
mod exchange;
mod happy_eyeballs;
mod lookup;
mod prober;
mod redact;
mod redirect;
mod request;
mod secret;
mod timeline;
mod tls;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use crate::health::Outcome;
use crate::inventory::{Probe, ProbeKind};
use crate::profile::kind::probe_kinds;

macro_rules! probe_by_kind {
    ($($module:ident $variant:ident $raw:ident,)+) => {
        $(mod $module;)+

        impl Prober {
            /// Runs a probe once, at any address of the service, or only at the address `pin`.
            pub(crate) async fn probe(&self, probe: &Probe, pin: Option<SocketAddr>) -> Outcome {
                match &probe.kind {
                    $(ProbeKind::$variant(kind) => $module::probe(self, probe, kind, pin).await,)+
                }
            }
        }
    };
}

probe_kinds!(probe_by_kind);

pub(crate) use exec::{Commands, PreparedCommand, run};
pub(crate) use lookup::known as known_addresses;
pub(crate) use prober::{HttpReply, Prober};
pub(crate) use redact::Redactions;
pub(crate) use secret::reveal;
