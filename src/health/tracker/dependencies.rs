//! What is remembered of the dependencies of a service, across its answers and its restarts.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::heartbeat::HeartbeatState;
use super::process::ProcessId;
use crate::health::{Age, Counters, Dependency, DependencySnapshot, DependencyStatus, Moment};

/// More processes than ever answer in turn; the stats of earlier ones are added up.
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
    success: CounterTotal,
    failure: CounterTotal,
    /// The statuses that we counted ourselves.
    seen: Counters,
    seen_success: Option<Moment>,
    seen_failure: Option<Moment>,
    known_since: Moment,
    heartbeat: Option<HeartbeatState>,
}

impl DependencyHistory {
    fn new(at: Moment) -> Self {
        Self {
            success: CounterTotal::default(),
            failure: CounterTotal::default(),
            seen: Counters::default(),
            seen_success: None,
            seen_failure: None,
            known_since: at,
            heartbeat: None,
        }
    }

    /// Returns the dependency as the service reports it, or with the status *error* when too many heartbeats are missing.
    fn evaluate<'a>(&self, dependency: &'a Dependency) -> Cow<'a, Dependency> {
        let unsaid = !matches!(
            dependency.status,
            DependencyStatus::Error | DependencyStatus::NotUsed
        );
        let heartbeat = self
            .heartbeat
            .as_ref()
            .filter(|_| unsaid && dependency.heartbeat.is_some());
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
    processes: Vec<(ProcessId, u64)>,
}

impl CounterTotal {
    fn last(&self, process: ProcessId) -> Option<u64> {
        let mut last = self.processes.iter();
        last.find(|(id, _)| *id == process).map(|(_, count)| *count)
    }

    fn would_fall(&self, process: ProcessId, count: Option<u64>) -> bool {
        matches!((self.last(process), count), (Some(last), Some(count)) if count < last)
    }

    fn set(&mut self, process: ProcessId, count: u64) {
        match self.processes.iter_mut().find(|(id, _)| *id == process) {
            Some((_, last)) => *last = count,
            None => self.processes.push((process, count)),
        }
        if self.processes.len() > PROCESSES {
            let (_, oldest) = self.processes.remove(0);
            self.before = self.before.saturating_add(oldest);
        }
    }

    /// Adds the count of a process that is gone to the total.
    fn new_process(&mut self, process: ProcessId) {
        let gone = self.last(process).unwrap_or(0);
        self.before = self.before.saturating_add(gone);
        self.processes.retain(|(id, _)| *id != process);
    }

    fn total(&self) -> Option<u64> {
        let ever = self.before > 0 || !self.processes.is_empty();
        ever.then(|| {
            self.processes
                .iter()
                .fold(self.before, |sum, (_, count)| sum.saturating_add(*count))
        })
    }
}

impl Dependencies {
    /// Takes in the table of an answer. `same` says that the process is proved to be the one before, so that a counter
    /// that fell was reset and the others were not.
    pub(super) fn record(
        &mut self,
        table: &[Dependency],
        process: ProcessId,
        same: bool,
        asked: Moment,
        at: Moment,
    ) {
        let fallen: BTreeSet<&str> = table
            .iter()
            .filter(|dependency| {
                self.known.get(&dependency.name).is_some_and(|memory| {
                    memory.success.would_fall(process, dependency.success_count)
                        || memory.failure.would_fall(process, dependency.failure_count)
                })
            })
            .map(|dependency| dependency.name.as_str())
            .collect();
        if !fallen.is_empty() {
            for (name, memory) in &mut self.known {
                if !same || fallen.contains(name.as_str()) {
                    memory.success.new_process(process);
                    memory.failure.new_process(process);
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

    fn remember(&mut self, dependency: &Dependency, process: ProcessId, asked: Moment, at: Moment) {
        let memory = self
            .known
            .entry(dependency.name.clone())
            .or_insert_with(|| DependencyHistory::new(at));
        if let Some(reported) = &dependency.heartbeat {
            match &mut memory.heartbeat {
                Some(heartbeat) => heartbeat.update(reported, asked, at),
                none => *none = Some(HeartbeatState::new(reported, asked, at)),
            }
        }
        if let Some(count) = dependency.success_count {
            memory.success.set(process, count);
        }
        if let Some(count) = dependency.failure_count {
            memory.failure.set(process, count);
        }
        match memory.evaluate(dependency).status {
            // Degraded is bad work, but work.
            DependencyStatus::Working | DependencyStatus::Degraded => {
                memory.seen.success = memory.seen.success.saturating_add(1);
                memory.seen_success = Some(at);
            }
            DependencyStatus::Error => {
                memory.seen.failure = memory.seen.failure.saturating_add(1);
                memory.seen_failure = Some(at);
            }
            DependencyStatus::NotUsed | DependencyStatus::Unknown => {}
        }
    }

    /// Returns a dependency of a table with the status that its heartbeat gives it.
    pub(super) fn evaluate<'a>(&self, dependency: &'a Dependency) -> Cow<'a, Dependency> {
        match self.known.get(&dependency.name) {
            Some(memory) => memory.evaluate(dependency),
            None => Cow::Borrowed(dependency),
        }
    }

    /// The sign of life of a dependency of a table, where it is one that beats.
    pub(super) fn heartbeat(&self, dependency: &Dependency) -> Option<&HeartbeatState> {
        let memory = self.known.get(&dependency.name)?;
        memory
            .heartbeat
            .as_ref()
            .filter(|_| dependency.heartbeat.is_some())
    }

    /// When the dependency was first reported on.
    pub(super) fn known_since(&self, name: &str) -> Option<Moment> {
        self.known.get(name).map(|memory| memory.known_since)
    }

    /// An entry of the latest table with what is remembered of it.
    pub(super) fn snapshot(
        &self,
        dependency: &Dependency,
        process: ProcessId,
        required: bool,
        at: Moment,
    ) -> DependencySnapshot {
        let memory = self.known.get(&dependency.name);
        let heartbeat = self.heartbeat(dependency);
        let dependency = &*self.evaluate(dependency);
        let used = dependency.status != DependencyStatus::NotUsed;
        // What is switched off was never tried, rather than tried zero times.
        let seen = |count: u64| (used || count > 0).then_some(count);
        let count = |reported: Option<u64>, meter: Option<&CounterTotal>, saw: Option<u64>| {
            let total = meter.and_then(CounterTotal::total);
            let last = meter.and_then(|meter| meter.last(process));
            let count = reported.or(last).or_else(|| saw.and_then(seen));
            (count, total.or(count))
        };
        let (success_count, success_total) = count(
            dependency.success_count,
            memory.map(|it| &it.success),
            memory.map(|it| it.seen.success),
        );
        let (failure_count, failure_total) = count(
            dependency.failure_count,
            memory.map(|it| &it.failure),
            memory.map(|it| it.seen.failure),
        );
        let moment = |age: Age, saw: Option<Moment>| DependencySnapshot::moment_of(age, at, saw);
        // Whoever beats was well when it last did.
        let saw_success = match heartbeat {
            Some(heartbeat) => heartbeat.beat_at(),
            None => memory.and_then(|it| it.seen_success),
        };
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
            last_success: moment(dependency.last_success, saw_success),
            last_failure: moment(
                dependency.last_failure,
                memory.and_then(|it| it.seen_failure),
            ),
            latency: dependency.latency,
            heartbeat: heartbeat.map(HeartbeatState::snapshot),
            observed_at: at,
            details: dependency.details.clone(),
        }
    }
}
