//! What has to pass before a service that was started counts as up: its startup probe, then its readiness, and what
//! stands in for that where it has none.

use futures_util::future::join_all;

use crate::health::{Outcome, Role};
use crate::inventory::{Probe, Service};
use crate::probe::Asker;

/// The probes that have to pass.
pub(super) struct Gates {
    /// Asked first and alone, until it has passed once.
    startup: Option<Probe>,
    others: Vec<Probe>,
}

impl Gates {
    /// Readiness decides; without one, life and what it says of itself; without these, whatever is asked of it.
    pub(super) fn of(service: &Service) -> Self {
        let with = |roles: &[Role]| -> Vec<Probe> {
            let probes = service.probes.iter();
            probes
                .filter(|probe| roles.contains(&probe.role))
                .cloned()
                .collect()
        };
        let choices = [
            with(&[Role::Ready]),
            with(&[Role::Live, Role::Status]),
            with(&[Role::Named]),
        ];
        Self {
            startup: with(&[Role::Startup]).pop(),
            others: choices
                .into_iter()
                .find(|probes| !probes.is_empty())
                .unwrap_or_default(),
        }
    }

    /// Asks those that are still to pass and gives what is missing: `ready: answered 503`; nothing where all have passed.
    pub(super) async fn ask(&mut self, service: &Service, asker: &Asker) -> Vec<String> {
        if let Some(startup) = &self.startup {
            let outcome = asker.ask(service, startup).await;
            if let Some(missing) = missing(startup, &outcome) {
                return vec![missing];
            }
            self.startup = None;
        }
        let questions = self.others.iter().map(|probe| asker.ask(service, probe));
        let outcomes = join_all(questions).await;
        let answers = self.others.iter().zip(&outcomes);
        answers
            .filter_map(|(probe, outcome)| missing(probe, outcome))
            .collect()
    }
}

/// Why a probe has not passed.
fn missing(probe: &Probe, outcome: &Outcome) -> Option<String> {
    if outcome.result.is_success() {
        return None;
    }
    let why = outcome.failure.as_ref().map_or_else(
        || outcome.result.to_string(),
        |failure| failure.message.clone(),
    );
    Some(format!("{}: {why}", probe.name))
}
