//! The snapshot of a service: everything its tracker knows, in the shape in which views and reports show it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Tracker;
use super::heartbeat::HeartbeatState;
use super::probe::Reachability;
use crate::health::{
    Dependency, DependencySnapshot, DependencyStatus, Flag, Moment, ProbeSnapshot, Reading, Role,
    ServiceSnapshot, Staleness, State,
};

/// No process is older, and no sum of this with an age overflows.
const LONGEST: Duration = Duration::from_secs(1_000 * 366 * 24 * 60 * 60);

/// Remarks on those who beat to a service; who has a thousand of them looks at the table.
const MOST_NOTES: usize = 20;

impl Tracker {
    /// Everything known, as of `now`.
    pub fn snapshot(&self, now: Moment) -> ServiceSnapshot {
        let assessed = if now == self.assessed_at {
            self.assessment.clone()
        } else {
            self.assess(now)
        };
        let same = assessed.state == self.assessment.state;
        let stopped = assessed.state == State::Stopped;
        let flags = self.flags_at(now);
        let blocked_by = self.blocked_by.clone();
        let probes = self.probes.iter().map(|probe| ProbeSnapshot {
            // While it is stopped nothing is weighed, and what counted before is no longer so.
            counted: if stopped {
                probe.stats.latest
            } else {
                probe.counted()
            },
            ..probe.stats.clone()
        });
        let mut heartbeats = self.probes.iter().filter_map(|it| it.heartbeat.as_ref());
        let resources = self
            .merged(|reading| (!reading.resources.is_empty()).then(|| reading.resources.clone()));
        ServiceSnapshot {
            info: Arc::clone(&self.info),
            state: assessed.state,
            since: if same { self.since } else { now },
            ready: self.verdict_of(Role::Ready),
            live: self.verdict_of(Role::Live),
            verdict: assessed
                .state
                .verdict(self.info.degraded, self.info.stopped),
            notes: self.notes(&assessed.reasons, now),
            undetermined: self.undetermined(&flags, now),
            blocked_by: blocked_by.filter(|_| flags.contains(&Flag::Blocked)),
            flags,
            reasons: assessed.reasons,
            service: self.merged(|reading| reading.service.clone()),
            version: self.merged(|reading| reading.version.clone()),
            started: self.processes.start(),
            uptime: self.uptime(),
            resources: resources.unwrap_or_default(),
            heartbeat: heartbeats.next().map(HeartbeatState::snapshot),
            probes: probes.collect(),
            dependencies: self.dependency_snapshots(),
            code_changed: self.host.code.changed(),
            process: self.host.process,
            identity: self.processes.identity(),
            at: now,
        }
    }

    /// The latest readings in probe order; those of a process that is gone after all others.
    fn readings(&self) -> impl Iterator<Item = (&Arc<Reading>, Moment)> + '_ {
        let readings = || {
            self.probes
                .iter()
                .filter_map(|probe| probe.reading.as_ref())
        };
        let current = readings().filter(|(_, at)| self.is_current(*at));
        let gone = readings().filter(|(_, at)| !self.is_current(*at));
        current.chain(gone).map(|(reading, at)| (reading, *at))
    }

    /// Returns whether an answer is of the process that answers now.
    fn is_current(&self, at: Moment) -> bool {
        let since = self.processes.current_since;
        since.is_none_or(|since| since.mono <= at.mono)
    }

    /// The first value that a reading holds.
    fn merged<T>(&self, value: impl Fn(&Reading) -> Option<T>) -> Option<T> {
        self.readings().find_map(|(reading, _)| value(reading))
    }

    fn verdict_of(&self, role: Role) -> Option<bool> {
        let probe = self.probes.iter().find(|probe| probe.info.role == role)?;
        if self.shutdown.stopped().is_some() {
            return probe.reachability.map(|_| false);
        }
        probe.verdict()
    }

    /// The uptime as reported, else what follows from the start; none where nobody answers any more.
    fn uptime(&self) -> Option<(Duration, Moment)> {
        let mut probes = self.probes.iter().enumerate();
        let gone = self.shutdown.stopped().is_some()
            || probes.any(|(index, probe)| {
                probe.reachability == Some(Reachability::Refused) && self.is_silent(index)
            });
        if gone {
            return None;
        }
        let mut readings = self.readings().filter(|(_, at)| self.is_current(*at));
        readings.find_map(|(reading, at)| {
            let start = || {
                reading.started?;
                let start = self.processes.start()?;
                Duration::try_from(at.wall.duration_since(start.at)).ok()
            };
            Some((reading.uptime.or_else(start)?.min(LONGEST), at))
        })
    }

    /// Returns the remarks about the service that are not among the reasons.
    fn notes(&self, reasons: &[String], now: Moment) -> Vec<String> {
        let of_flags = self.flags.values().filter(|note| !note.is_empty());
        let mut notes: Vec<String> = of_flags.cloned().collect();
        let host = &self.host;
        for (flag, note) in [
            (Flag::Stale, &self.stale(now)),
            (Flag::Foreign, &host.foreign),
            (Flag::Split, &host.split),
            (Flag::CrashLoop, &host.crash_loop),
        ] {
            notes.extend(note.iter().map(|note| format!("{flag}: {note}")));
        }
        notes.extend(host.hot_change(now.wall));
        notes.extend(self.processes.start_note());
        let readings = self.probes.iter().filter_map(|it| it.reading.as_ref());
        for message in readings.filter_map(|(reading, _)| reading.message.as_ref()) {
            let is_reason = reasons.iter().any(|it| it.contains(message.as_str()));
            if !is_reason && !notes.contains(message) {
                notes.push(message.clone());
            }
        }
        for probe in &self.probes {
            let heartbeat = probe.heartbeat.iter();
            notes.extend(heartbeat.flat_map(|heartbeat| heartbeat.notes(&probe.info.name)));
        }
        notes.extend(self.heartbeat_notes());
        notes
    }

    /// Why the process that runs is stale, where one runs and is.
    fn stale(&self, now: Moment) -> Option<String> {
        match self.staleness(now) {
            Staleness::Stale(why) => Some(why),
            Staleness::No | Staleness::Unclear(_) => None,
        }
    }

    fn staleness(&self, now: Moment) -> Staleness {
        if self.shutdown.stopped().is_some() {
            return Staleness::No;
        }
        self.host.staleness(self.processes.start(), now.wall)
    }

    /// Returns the flags that cannot be told of a service that answers, each with the reason.
    fn undetermined(&self, flags: &BTreeSet<Flag>, now: Moment) -> BTreeMap<Flag, String> {
        if self.is_unanswering() {
            return BTreeMap::new();
        }
        let mut undetermined = self.host.undetermined.clone();
        if self.processes.start().is_some() {
            // What it reports of its start tells as much as its process would.
            undetermined.remove(&Flag::Stale);
        }
        if let Staleness::Unclear(why) = self.staleness(now) {
            undetermined.insert(Flag::Stale, why);
        }
        undetermined.retain(|flag, _| !flags.contains(flag));
        undetermined
    }

    /// Returns the remarks about the heartbeats of the dependencies.
    fn heartbeat_notes(&self) -> Vec<String> {
        let table = self.table().map_or(&[][..], |(_, table, _)| table);
        let notes = table.iter().filter_map(|dependency| {
            let heartbeat = self.dependencies.heartbeat(dependency)?;
            Some(heartbeat.notes(&format!("dependency {}", dependency.name)))
        });
        let mut notes: Vec<String> = notes.flatten().collect();
        let more = notes.len().saturating_sub(MOST_NOTES);
        if more > 0 {
            notes.truncate(MOST_NOTES);
            notes.push(format!("and {more} more of this kind"));
        }
        notes
    }

    /// The dependency table to show: of the first probe whose latest reading has one that is not empty, else of the
    /// first that has an empty one.
    pub(super) fn table(&self) -> Option<(usize, &[Dependency], Moment)> {
        let tables = || {
            self.probes.iter().enumerate().filter_map(|(index, probe)| {
                let (reading, at) = probe.reading.as_ref()?;
                Some((index, reading.dependencies.as_deref()?, *at))
            })
        };
        tables()
            .find(|(_, table, _)| !table.is_empty())
            .or_else(|| tables().next())
    }

    fn dependency_snapshots(&self) -> Vec<DependencySnapshot> {
        let Some((_, table, at)) = self.table() else {
            return Vec::new();
        };
        let process = self.processes.current;
        let snapshots = table.iter().map(|dependency| {
            let required = self.is_required(dependency);
            self.dependencies
                .snapshot(dependency, process, required, at)
        });
        snapshots.collect()
    }

    fn flags_at(&self, now: Moment) -> BTreeSet<Flag> {
        let split = self.processes.alternate() || self.host.split.is_some();
        let blocked = self.blocked_by.is_some() && self.is_failing_itself();
        let mut limits = self.success_age_limits();
        let derived = [
            (
                Flag::Flapping,
                self.probes.iter().any(|it| it.stats.flapping),
            ),
            (Flag::Blocked, blocked),
            (Flag::Stale, self.stale(now).is_some()),
            (Flag::Foreign, self.host.foreign.is_some()),
            (Flag::Split, split && !self.info.replicas),
            (Flag::CrashLoop, self.host.crash_loop.is_some()),
            (Flag::SuccessAge, limits.any(|limit| limit.mono < now.mono)),
        ];
        let derived = derived.into_iter().filter(|(_, on)| *on);
        let given = self.flags.keys().copied();
        given.chain(derived.map(|(flag, _)| flag)).collect()
    }

    /// When the last success of each required dependency becomes too old. One that never succeeded is judged from the
    /// start of its process, where that is not known from when it was first reported on.
    fn success_age_limits(&self) -> impl Iterator<Item = Moment> + '_ {
        let stopped = self.assessment.state == State::Stopped;
        let limit = self.info.max_success_age.filter(|_| !stopped);
        let table = limit.and_then(|limit| Some((limit, self.table()?)));
        table.into_iter().flat_map(move |(limit, (_, table, at))| {
            let start = self.processes.start();
            let age = start.map(|start| Duration::try_from(at.wall.duration_since(start.at)));
            let started = age.and_then(Result::ok).map(|age| at.minus(age));
            let process = self.processes.current;
            let judged =
                |it: &&Dependency| self.is_required(it) && it.status != DependencyStatus::NotUsed;
            table.iter().filter(judged).map(move |dependency| {
                let shown = self.dependencies.snapshot(dependency, process, true, at);
                let known_since = || self.dependencies.known_since(&dependency.name);
                let since = shown.last_success.or(started).or_else(known_since);
                since.unwrap_or(at).plus(limit)
            })
        })
    }

    /// When time alone raises the flag `success-age`, for each required dependency.
    pub(super) fn success_age_dues(&self) -> impl Iterator<Item = Moment> + '_ {
        self.success_age_limits()
            .map(|limit| limit.plus(Duration::from_nanos(1)))
    }
}
