//! The identity that a service reports in its own answers, and the question for it that is repeated while an action is
//! under way.

use std::net::SocketAddr;

use futures_util::future::join_all;

use super::owners::owners_of;
use crate::action::{Baseline, Observation, Responder, ResponderKind};
use crate::health::{Identity, Outcome, Role, State};
use crate::host::{Endpoint, Owners, image};
use crate::inventory::Probe;
use crate::probe::Prober;

/// A question to a service for its identity, with all that it needs.
pub(crate) struct IdentityQuestion {
    pub(crate) prober: Prober,
    pub(crate) probes: Vec<Probe>,
    pub(crate) baseline: Baseline,
    pub(crate) pin: Option<SocketAddr>,
    /// The endpoint whose owners can be found.
    pub(crate) endpoint: Option<Endpoint>,
    /// Searches for the owners in any case.
    pub(crate) search: bool,
}

/// The answer to an [`IdentityQuestion`], and the identity that it reports.
pub(crate) type IdentityAnswer = (Observation, Option<Identity>);

impl IdentityQuestion {
    /// Asks, and compares the process that answers with those before.
    pub(crate) async fn ask(self) -> IdentityAnswer {
        let asked = self
            .probes
            .iter()
            .map(|probe| self.prober.probe(probe, self.pin));
        let outcomes: Vec<Outcome> = join_all(asked).await;
        let Some(identity) = identity(&outcomes) else {
            return (Observation::NoAnswer, None);
        };
        let answers = outcomes.iter().filter(|outcome| outcome.code.is_some());
        let by_gateway: Option<Vec<u16>> = answers.map(gateway_error).collect();
        if let Some(code) = by_gateway.and_then(|codes| codes.first().copied()) {
            return (Observation::GatewayError(code), None);
        }
        let mut readings = outcomes.iter().filter_map(|it| it.reading.as_ref());
        let mut responder = Responder {
            uptime: readings.find_map(|reading| reading.uptime),
            at: identity.read_at,
            identity: identity.clone(),
            ..Responder::default()
        };
        // While its process runs the search is worth it only where another process seems to answer.
        let differs = [ResponderKind::New, ResponderKind::Other];
        if self.search || differs.contains(&self.baseline.compare(&responder).0) {
            let owners = owners_of(self.endpoint.into_iter().collect()).await;
            responder.owners = owners.first().and_then(Owners::all);
            responder.image = responder.sole_owner().and_then(image);
        }
        let (kind, evidence) = self.baseline.compare(&responder);
        let observation = Observation::Answer {
            draining: outcomes.iter().any(is_draining),
            responder: kind,
            evidence,
        };
        (observation, Some(identity))
    }
}

/// Returns the code of an answer that a proxy may have given for a service that is gone: nothing in it is the service's
/// own.
fn gateway_error(outcome: &Outcome) -> Option<u16> {
    outcome
        .code
        .filter(|code| (502..=504).contains(code) && outcome.reading.is_none())
}

/// Merges what some answers report of the process that gave them; `None` where none came.
pub(super) fn identity(outcomes: &[Outcome]) -> Option<Identity> {
    let mut merged: Option<Identity> = None;
    for outcome in outcomes.iter().filter(|outcome| outcome.code.is_some()) {
        let known = merged.get_or_insert_with(|| Identity {
            address: outcome.address.clone(),
            read_at: Some(outcome.at),
            ..Identity::default()
        });
        let Some(reading) = &outcome.reading else {
            continue;
        };
        known.start = known.start.or(reading.started);
        known.instance = known.instance.take().or_else(|| reading.instance.clone());
        known.version = known.version.take().or_else(|| reading.version.clone());
        known.counted = known.counted.or_else(|| reading.counted());
    }
    merged
}

/// Returns whether the answer says that the service drains.
pub(super) fn is_draining(outcome: &Outcome) -> bool {
    outcome.reading.as_ref().is_some_and(|reading| {
        let status = reading.status.as_ref();
        reading.draining || status.is_some_and(|word| word.state == State::Draining)
    })
}

/// Returns the fewest of the probes that report what all of them reported: the identity, and that the service drains.
pub(super) fn identity_probes(asked: &[(&Probe, Outcome)]) -> Vec<Probe> {
    let identifies = |outcome: &Outcome| {
        let reading = outcome.reading.as_ref();
        reading.is_some_and(|it| it.started.is_some() || it.instance.is_some())
    };
    let mut chosen: Vec<Probe> = Vec::new();
    let first = asked.first();
    let identifying = asked.iter().find(|(_, outcome)| identifies(outcome));
    // Readiness is what many take back first when they drain.
    let ready = asked.iter().find(|(probe, _)| probe.role == Role::Ready);
    for (probe, _) in [first, identifying, ready].into_iter().flatten() {
        if chosen.iter().all(|known| known.name != probe.name) {
            chosen.push((*probe).clone());
        }
    }
    chosen
}
