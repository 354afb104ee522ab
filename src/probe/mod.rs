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
mod explain;
mod lookup;
mod masks;
mod race;
mod redirect;
mod request;
mod secret;
mod tls;
mod trail;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use crate::health::Outcome;
use crate::inventory::{Probe, ProbeKind, Service};
use crate::profile::kind::probe_kinds;

macro_rules! ask_by_kind {
    ($($module:ident $variant:ident $raw:ident,)+) => {
        $(mod $module;)+

        /// Asks the question of a probe, at this very address where one is given.
        async fn ask_by_kind(asker: &Asker, probe: &Probe, pin: Option<SocketAddr>) -> Outcome {
            match &probe.kind {
                $(ProbeKind::$variant(question) => $module::ask(asker, probe, question, pin).await,)+
            }
        }
    };
}

probe_kinds!(ask_by_kind);

impl Asker {
    /// Asks the question of a probe, at whichever address of the service answers.
    pub(crate) async fn ask(&self, service: &Service, probe: &Probe) -> Outcome {
        self.ask_at(service, probe, None).await
    }

    /// Asks the question of a probe, at this very address where one is given.
    pub(crate) async fn ask_at(
        &self,
        _service: &Service,
        probe: &Probe,
        pin: Option<SocketAddr>,
    ) -> Outcome {
        ask_by_kind(self, probe, pin).await
    }
}

pub(crate) use asker::{Asker, Reply};
pub(crate) use exec::{Commands, Ready, run};
pub(crate) use masks::Masks;
pub(crate) use secret::reveal;
