//! The snapshot of one service: its configuration and everything observed, at one moment.
//!
//! Ages are kept as moments, so that they tick between polls without a new snapshot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{
    CheckVerdict, DependencyStatus, Failure, Flag, Identity, LocalProcess, Moment, Phases,
    ProbeInfo, ProbeResult, ServiceInfo, Start, State,
};

/// Successes and failures of one thing that was asked or reported on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// The number of successes.
    pub success: u64,
    /// The number of failures.
    pub failure: u64,
}

/// The snapshot of one probe.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProbeSnapshot {
    /// The configuration of the probe.
    pub info: Arc<ProbeInfo>,
    /// The address that answered or was last tried.
    pub address: Option<String>,
    /// The latest answer; `None` before the first.
    pub latest: Option<ProbeResult>,
    /// The result with the thresholds applied.
    pub counted: Option<ProbeResult>,
    /// Why the latest answer was no pass.
    pub failure: Option<Failure>,
    /// The latency of the latest answer.
    pub latency: Option<Duration>,
    /// The latency of the latest answer by phase.
    pub phases: Phases,
    /// The HTTP status code of the latest answer.
    pub code: Option<u16>,
    /// When the latest answer was complete.
    pub checked_at: Option<Moment>,
    /// The counters since healthctl began to watch.
    pub counters: Counters,
    /// Successes in a row up to now.
    pub consecutive_successes: u64,
    /// Non-successes in a row up to now.
    pub consecutive_failures: u64,
    /// When it last succeeded.
    pub last_success: Option<Moment>,
    /// When it last failed.
    pub last_failure: Option<Moment>,
    /// The answers alternate between success and failure.
    pub flapping: bool,
    /// The latest latencies, oldest first, `None` for an answer that did not come; at most 60.
    pub history: VecDeque<Option<Duration>>,
}

impl ProbeSnapshot {
    /// Returns whether so many non-successes have come in a row that something may follow from them by itself.
    pub fn has_turned(&self) -> bool {
        self.consecutive_failures >= u64::from(self.info.failure_threshold)
    }
}

/// A sign of life, with what is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatSnapshot {
    /// When the last one was given, on our clocks; `None` is never.
    pub beat_at: Option<Moment>,
    /// The age at which a heartbeat counts as missed.
    pub fresh_for: Option<Duration>,
    /// The number of heartbeats missed in a row at the latest probe.
    pub missed: u64,
    /// The holder of the heartbeat.
    pub holder: Option<String>,
    /// The last heartbeat announced that no other will follow.
    pub is_final: bool,
}

/// The snapshot of one dependency of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct DependencySnapshot {
    /// The name of the dependency.
    pub name: String,
    /// The status in the latest reading.
    pub status: DependencyStatus,
    /// The word as written.
    pub word: Option<String>,
    /// An error of this dependency makes the service unhealthy.
    pub required: bool,
    /// The error in the service's words.
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
    /// The duration of the check that the service made.
    pub latency: Option<Duration>,
    /// The heartbeat, where the dependency has one.
    pub heartbeat: Option<HeartbeatSnapshot>,
    /// When it was last reported on.
    pub observed_at: Moment,
    /// All else of its entry.
    pub details: Arc<BTreeMap<String, serde_json::Value>>,
}

/// The snapshot of one service at [`ServiceSnapshot::at`].
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSnapshot {
    /// The configuration of the service.
    pub info: Arc<ServiceInfo>,
    /// The state of the service.
    pub state: State,
    /// The beginning of the state.
    pub since: Moment,
    /// The result of the readiness probe; `None` without one or before its first answer.
    pub ready: Option<bool>,
    /// The result of the liveness probe; `None` without one or before its first answer.
    pub live: Option<bool>,
    /// The verdict of `check`.
    pub verdict: CheckVerdict,
    /// The flags that are set.
    pub flags: BTreeSet<Flag>,
    /// The flags that cannot be told, each with the reason.
    pub undetermined: BTreeMap<Flag, String>,
    /// Why it is not healthy, most important first; empty when it is.
    pub reasons: Vec<String>,
    /// Remarks that are no reasons (a role, a take-over).
    pub notes: Vec<String>,
    /// The root cause, with the flag `blocked`.
    pub blocked_by: Option<String>,
    /// The service's own name for itself.
    pub service: Option<String>,
    /// The version of the service.
    pub version: Option<String>,
    /// When its process started, as reported.
    pub started: Option<Start>,
    /// The reported uptime and its time: `now.since(at) + uptime` is the uptime now.
    pub uptime: Option<(Duration, Moment)>,
    /// Free numbers about the process.
    pub resources: BTreeMap<String, serde_json::Value>,
    /// The heartbeat of the first probe that reads one.
    pub heartbeat: Option<HeartbeatSnapshot>,
    /// The probes in inventory order.
    pub probes: Vec<ProbeSnapshot>,
    /// The dependencies in the order of their payload.
    pub dependencies: Vec<DependencySnapshot>,
    /// When its code was changed last, as far as that can be seen on this machine, UTC.
    pub code_changed: Option<jiff::Timestamp>,
    /// The process that runs its code, as far as that can be seen on this machine.
    pub process: Option<LocalProcess>,
    /// The identity of the process that answers.
    pub identity: Identity,
    /// When this snapshot was made.
    pub at: Moment,
}
