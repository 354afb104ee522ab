//! Which service is restarted by itself, and when: where its inventory permits it and somebody has switched it on.
//!
//! One at a time, those that others need first; not before its files have come to rest; after each attempt later than
//! after the one before; and no more after so many attempts, which is said. It decides and does nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Verdict;
use crate::health::{Flag, Moment, Picture, RestartCause, State};
use crate::inventory::Inventory;

#[cfg(test)]
mod tests;

/// Files are written one after another: so long has nothing to change.
const REST: Duration = Duration::from_secs(1);
/// After the first attempt; doubled after each other one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// But never more.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// So many attempts are made in a row.
const LIMIT: u32 = 5;
/// A process that has lived so long did not come up in vain.
const LASTING: Duration = Duration::from_secs(60);

/// One restart to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The service.
    pub service: String,
    /// What it reacts to.
    pub cause: RestartCause,
    /// For people: what it reacts to, in full.
    pub why: String,
}

/// What is known of all services, and what was tried.
#[derive(Debug, Clone, Default)]
pub struct Automatic {
    on: bool,
    patients: BTreeMap<String, Patient>,
    /// Who is being restarted.
    under_way: Option<(String, RestartCause)>,
}

/// A service that may be restarted by itself.
#[derive(Debug, Clone, Default)]
struct Patient {
    permits: BTreeSet<RestartCause>,
    /// The others among them that it needs, directly or not.
    needs: HashSet<String>,
    /// Since when it has been seen stale.
    stale_since: Option<Moment>,
    why: String,
    /// The time of its newest code, and when that was first seen.
    code: Option<(Timestamp, Moment)>,
    /// Why it does not live, and since when that has been seen.
    unhealthy: Option<(String, Moment)>,
    /// Somebody has asked it to stop, or switched its probes off.
    let_be: bool,
    /// Attempts in a row.
    attempts: u32,
    last: Option<Attempt>,
    given_up: bool,
}

/// The attempt made last.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    cause: RestartCause,
    ended: Moment,
    /// It is not up, and nobody else has touched it since.
    failed: bool,
}

impl Automatic {
    /// Of those of the services watched that permit it; protected ones never do.
    pub fn new(inventory: &Inventory, is_watched: impl Fn(&str) -> bool) -> Self {
        let permitting = inventory.services.values().filter(|service| {
            is_watched(&service.name) && !service.restart_on.is_empty() && !service.protected
        });
        let patients = permitting
            .map(|service| {
                let patient = Patient {
                    permits: service.restart_on.clone(),
                    needs: all_needs(inventory, &service.name),
                    ..Patient::default()
                };
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

    /// Takes in the newest picture of a service.
    pub fn see(&mut self, picture: &Picture) {
        if let Some(patient) = self.patients.get_mut(&picture.name) {
            patient.see(picture);
        }
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
        let patient = self.patients.get_mut(&name)?;
        patient.attempts += 1;
        let why = patient.reason(cause);
        self.under_way = Some((name.clone(), cause));
        Some(Order {
            service: name,
            cause,
            why,
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

    /// The restart under way has ended; says what comes of it where that is not plain from its verdict. One that could
    /// not even be sent counts as well.
    pub fn ended(&mut self, verdict: Verdict, now: Moment) -> Option<String> {
        let (name, cause) = self.under_way.take()?;
        let patient = self.patients.get_mut(&name)?;
        let failed = verdict.exit_code() != 0;
        patient.last = Some(Attempt {
            cause,
            ended: now,
            failed,
        });
        if patient.attempts >= LIMIT {
            patient.given_up = true;
            return Some(format!(
                "{name}: {LIMIT} automatic restarts in a row; no other will follow until its code changes or `a` is switched off and on"
            ));
        }
        failed.then(|| {
            let delay = humantime::format_duration(patient.delay());
            format!(
                "{name}: the automatic restart ended as {verdict}; attempt {} of {LIMIT} follows in {delay}",
                patient.attempts + 1
            )
        })
    }

    /// Those that are to be restarted and do not wait for another one that is, with the time from which on.
    fn due_ones(&self) -> impl Iterator<Item = (&str, RestartCause, Moment)> {
        let wanted: BTreeMap<&str, (RestartCause, Moment)> = self
            .patients
            .iter()
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

impl Patient {
    fn forget_attempts(&mut self) {
        self.attempts = 0;
        self.last = None;
        self.given_up = false;
    }

    fn see(&mut self, picture: &Picture) {
        let now = picture.at;
        let stale = picture.flags.contains(&Flag::Stale);
        self.stale_since = stale.then(|| self.stale_since.unwrap_or(now));
        if let Some(note) = picture
            .notes
            .iter()
            .find(|note| note.starts_with("stale: "))
        {
            self.why.clone_from(note);
        }
        if let Some(code) = picture.code_changed
            && self.code.is_none_or(|(known, _)| known != code)
        {
            if self.code.is_some() {
                // Somebody has changed what may have been wrong.
                self.attempts = 0;
                self.given_up = false;
            }
            self.code = Some((code, now));
        }
        // What it depends on has to work first.
        let blocked = picture.flags.contains(&Flag::Blocked);
        let dead = picture.live == Some(false) && picture.state == State::Unhealthy && !blocked;
        let since = self.unhealthy.take().map_or(now, |(_, since)| since);
        let reason = picture.reasons.first().cloned().unwrap_or_default();
        self.unhealthy = dead.then_some((reason, since));
        self.let_be = matches!(picture.state, State::Stopped | State::Draining)
            || picture.flags.contains(&Flag::Paused);
        if let Some(last) = self.last {
            let cured = match last.cause {
                RestartCause::Stale => !stale && !last.failed,
                RestartCause::Unhealthy => !dead && now.since(last.ended) >= LASTING,
            };
            if cured {
                self.forget_attempts();
            }
        }
    }

    /// What it would be restarted for, and from when on.
    fn wanted(&self) -> Option<(RestartCause, Moment)> {
        if self.given_up {
            return None;
        }
        let failed = self.last.filter(|last| last.failed);
        let stale = self.permits.contains(&RestartCause::Stale);
        let unhealthy = self.permits.contains(&RestartCause::Unhealthy);
        let (cause, from) = match (self.stale_since, &self.unhealthy, failed) {
            // What we have failed to start again is still ours to start.
            (_, _, Some(last)) => (last.cause, self.rested(last.ended)),
            _ if self.let_be => return None,
            (Some(since), _, None) if stale => (RestartCause::Stale, self.rested(since)),
            (_, Some((_, since)), None) if unhealthy => (RestartCause::Unhealthy, *since),
            _ => return None,
        };
        let after_last = self.last.map(|last| last.ended.plus(self.delay()));
        let due = match after_last.filter(|_| self.attempts > 0) {
            Some(later) if later.mono > from.mono => later,
            _ => from,
        };
        Some((cause, due))
    }

    /// Not before its files have come to rest.
    fn rested(&self, since: Moment) -> Moment {
        let changed = self.code.map(|(_, seen)| seen);
        match changed {
            Some(changed) if changed.mono > since.mono => changed.plus(REST),
            _ => since.plus(REST),
        }
    }

    /// Between the attempt made last and the next.
    fn delay(&self) -> Duration {
        let doubled = self.attempts.saturating_sub(1).min(16);
        FIRST_DELAY
            .saturating_mul(2_u32.saturating_pow(doubled))
            .min(LONGEST_DELAY)
    }

    fn reason(&self, cause: RestartCause) -> String {
        if self.last.is_some_and(|last| last.failed) && self.stale_since.is_none() {
            return "it did not come up the last time".to_owned();
        }
        match (cause, &self.unhealthy) {
            (RestartCause::Stale, _) => self.why.clone(),
            (RestartCause::Unhealthy, Some((reason, _))) => format!("unhealthy: {reason}"),
            (RestartCause::Unhealthy, None) => "unhealthy".to_owned(),
        }
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
