//! What all formats are made of: the JSON report is this type, field by field.
//!
//! Ages are as of `generated_at`. *Never* is `null`. Fields are only ever added.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::health::{
    CheckVerdict, DependencySnapshot, DependencyStatus, FailureKind, Flag, HeartbeatSnapshot,
    Moment, ProbeResult, ProbeSnapshot, ServiceSnapshot, State,
};

use super::FailOn;

/// The version of the report's schema.
const SCHEMA_VERSION: u32 = 1;

/// A finished report over some services.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    schema_version: u32,
    /// When it was made, RFC 3339, UTC.
    pub(crate) generated_at: String,
    /// The worst verdict of its services; `pass` when there are none.
    pub(crate) verdict: CheckVerdict,
    /// How many services are in each state.
    pub(crate) summary: Summary,
    /// The services in inventory order.
    pub(crate) services: Vec<ServiceReport>,
}

/// How many services are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// All of them.
    pub(crate) total: usize,
    /// In this state, as every field below.
    pub(crate) healthy: usize,
    pub(crate) degraded: usize,
    pub(crate) unready: usize,
    pub(crate) unhealthy: usize,
    pub(crate) unknown: usize,
    pub(crate) starting: usize,
    pub(crate) draining: usize,
    pub(crate) stopped: usize,
}

/// One service of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ServiceReport {
    /// Its name in the inventory.
    pub(crate) name: String,
    /// Its group.
    pub(crate) group: Option<String>,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its profile.
    pub(crate) profile: Option<String>,
    /// Its URL, password masked.
    pub(crate) url: Option<String>,
    /// What we believe.
    pub(crate) state: State,
    /// What its readiness says.
    pub(crate) ready: Option<bool>,
    /// What `check` makes of it.
    pub(crate) verdict: CheckVerdict,
    /// What else is worth knowing.
    pub(crate) flags: Vec<Flag>,
    /// Why it is not healthy, most important first.
    pub(crate) reasons: Vec<String>,
    /// The root cause, where it is blocked.
    pub(crate) blocked_by: Option<String>,
    /// Its own name for itself.
    pub(crate) service: Option<String>,
    /// Its version.
    pub(crate) version: Option<String>,
    /// When its process started, RFC 3339, UTC.
    pub(crate) started_at: Option<String>,
    /// How long it has been up.
    pub(crate) uptime_seconds: Option<f64>,
    /// Its name for the process that answers; left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// Free numbers about the process.
    pub(crate) resources: BTreeMap<String, Value>,
    /// Remarks that are no reasons.
    pub(crate) notes: Vec<String>,
    /// Its sign of life; left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeat: Option<HeartbeatReport>,
    /// Its probes.
    pub(crate) probes: Vec<ProbeReport>,
    /// Its dependencies.
    pub(crate) dependencies: Vec<DependencyReport>,
}

/// Why a probe is no pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FailureReport {
    /// The class.
    pub(crate) kind: FailureKind,
    /// In words.
    pub(crate) message: String,
}

/// One probe of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ProbeReport {
    /// Its name.
    pub(crate) name: String,
    /// `http`, `tcp`, `exec` or `grpc`.
    pub(crate) kind: &'static str,
    /// What was asked.
    pub(crate) target: String,
    /// The address that answered or was last tried.
    pub(crate) address: Option<String>,
    /// What it found last; `null` where it was not asked.
    pub(crate) result: Option<ProbeResult>,
    /// Why that is no pass.
    pub(crate) failure: Option<FailureReport>,
    /// How long it took.
    pub(crate) latency_ms: Option<f64>,
    /// When.
    pub(crate) checked_at: Option<String>,
    /// Successes that we saw.
    pub(crate) success_count: u64,
    /// Failures that we saw.
    pub(crate) failure_count: u64,
    /// Successes in a row up to now.
    pub(crate) consecutive_successes: u64,
    /// Non-successes in a row up to now.
    pub(crate) consecutive_failures: u64,
    /// Age of the last success.
    pub(crate) last_success_seconds: Option<f64>,
    /// Age of the last failure.
    pub(crate) last_failure_seconds: Option<f64>,
}

/// One dependency of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DependencyReport {
    /// Its name.
    pub(crate) name: String,
    /// What its word means.
    pub(crate) status: DependencyStatus,
    /// The word as written.
    pub(crate) word: Option<String>,
    /// Whether its error makes the service unhealthy.
    pub(crate) required: bool,
    /// What is wrong.
    pub(crate) error: Option<String>,
    /// The service's own figure since its start.
    pub(crate) success_count: Option<u64>,
    /// The service's own figure since its start.
    pub(crate) failure_count: Option<u64>,
    /// Goes on across restarts.
    pub(crate) success_total: Option<u64>,
    /// Goes on across restarts.
    pub(crate) failure_total: Option<u64>,
    /// Age of the last success.
    pub(crate) last_success_seconds: Option<f64>,
    /// Age of the last failure.
    pub(crate) last_failure_seconds: Option<f64>,
    /// How long its check took.
    pub(crate) latency_ms: Option<f64>,
    /// Its sign of life; left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeat: Option<HeartbeatReport>,
    /// When it was last reported on.
    pub(crate) observed_at: String,
    /// All else of its entry.
    pub(crate) details: Arc<BTreeMap<String, Value>>,
}

/// A sign of life of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HeartbeatReport {
    /// Age of the last one.
    pub(crate) last_seconds: Option<f64>,
    /// How old it may be before one is missed.
    pub(crate) fresh_for_seconds: Option<f64>,
    /// How many were missing in a row at the latest look.
    pub(crate) missed: u64,
    /// Whose it is.
    pub(crate) holder: Option<String>,
    /// It said that no other will follow.
    #[serde(rename = "final")]
    pub(crate) is_final: bool,
}

impl Report {
    /// The report over these snapshots at this time.
    pub(crate) fn new<'a>(
        snapshots: impl IntoIterator<Item = &'a ServiceSnapshot>,
        fail_on: &FailOn,
        now: Moment,
    ) -> Self {
        let services: Vec<_> = snapshots
            .into_iter()
            .map(|snapshot| ServiceReport::new(snapshot, fail_on, now))
            .collect();
        let mut summary = Summary::default();
        for service in &services {
            summary.count(service.state);
        }
        let verdict = services.iter().map(|service| service.verdict).max();
        Self {
            schema_version: SCHEMA_VERSION,
            generated_at: time(now),
            verdict: verdict.unwrap_or(CheckVerdict::Pass),
            summary,
            services,
        }
    }
}

impl Summary {
    /// The number of services in a state.
    pub(crate) const fn of(&self, state: State) -> usize {
        match state {
            State::Unknown => self.unknown,
            State::Starting => self.starting,
            State::Healthy => self.healthy,
            State::Degraded => self.degraded,
            State::Unready => self.unready,
            State::Unhealthy => self.unhealthy,
            State::Draining => self.draining,
            State::Stopped => self.stopped,
        }
    }

    const fn count(&mut self, state: State) {
        self.total += 1;
        match state {
            State::Unknown => self.unknown += 1,
            State::Starting => self.starting += 1,
            State::Healthy => self.healthy += 1,
            State::Degraded => self.degraded += 1,
            State::Unready => self.unready += 1,
            State::Unhealthy => self.unhealthy += 1,
            State::Draining => self.draining += 1,
            State::Stopped => self.stopped += 1,
        }
    }
}

impl ServiceReport {
    /// The remarks that tell why it has a flag: `stale: src/app.py changed 12s ago, …`.
    pub(crate) fn flag_notes(&self) -> impl Iterator<Item = &str> {
        let of_flag = |note: &str| {
            let word = note.split_once(": ").map(|(word, _)| word);
            self.flags.iter().any(|flag| Some(flag.as_str()) == word)
        };
        let notes = self.notes.iter().map(String::as_str);
        notes.filter(move |note| of_flag(note))
    }

    /// The element of `services` for this snapshot.
    pub(crate) fn new(snapshot: &ServiceSnapshot, fail_on: &FailOn, now: Moment) -> Self {
        Self {
            name: snapshot.info.name.clone(),
            group: snapshot.info.group.clone(),
            labels: snapshot.info.labels.clone(),
            profile: snapshot.info.profile.clone(),
            url: snapshot.info.url.clone(),
            state: snapshot.state,
            ready: snapshot.ready,
            verdict: fail_on.verdict(snapshot),
            flags: snapshot.flags.iter().copied().collect(),
            reasons: snapshot.reasons.clone(),
            blocked_by: snapshot.blocked_by.clone(),
            service: snapshot.service.clone(),
            version: snapshot.version.clone(),
            started_at: snapshot.started.map(|start| start.at.to_string()),
            uptime_seconds: snapshot
                .uptime
                .map(|(uptime, at)| seconds(uptime + now.since(at))),
            instance: snapshot.identity.instance.clone(),
            resources: snapshot.resources.clone(),
            notes: snapshot.notes.clone(),
            heartbeat: HeartbeatReport::new(snapshot.heartbeat.as_ref(), now),
            probes: snapshot
                .probes
                .iter()
                .map(|probe| ProbeReport::new(probe, now))
                .collect(),
            dependencies: snapshot
                .dependencies
                .iter()
                .map(|dependency| DependencyReport::new(dependency, now))
                .collect(),
        }
    }
}

impl ProbeReport {
    fn new(probe: &ProbeSnapshot, now: Moment) -> Self {
        Self {
            name: probe.info.name.clone(),
            kind: probe.info.kind,
            target: probe.info.target.clone(),
            address: probe.address.clone(),
            result: probe.latest,
            failure: probe.failure.as_ref().map(|failure| FailureReport {
                kind: failure.kind,
                message: failure.message.clone(),
            }),
            latency_ms: probe.latency.map(milliseconds),
            checked_at: probe.checked_at.map(time),
            success_count: probe.counters.success,
            failure_count: probe.counters.failure,
            consecutive_successes: probe.consecutive_successes,
            consecutive_failures: probe.consecutive_failures,
            last_success_seconds: age(probe.last_success, now),
            last_failure_seconds: age(probe.last_failure, now),
        }
    }
}

impl HeartbeatReport {
    fn new(heartbeat: Option<&HeartbeatSnapshot>, now: Moment) -> Option<Self> {
        let heartbeat = heartbeat?;
        Some(Self {
            last_seconds: age(heartbeat.beat_at, now),
            fresh_for_seconds: heartbeat.fresh_for.map(seconds),
            missed: heartbeat.missed,
            holder: heartbeat.holder.clone(),
            is_final: heartbeat.is_final,
        })
    }
}

impl DependencyReport {
    fn new(dependency: &DependencySnapshot, now: Moment) -> Self {
        Self {
            name: dependency.name.clone(),
            status: dependency.status,
            word: dependency.word.clone(),
            required: dependency.required,
            error: dependency.error.clone(),
            success_count: dependency.success_count,
            failure_count: dependency.failure_count,
            success_total: dependency.success_total,
            failure_total: dependency.failure_total,
            last_success_seconds: age(dependency.last_success, now),
            last_failure_seconds: age(dependency.last_failure, now),
            latency_ms: dependency.latency.map(milliseconds),
            heartbeat: HeartbeatReport::new(dependency.heartbeat.as_ref(), now),
            observed_at: time(dependency.observed_at),
            details: dependency.details.clone(),
        }
    }
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn time(moment: Moment) -> String {
    moment
        .wall
        .round(jiff::Unit::Millisecond)
        .unwrap_or(moment.wall)
        .to_string()
}

fn age(moment: Option<Moment>, now: Moment) -> Option<f64> {
    moment.map(|moment| seconds(now.since(moment)))
}

/// Seconds to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// Milliseconds to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
