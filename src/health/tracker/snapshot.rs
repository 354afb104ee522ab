//! The snapshot of a service: everything its tracker knows, in the shape in which faces show it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Tracker;
use super::probe::Reachability;
use crate::health::{
    Dependency, DependencySnapshot, DependencyStatus, Flag, Moment, Reading, Role, ServiceSnapshot,
    State,
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
        let since = if assessed.state == self.assessment.state {
            self.since
        } else {
            now
        };
        let stopped = assessed.state == State::Stopped;
        let flags = self.flags_at(now);
        ServiceSnapshot {
            info: Arc::clone(&self.info),
            state: assessed.state,
            since,
            ready: self.verdict_of(Role::Ready),
            live: self.verdict_of(Role::Live),
            verdict: assessed.state.verdict(self.info.degraded),
            notes: self.notes(&assessed.reasons, now),
            blocked_by: flags
                .contains(&Flag::Blocked)
                .then(|| self.blocked_by.clone())
                .flatten(),
            flags,
            reasons: assessed.reasons,
            service: self.merged(|reading| reading.service.clone()),
            version: self.merged(|reading| reading.version.clone()),
            started: self.processes.start(),
            uptime: self.uptime(),
            resources: self
                .merged(|reading| {
                    Some(reading.resources.clone()).filter(|resources| !resources.is_empty())
                })
                .unwrap_or_default(),
            heartbeat: self
                .probes
                .iter()
                .find_map(|probe| Some(probe.heartbeat.as_ref()?.snapshot())),
            probes: self
                .probes
                .iter()
                .map(|probe| {
                    // While it is stopped nothing is weighed, and what counted before is no longer so.
                    let counted = if stopped {
                        probe.stats.latest()
                    } else {
                        probe.counted()
                    };
                    probe.stats.snapshot(counted)
                })
                .collect(),
            dependencies: self.dependency_snapshots(),
            code_changed: self.host.code.changed(),
            process: self.host.process,
            identity: self.processes.identity(),
            at: now,
        }
    }

    /// The latest readings in probe order; those of a process that is gone after all others.
    fn readings(&self) -> impl Iterator<Item = (&Arc<Reading>, Moment)> + '_ {
        let since = self.processes.current_since();
        let is_current = move |at: Moment| since.is_none_or(|since| since.mono <= at.mono);
        [true, false].into_iter().flat_map(move |current| {
            self.probes.iter().filter_map(move |probe| {
                let (reading, at) = probe.reading.as_ref()?;
                (is_current(*at) == current).then_some((reading, *at))
            })
        })
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
        let since = self.processes.current_since();
        let mut readings = self
            .readings()
            .filter(|(_, at)| since.is_none_or(|since| since.mono <= at.mono));
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
        ] {
            notes.extend(note.iter().map(|note| format!("{flag}: {note}")));
        }
        for probe in &self.probes {
            let message = probe
                .reading
                .as_ref()
                .and_then(|(reading, _)| reading.message.as_ref());
            if let Some(message) = message
                && !notes.contains(message)
                && !reasons
                    .iter()
                    .any(|reason| reason.contains(message.as_str()))
            {
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
        if self.shutdown.stopped().is_some() {
            return None;
        }
        self.host.stale(self.processes.start(), now.wall)
    }

    /// Returns the remarks about the heartbeats of the dependencies.
    fn heartbeat_notes(&self) -> Vec<String> {
        let table = self.table().map_or(&[][..], |(_, table, _)| table);
        let mut notes: Vec<String> = table
            .iter()
            .filter_map(|dependency| Some((dependency, self.dependencies.heartbeat(dependency)?)))
            .flat_map(|(dependency, heartbeat)| {
                heartbeat.notes(&format!("dependency {}", dependency.name))
            })
            .collect();
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
        table
            .iter()
            .map(|dependency| {
                self.dependencies.snapshot(
                    dependency,
                    self.processes.current(),
                    self.is_required(dependency),
                    at,
                )
            })
            .collect()
    }

    fn flags_at(&self, now: Moment) -> BTreeSet<Flag> {
        let mut flags: BTreeSet<Flag> = self.flags.keys().copied().collect();
        let mut set = |flag, on: bool| {
            if on {
                flags.insert(flag);
            }
        };
        let flapping = self.probes.iter().any(|probe| probe.stats.is_flapping());
        set(Flag::Flapping, flapping);
        set(
            Flag::Blocked,
            self.blocked_by.is_some() && self.is_failing_itself(),
        );
        set(Flag::Stale, self.stale(now).is_some());
        set(Flag::Foreign, self.host.foreign.is_some());
        let split =
            !self.info.replicas && (self.processes.alternate() || self.host.split.is_some());
        set(Flag::Split, split);
        let old = self.success_ages().any(|limit| limit.mono < now.mono);
        set(Flag::SuccessAge, old);
        flags
    }

    /// When the last success of each required dependency becomes too old. One that never succeeded is judged from the
    /// start of its process, where that is not known from when it was first reported on.
    fn success_ages(&self) -> impl Iterator<Item = Moment> + '_ {
        let limit = self
            .info
            .max_success_age
            .filter(|_| self.shutdown.stopped().is_none());
        let table = limit.and_then(|limit| Some((limit, self.table()?)));
        table.into_iter().flat_map(move |(limit, (_, table, at))| {
            let started = self
                .processes
                .start()
                .and_then(|start| Duration::try_from(at.wall.duration_since(start.at)).ok())
                .map(|uptime| at.minus(uptime));
            table
                .iter()
                .filter(|dependency| {
                    self.is_required(dependency) && dependency.status != DependencyStatus::NotUsed
                })
                .map(move |dependency| {
                    let process = self.processes.current();
                    let shown = self.dependencies.snapshot(dependency, process, true, at);
                    shown
                        .last_success
                        .or(started)
                        .or_else(|| self.dependencies.known_since(&dependency.name))
                        .unwrap_or(at)
                        .plus(limit)
                })
        })
    }

    /// When time alone raises the flag `success-age`.
    pub(super) fn success_age_due(&self, now: Moment) -> Option<Moment> {
        self.success_ages()
            .map(|limit| limit.plus(Duration::from_nanos(1)))
            .filter(|due| due.mono > now.mono)
            .min_by_key(|due| due.mono)
    }
}
