//! Whether a service that was started is ready: the probes that decide it, asked until each has passed.

use std::sync::Arc;

use futures_util::future::join_all;

use crate::health::{Outcome, Role};
use crate::inventory::{Probe, Service};
use crate::probe::Prober;

/// The probes that have to pass before an instance is ready.
pub(super) struct ReadinessCheck {
    pub(super) service: Arc<Service>,
    /// The startup probe, until it has passed once.
    startup: Option<Probe>,
    others: Vec<Probe>,
}

impl ReadinessCheck {
    /// Readiness decides; without it, liveness and what the service says of itself; without these, its named probes.
    pub(super) fn of(service: &Arc<Service>) -> Self {
        let with = |roles: &[Role]| -> Vec<Probe> {
            let probes = service.probes.iter();
            let probes = probes.filter(|probe| roles.contains(&probe.role));
            probes.cloned().collect()
        };
        let choices = [
            with(&[Role::Ready]),
            with(&[Role::Live, Role::Status]),
            with(&[Role::Named]),
        ];
        let others = choices.into_iter().find(|probes| !probes.is_empty());
        Self {
            service: Arc::clone(service),
            startup: with(&[Role::Startup]).pop(),
            others: others.unwrap_or_default(),
        }
    }

    /// Asks the probes that have not passed yet and returns what is missing: `ready: answered 503`.
    pub(super) async fn ask(&mut self, prober: &Prober) -> Vec<String> {
        if let Some(startup) = &self.startup {
            let outcome = prober.probe(startup, None).await;
            if let Some(missing) = missing(startup, &outcome) {
                return vec![missing];
            }
            self.startup = None;
        }
        let questions = self.others.iter().map(|probe| prober.probe(probe, None));
        let outcomes = join_all(questions).await;
        let answers = self.others.iter().zip(&outcomes);
        let missing: Vec<String> = answers
            .filter_map(|(probe, outcome)| missing(probe, outcome))
            .collect();
        if missing.is_empty() {
            self.unrouted(&outcomes, prober).await
        } else {
            missing
        }
    }

    /// Says which routes are not there, where a profile takes that for a pass and no other route of the service answers
    /// either: then nothing of it has answered.
    async fn unrouted(&self, passed: &[Outcome], prober: &Prober) -> Vec<String> {
        let passed: Vec<_> = self.others.iter().zip(passed).collect();
        let is_missing = |probe: &Probe, outcome: &Outcome| {
            let no_route = outcome.code.filter(|code| matches!(code, 404 | 405 | 501));
            no_route.is_some_and(|code| !probe.expect.accepts(code))
        };
        if passed
            .iter()
            .any(|(probe, outcome)| !is_missing(probe, outcome))
        {
            return Vec::new();
        }
        let asked = |probe: &&Probe| {
            let of_service = !matches!(probe.role, Role::Named | Role::Startup);
            of_service && self.others.iter().all(|other| other.name != probe.name)
        };
        let rest: Vec<&Probe> = self.service.probes.iter().filter(asked).collect();
        let outcomes = join_all(rest.iter().map(|probe| prober.probe(probe, None))).await;
        let answered = |(probe, outcome): (&&Probe, &Outcome)| {
            outcome.code.is_some() && !is_missing(probe, outcome)
        };
        if rest.iter().zip(&outcomes).any(answered) {
            return Vec::new();
        }
        let others = rest.into_iter().zip(&outcomes);
        let all = passed.into_iter().chain(others);
        all.map(|(probe, outcome)| {
            let answer = match outcome.code {
                Some(code) => format!("answered {code}"),
                None => "did not answer".to_owned(),
            };
            format!("{}: {} {answer}", probe.name, probe.kind.target())
        })
        .collect()
    }
}

/// Says why a probe has not passed.
fn missing(probe: &Probe, outcome: &Outcome) -> Option<String> {
    if outcome.result.is_success() {
        return None;
    }
    let failure = outcome.failure.as_ref();
    let why = failure.map(|failure| failure.message.clone());
    let why = why.unwrap_or_else(|| outcome.result.to_string());
    Some(format!("{}: {why}", probe.name))
}
