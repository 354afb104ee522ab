//! Decides which service is restarted automatically, and when: where its inventory permits it and somebody has switched
//! it on. Must not act.
//!
//! One service is restarted at a time, those that others need first; a service is restarted once its files are quiet,
//! after each attempt later than after the one before, and after so many attempts no more. What somebody else has
//! stopped or started meanwhile is left alone.

mod candidate;
mod precondition;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::candidate::RestartCandidate;
pub(crate) use self::candidate::RestartOutcome;
pub(crate) use self::precondition::{CurrentInstance, Precondition};
use super::order::transitive_needs;
use crate::health::{Moment, RestartCause, ServiceSnapshot};
use crate::inventory::Inventory;

/// A restart to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RestartRequest {
    pub(crate) service: String,
    pub(crate) cause: RestartCause,
    /// The cause in full, for people.
    pub(crate) reason: String,
    /// The precondition that is to be checked right before the restart is sent.
    pub(crate) precondition: Precondition,
}

/// All services that may be restarted automatically, and what was tried.
#[derive(Debug, Clone, Default)]
pub(crate) struct AutoRestart {
    on: bool,
    candidates: BTreeMap<String, RestartCandidate>,
    /// The service that is being restarted.
    in_progress: Option<String>,
}

impl AutoRestart {
    /// Takes the watched services that permit it; protected ones never do. Automatic restart is off.
    pub(crate) fn new(inventory: &Inventory, is_watched: impl Fn(&str) -> bool) -> Self {
        let permitting = inventory.services.values().filter(|service| {
            is_watched(&service.name) && !service.restart_on.is_empty() && !service.protected
        });
        let candidates = permitting
            .map(|service| {
                let needs = transitive_needs(inventory, &service.name);
                let needs = needs.into_iter().map(str::to_owned).collect();
                let candidate = RestartCandidate::new(service.restart_on.clone(), needs);
                (service.name.clone(), candidate)
            })
            .collect();
        Self {
            candidates,
            ..Self::default()
        }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.on
    }

    /// Returns the services that are not restarted any more.
    pub(crate) fn given_up(&self) -> BTreeSet<String> {
        let candidates = self.candidates.iter();
        let given_up = candidates.filter(|(_, candidate)| candidate.has_given_up());
        given_up.map(|(name, _)| name.clone()).collect()
    }

    /// Switches automatic restart on or off, and returns what that means for people. Attempts are counted anew.
    pub(crate) fn switch(&mut self, on: bool) -> String {
        self.on = on && !self.candidates.is_empty();
        for candidate in self.candidates.values_mut() {
            candidate.forget_attempts();
        }
        if !on {
            return "automatic restart is off".to_owned();
        }
        if self.candidates.is_empty() {
            return "automatic restart stays off: no watched service has `restart_on`, or all that have it are protected".to_owned();
        }
        let services: Vec<String> = self
            .candidates
            .iter()
            .map(|(name, candidate)| {
                let causes: Vec<&str> = candidate.causes.iter().map(|it| it.as_str()).collect();
                format!("{name} ({})", causes.join(", "))
            })
            .collect();
        format!("automatic restart is on for {}", services.join(", "))
    }

    /// Takes in the newest snapshot of a service. Returns a sentence for people where something follows that the
    /// snapshot does not show.
    pub(crate) fn observe(&mut self, snapshot: &ServiceSnapshot) -> Option<String> {
        let said = self
            .candidates
            .get_mut(&snapshot.info.name)?
            .observe(snapshot);
        said.filter(|_| self.on)
    }

    /// Forgets the attempts on a service, because somebody has acted on it.
    pub(crate) fn acted(&mut self, service: &str) {
        if let Some(candidate) = self.candidates.get_mut(service) {
            candidate.forget_attempts();
        }
    }

    /// Returns the restart that is due, if any. It is in progress from then on, until [`ended`](Self::ended).
    pub(crate) fn begin(&mut self, now: Moment) -> Option<RestartRequest> {
        let (name, cause) = self.due_restarts().find_map(|(name, cause, due)| {
            (due.mono <= now.mono).then(|| (name.to_owned(), cause))
        })?;
        let (reason, precondition) = self.candidates.get_mut(&name)?.begin(now)?;
        self.in_progress = Some(name.clone());
        Some(RestartRequest {
            service: name,
            cause,
            reason,
            precondition,
        })
    }

    /// Returns when the next restart is due, as far as that is known now.
    pub(crate) fn due(&self) -> Option<Moment> {
        let due = self.due_restarts().map(|(_, _, due)| due);
        due.min_by_key(|due| due.mono)
    }

    /// Ends the restart in progress. Returns a sentence for people where something follows that its verdict does not
    /// show.
    pub(crate) fn ended(&mut self, outcome: RestartOutcome, now: Moment) -> Option<String> {
        let name = self.in_progress.take()?;
        self.candidates.get_mut(&name)?.ended(&name, outcome, now)
    }

    /// Returns the services to be restarted that do not wait for the restart of one that they need, each with the
    /// earliest time. Empty while a restart is in progress.
    fn due_restarts(&self) -> impl Iterator<Item = (&str, RestartCause, Moment)> {
        let wanted: BTreeMap<&str, (RestartCause, Moment)> = self
            .candidates
            .iter()
            .filter(|_| self.on && self.in_progress.is_none())
            .filter_map(|(name, candidate)| Some((name.as_str(), candidate.wanted()?)))
            .collect();
        let first: Vec<&str> = wanted
            .keys()
            .filter(|name| !self.candidates[**name].is_stuck())
            .copied()
            .collect();
        wanted
            .into_iter()
            .filter(move |(name, _)| {
                let needs = &self.candidates[*name].needs;
                !first.iter().any(|other| needs.contains(*other))
            })
            .map(|(name, (cause, due))| (name, cause, due))
    }
}
