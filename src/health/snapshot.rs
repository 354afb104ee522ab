//! The snapshot of one service: its configuration and everything observed, at one moment.
//!
//! Ages are kept as moments, so that they tick between polls without a new snapshot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{
    Age, CheckVerdict, DependencyStatus, Failure, Flag, Identity, Moment, Phases, ProbeInfo,
    ProbeResult, Seen, ServiceInfo, Start, State,
};

/// Successes and failures of one thing that was asked or reported on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Successes.
    pub success: u64,
    /// Failures.
    pub failure: u64,
}

/// One probe of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeSnapshot {
    /// The configuration of the probe.
    pub info: Arc<ProbeInfo>,
    /// The address that answered or was last tried.
    pub address: Option<String>,
    /// The latest answer; `None` before the first.
    pub latest: Option<ProbeResult>,
    /// What it counts as, thresholds applied.
    pub counted: Option<ProbeResult>,
    /// Why the latest answer was no pass.
    pub failure: Option<Failure>,
    /// How long the latest answer took.
    pub latency: Option<Duration>,
    /// Where that time went.
    pub phases: Phases,
    /// The HTTP status code of the latest answer.
    pub code: Option<u16>,
    /// When the latest answer was complete.
    pub checked_at: Option<Moment>,
    /// What we saw since we watch.
    pub counters: Counters,
    /// Successes in a row up to now.
    pub consecutive_successes: u64,
    /// Non-successes in a row up to now.
    pub consecutive_failures: u64,
    /// When it last succeeded.
    pub last_success: Option<Moment>,
    /// When it last failed.
    pub last_failure: Option<Moment>,
    /// Answers alternate.
    pub flapping: bool,
    /// The latest latencies, oldest first, `None` for an answer that did not come; at most 60.
    pub history: VecDeque<Option<Duration>>,
}

/// A sign of life, with what is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatSnapshot {
    /// When the last one was given, on our clocks; `None` is never.
    pub beat_at: Option<Moment>,
    /// How old it may be before one is missed.
    pub fresh_for: Option<Duration>,
    /// How many were missing in a row at the latest look.
    pub missed: u64,
    /// Whose it is.
    pub holder: Option<String>,
    /// It said that no other will follow.
    pub is_final: bool,
}

/// One dependency of a service, with what is remembered of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DependencySnapshot {
    /// Its name.
    pub name: String,
    /// Its status in the latest reading.
    pub status: DependencyStatus,
    /// The word as written.
    pub word: Option<String>,
    /// Whether its error makes the service unhealthy.
    pub required: bool,
    /// What is wrong.
    pub error: Option<String>,
    /// The service's own count since its start, else what we saw.
    pub success_count: Option<u64>,
    /// The service's own count since its start, else what we saw.
    pub failure_count: Option<u64>,
    /// Goes on across restarts of the service.
    pub success_total: Option<u64>,
    /// Goes on across restarts of the service.
    pub failure_total: Option<u64>,
    /// When it last succeeded; `None` is never, as far as known.
    pub last_success: Option<Moment>,
    /// When it last failed; `None` is never, as far as known.
    pub last_failure: Option<Moment>,
    /// How long its check took.
    pub latency: Option<Duration>,
    /// Its sign of life, where it is one that beats.
    pub heartbeat: Option<HeartbeatSnapshot>,
    /// When it was last reported on.
    pub observed_at: Moment,
    /// All else of its entry.
    pub details: Arc<BTreeMap<String, serde_json::Value>>,
}

/// One service as it is known at [`ServiceSnapshot::at`].
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSnapshot {
    /// The configuration of the service.
    pub info: Arc<ServiceInfo>,
    /// What we believe.
    pub state: State,
    /// When that began.
    pub since: Moment,
    /// What the readiness probe says; `None` where there is none or it has not answered.
    pub ready: Option<bool>,
    /// What the liveness probe says; `None` where there is none or it has not answered.
    pub live: Option<bool>,
    /// What `check` makes of it.
    pub verdict: CheckVerdict,
    /// What else is worth knowing.
    pub flags: BTreeSet<Flag>,
    /// Why it is not healthy, most important first; empty when it is.
    pub reasons: Vec<String>,
    /// Remarks that are no reasons (a role, a take-over).
    pub notes: Vec<String>,
    /// The root cause, with the flag `blocked`.
    pub blocked_by: Option<String>,
    /// The service's own name for itself.
    pub service: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// When its process started, as reported.
    pub started: Option<Start>,
    /// Its uptime as reported, and when: `now.since(at) + uptime` ticks on.
    pub uptime: Option<(Duration, Moment)>,
    /// Free numbers about the process.
    pub resources: BTreeMap<String, serde_json::Value>,
    /// Its sign of life: of the first probe that reads one.
    pub heartbeat: Option<HeartbeatSnapshot>,
    /// The probes in inventory order.
    pub probes: Vec<ProbeSnapshot>,
    /// The dependencies in the order of their payload.
    pub dependencies: Vec<DependencySnapshot>,
    /// When its code was changed last, as far as that can be seen on this machine, UTC.
    pub code_changed: Option<jiff::Timestamp>,
    /// The process that runs its code, as far as that can be seen on this machine.
    pub process: Option<Seen>,
    /// Who answers.
    pub identity: Identity,
    /// When this snapshot was made.
    pub at: Moment,
}

impl DependencySnapshot {
    /// Turns a reported age into the moment it points at. `NotReported` gives `fallback`.
    pub fn moment_of(age: Age, at: Moment, fallback: Option<Moment>) -> Option<Moment> {
        match age {
            Age::NotReported => fallback,
            Age::Never => None,
            Age::Ago(ago) => Some(at.minus(ago)),
        }
    }
}
