//! What is remembered of the dependencies of a service, across its answers and its restarts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::heartbeat::HeartbeatState;
use super::process::InstanceNumber;
use crate::health::{Age, Dependency, DependencySnapshot, DependencyStatus, Moment};

/// The number of processes whose counters are kept apart; those of earlier ones are summed up.
const PROCESSES: usize = 12;
/// The number of names that are remembered beyond those of the latest payload.
const FORGOTTEN_BEYOND: usize = 256;

/// Everything remembered, by name.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    known: HashMap<String, DependencyHistory>,
}

#[derive(Debug)]
struct DependencyHistory {
    success: DependencyTally,
    failure: DependencyTally,
    known_since: Moment,
    heartbeat: Option<HeartbeatState>,
}

/// The successes of a dependency, or its failures.
#[derive(Debug, Default)]
struct DependencyTally {
    /// The counts of the service, by process.
    reported: CounterTotal,
    /// The number of answers that said so.
    seen: u64,
    /// The latest of these answers.
    seen_at: Option<Moment>,
}

impl DependencyTally {
    fn see(&mut self, at: Moment) {
        self.seen = self.seen.saturating_add(1);
        self.seen_at = Some(at);
    }
}

impl DependencyHistory {
    /// Returns the dependency as the service reports it, or with the status *error* when too many heartbeats are missing.
    fn evaluate<'a>(&self, dependency: &'a Dependency) -> Cow<'a, Dependency> {
        let judged = dependency.heartbeat.is_some()
            && !matches!(
                dependency.status,
                DependencyStatus::Error | DependencyStatus::NotUsed
            );
        let heartbeat = self.heartbeat.as_ref().filter(|_| judged);
        match heartbeat.and_then(HeartbeatState::failure) {
            Some(missed) => Cow::Owned(Dependency {
                status: DependencyStatus::Error,
                error: Some(missed),
                ..dependency.clone()
            }),
            None => Cow::Borrowed(dependency),
        }
    }
}

/// A counter of a service that begins at zero again with each of its processes.
#[derive(Debug, Default)]
struct CounterTotal {
    before: u64,
    processes: BTreeMap<InstanceNumber, u64>,
}

impl CounterTotal {
    fn last(&self, process: InstanceNumber) -> Option<u64> {
        self.processes.get(&process).copied()
    }

    fn would_fall(&self, process: InstanceNumber, count: Option<u64>) -> bool {
        matches!((self.last(process), count), (Some(last), Some(count)) if count < last)
    }

    fn set(&mut self, process: InstanceNumber, count: u64) {
        self.processes.insert(process, count);
        if self.processes.len() > PROCESSES
            && let Some((_, oldest)) = self.processes.pop_first()
        {
            self.before = self.before.saturating_add(oldest);
        }
    }

    /// Adds the count of a process that is gone to the total.
    fn new_process(&mut self, process: InstanceNumber) {
        let gone = self.processes.remove(&process).unwrap_or(0);
        self.before = self.before.saturating_add(gone);
    }

    fn total(&self) -> Option<u64> {
        let counts = self.processes.values();
        let ever = self.before > 0 || !self.processes.is_empty();
        ever.then(|| counts.fold(self.before, |sum, count| sum.saturating_add(*count)))
    }
}

impl Dependencies {
    /// Takes in the table of an answer. `same` says that the process is proved to be the one before, so that a counter
    /// that fell was reset and the others were not.
    pub(super) fn record(
        &mut self,
        table: &[Dependency],
        process: InstanceNumber,
        same: bool,
        asked: Moment,
        at: Moment,
    ) {
        let fell = |dependency: &&Dependency| {
            self.known.get(&dependency.name).is_some_and(|history| {
                let (success, failure) = (&history.success.reported, &history.failure.reported);
                success.would_fall(process, dependency.success_count)
                    || failure.would_fall(process, dependency.failure_count)
            })
        };
        let names = table.iter().filter(fell).map(|it| it.name.as_str());
        let fallen: BTreeSet<&str> = names.collect();
        if !fallen.is_empty() {
            for (name, history) in &mut self.known {
                if !same || fallen.contains(name.as_str()) {
                    history.success.reported.new_process(process);
                    history.failure.reported.new_process(process);
                }
            }
        }
        for dependency in table {
            self.remember(dependency, process, asked, at);
        }
        if self.known.len() > table.len().saturating_add(FORGOTTEN_BEYOND) {
            let names: BTreeSet<&str> = table.iter().map(|it| it.name.as_str()).collect();
            self.known.retain(|name, _| names.contains(name.as_str()));
        }
    }

    fn remember(&mut self, entry: &Dependency, process: InstanceNumber, asked: Moment, at: Moment) {
        let name = entry.name.clone();
        let history = self.known.entry(name).or_insert_with(|| DependencyHistory {
            success: DependencyTally::default(),
            failure: DependencyTally::default(),
            known_since: at,
            heartbeat: None,
        });
        if let Some(reported) = &entry.heartbeat {
            HeartbeatState::record(&mut history.heartbeat, reported, asked, at);
        }
        for (tally, count) in [
            (&mut history.success, entry.success_count),
            (&mut history.failure, entry.failure_count),
        ] {
            if let Some(count) = count {
                tally.reported.set(process, count);
            }
        }
        match history.evaluate(entry).status {
            // Degraded is bad work, but work.
            DependencyStatus::Working | DependencyStatus::Degraded => history.success.see(at),
            DependencyStatus::Error => history.failure.see(at),
            DependencyStatus::NotUsed | DependencyStatus::Unknown => {}
        }
    }

    /// Returns a dependency of a table with the status that its heartbeat gives it.
    pub(super) fn evaluate<'a>(&self, dependency: &'a Dependency) -> Cow<'a, Dependency> {
        match self.known.get(&dependency.name) {
            Some(history) => history.evaluate(dependency),
            None => Cow::Borrowed(dependency),
        }
    }

    /// The sign of life of a dependency of a table, where it is one that beats.
    pub(super) fn heartbeat(&self, dependency: &Dependency) -> Option<&HeartbeatState> {
        let history = self.known.get(&dependency.name)?;
        let heartbeat = history.heartbeat.as_ref();
        heartbeat.filter(|_| dependency.heartbeat.is_some())
    }

    /// When the dependency was first reported on.
    pub(super) fn known_since(&self, name: &str) -> Option<Moment> {
        self.known.get(name).map(|history| history.known_since)
    }

    /// An entry of the latest table with what is remembered of it.
    pub(super) fn snapshot(
        &self,
        dependency: &Dependency,
        process: InstanceNumber,
        required: bool,
        at: Moment,
    ) -> DependencySnapshot {
        let history = self.known.get(&dependency.name);
        let heartbeat = self.heartbeat(dependency);
        let dependency = &*self.evaluate(dependency);
        let used = dependency.status != DependencyStatus::NotUsed;
        let tally = |of: fn(&DependencyHistory) -> &DependencyTally, reported: Option<u64>| {
            let tally = history.map(of);
            // What is switched off was never tried, rather than tried zero times.
            let seen = tally.map(|it| it.seen).filter(|&seen| used || seen > 0);
            let last = tally.and_then(|it| it.reported.last(process));
            let count = reported.or(last).or(seen);
            let total = tally.and_then(|it| it.reported.total()).or(count);
            (count, total, tally.and_then(|it| it.seen_at))
        };
        let (success_count, success_total, seen_success) =
            tally(|it| &it.success, dependency.success_count);
        let (failure_count, failure_total, seen_failure) =
            tally(|it| &it.failure, dependency.failure_count);
        let moment = |age: Age, seen: Option<Moment>| match age {
            Age::NotReported => seen,
            Age::Never => None,
            Age::Ago(ago) => Some(at.minus(ago)),
        };
        // Whoever beats was well when it last did.
        let seen_success = heartbeat.map_or(seen_success, HeartbeatState::beat_at);
        DependencySnapshot {
            name: dependency.name.clone(),
            status: dependency.status,
            word: dependency.word.clone(),
            required,
            error: dependency.error.clone(),
            success_count,
            failure_count,
            success_total,
            failure_total,
            last_success: moment(dependency.last_success, seen_success),
            last_failure: moment(dependency.last_failure, seen_failure),
            latency: dependency.latency,
            heartbeat: heartbeat.map(HeartbeatState::snapshot),
            observed_at: at,
            details: dependency.details.clone(),
        }
    }
}
