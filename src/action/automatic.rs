//! Which service is restarted by itself, and when: where its inventory permits it and somebody has switched it on.
//!
//! One at a time, those that others need first; not before its files have come to rest; after each attempt later than
//! after the one before; and no more after so many attempts, which is said. What somebody else has stopped or started
//! meanwhile is theirs. It decides and does nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use self::patient::Patient;
use self::premise::Premise;
pub use self::premise::Present;
use super::Verdict;
use crate::health::{Moment, Picture, RestartCause};
use crate::inventory::Inventory;

mod patient;
mod premise;
#[cfg(test)]
mod tests;

/// So many attempts are made in a row.
const LIMIT: u32 = 5;

/// One restart to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The service.
    pub service: String,
    /// What it reacts to.
    pub cause: RestartCause,
    /// For people: what it reacts to, in full.
    pub why: String,
    premise: Premise,
}

impl Order {
    /// Whether it is called for only while the service runs.
    pub const fn is_for_what_runs(&self) -> bool {
        self.premise.wants_it_running()
    }

    /// Whether the service is down because somebody has wanted that, at this time.
    pub fn is_put_down(&self, at: Timestamp) -> bool {
        self.premise.is_put_down(at)
    }

    /// Whether it is still called for, now that it is known who is there; nobody is `present` where nothing of the
    /// service is.
    pub fn still_holds(&self, present: Option<&Present>) -> bool {
        self.premise.holds(present)
    }
}

/// How a restart has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Ended {
        /// What was proved.
        verdict: Verdict,
        /// It was stopped by it.
        stopped: bool,
    },
    /// Nothing was sent.
    Refused {
        /// Why, one sentence.
        why: String,
        /// Somebody else acts on the service.
        busy: bool,
    },
    /// Nothing was sent: it is down because somebody has wanted that.
    PutDown,
    /// Nothing was sent: what it was for is so no longer.
    Superseded,
}

/// What is known of all services, and what was tried.
#[derive(Debug, Clone, Default)]
pub struct Automatic {
    on: bool,
    patients: BTreeMap<String, Patient>,
    /// Who is being restarted.
    under_way: Option<String>,
}

impl Automatic {
    /// Of those of the services watched that permit it; protected ones never do.
    pub(crate) fn new(inventory: &Inventory, is_watched: impl Fn(&str) -> bool) -> Self {
        let permitting = inventory.services.values().filter(|service| {
            is_watched(&service.name) && !service.restart_on.is_empty() && !service.protected
        });
        let patients = permitting
            .map(|service| {
                let needs = all_needs(inventory, &service.name);
                let patient = Patient::new(service.restart_on.clone(), needs);
                (service.name.clone(), patient)
            })
            .collect();
        Self {
            patients,
            ..Self::default()
        }
    }

    /// Whether it is switched on.
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Those that are restarted no more.
    pub fn given_up(&self) -> BTreeSet<String> {
        let patients = self.patients.iter();
        let given_up = patients.filter(|(_, patient)| patient.has_given_up());
        given_up.map(|(name, _)| name.clone()).collect()
    }

    /// Switches it on or off, and says what that means. Attempts are counted anew.
    pub fn switch(&mut self, on: bool) -> String {
        self.on = on && !self.patients.is_empty();
        for patient in self.patients.values_mut() {
            patient.forget_attempts();
        }
        if !on {
            return "automatic restart is off".to_owned();
        }
        if self.patients.is_empty() {
            return "automatic restart stays off: no service that is watched says `restart_on`, or all that do are protected".to_owned();
        }
        let services: Vec<String> = self
            .patients
            .iter()
            .map(|(name, patient)| {
                let causes: Vec<&str> = patient.permits.iter().map(|it| it.as_str()).collect();
                format!("{name} ({})", causes.join(", "))
            })
            .collect();
        format!("automatic restart is on for {}", services.join(", "))
    }

    /// Takes in the newest picture of a service; says what follows from it where that is not plain.
    pub fn see(&mut self, picture: &Picture) -> Option<String> {
        let said = self.patients.get_mut(&picture.name)?.see(picture);
        said.filter(|_| self.on)
    }

    /// Somebody has acted on the service: what was tried by itself before counts no longer.
    pub fn acted(&mut self, service: &str) {
        if let Some(patient) = self.patients.get_mut(service) {
            patient.forget_attempts();
        }
    }

    /// Who is to be restarted now, if anybody is; it is under way from then on, until [`ended`](Self::ended).
    pub fn begin(&mut self, now: Moment) -> Option<Order> {
        if !self.on || self.under_way.is_some() {
            return None;
        }
        let (name, cause) = self.due_ones().find_map(|(name, cause, due)| {
            (due.mono <= now.mono).then(|| (name.to_owned(), cause))
        })?;
        let (why, premise) = self.patients.get_mut(&name)?.begin(now)?;
        self.under_way = Some(name.clone());
        Some(Order {
            service: name,
            cause,
            why,
            premise,
        })
    }

    /// When there is something to begin, as far as that is known now.
    pub fn due(&self) -> Option<Moment> {
        if !self.on || self.under_way.is_some() {
            return None;
        }
        self.due_ones()
            .map(|(_, _, due)| due)
            .min_by_key(|due| due.mono)
    }

    /// The restart under way has ended; says what comes of it where that is not plain from its verdict.
    pub fn ended(&mut self, outcome: Outcome, now: Moment) -> Option<String> {
        let name = self.under_way.take()?;
        self.patients.get_mut(&name)?.ended(&name, outcome, now)
    }

    /// Those that are to be restarted and do not wait for another one that is, with the time from which on.
    fn due_ones(&self) -> impl Iterator<Item = (&str, RestartCause, Moment)> {
        let wanted: BTreeMap<&str, (RestartCause, Moment)> = self
            .patients
            .iter()
            .filter(|(_, patient)| !patient.is_stuck())
            .filter_map(|(name, patient)| Some((name.as_str(), patient.wanted()?)))
            .collect();
        let waits = move |name: &str| {
            let needs = self.patients.get(name).map(|patient| &patient.needs);
            needs.is_some_and(|needs| wanted.keys().any(|other| needs.contains(*other)))
        };
        self.patients
            .iter()
            .filter_map(|(name, patient)| Some((name.as_str(), patient.wanted()?)))
            .filter(move |(name, _)| !waits(name))
            .map(|(name, (cause, due))| (name, cause, due))
    }
}

/// All that a service needs, directly or through others.
fn all_needs(inventory: &Inventory, name: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        let service = inventory.services.get(name);
        for need in service.iter().flat_map(|service| &service.depends_on) {
            if found.insert(need.clone()) {
                open.push(need);
            }
        }
    }
    found
}
