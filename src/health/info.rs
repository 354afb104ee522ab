//! What the state machine and the views know of the configuration of a service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::VerdictPolicy;

/// The subject of a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Does the process live?
    Live,
    /// Does it want traffic?
    Ready,
    /// Has it come up? Holds the others back until it passed.
    Startup,
    /// The service describes its own state.
    Status,
    /// A named probe of the user's own.
    #[default]
    Named,
}

impl Role {
    /// The role of a probe with this name.
    pub fn of(name: &str) -> Self {
        match name {
            "live" => Self::Live,
            "ready" => Self::Ready,
            "startup" => Self::Startup,
            "status" => Self::Status,
            _ => Self::Named,
        }
    }
}

/// The configuration of one probe, as far as its state and the views depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeInfo {
    /// The name in the inventory.
    pub name: String,
    /// The subject of the probe.
    pub role: Role,
    /// `http`, `tcp` or `exec`.
    pub kind: &'static str,
    /// The target, for people: the URL without its password, the address or the command.
    pub target: String,
    /// Non-successes in a row that turn it; at least 1.
    pub failure_threshold: u32,
    /// Successes in a row that turn it back; at least 1.
    pub success_threshold: u32,
    /// For a named probe: its failure makes the service unhealthy, not only degraded.
    pub required: bool,
    /// Time between two of it.
    pub interval: Duration,
    /// Its payload can tell of dependencies.
    pub reports_dependencies: bool,
}

/// The configuration of one service, as far as its state and the views depend on it. Snapshots share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceInfo {
    /// The name in the inventory.
    pub name: String,
    /// The group, where the service has one.
    pub group: Option<String>,
    /// The labels of the service.
    pub labels: BTreeMap<String, String>,
    /// The name of its profile, where it has one.
    pub profile: Option<String>,
    /// The URL with any password masked.
    pub url: Option<String>,
    /// The probes, in the order in which their readings merge.
    pub probes: Vec<ProbeInfo>,
    /// Dependencies whose error makes the service unhealthy.
    pub required: BTreeSet<String>,
    /// The verdict of `check` for a degraded service.
    pub degraded: VerdictPolicy,
    /// The verdict of `check` for a service that was stopped on purpose or never started.
    pub stopped: VerdictPolicy,
    /// For the flag `success-age`.
    pub max_success_age: Option<Duration>,
    /// Failures do not count for this long after a known start.
    pub start_period: Duration,
    /// The time-out of its shutdown: how long draining and the silence after it are explained.
    pub shutdown_timeout: Duration,
    /// Services of the inventory that it depends on.
    pub depends_on: Vec<String>,
    /// Several processes answer at this address; alternation is normal.
    pub replicas: bool,
    /// Settings that only views show, each as a label and a text.
    pub rows: Vec<(String, String)>,
}

impl ServiceInfo {
    /// Returns the configuration of a service of which only the name is set.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shutdown_timeout: Duration::from_secs(40),
            ..Self::default()
        }
    }
}
