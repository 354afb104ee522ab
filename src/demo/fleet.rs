//! The services of the demo: one table. A row more is one more process.

use super::component::Component;

/// A service of the demo. Its entry in the inventory stands in `inventory.yaml`.
#[derive(Debug)]
pub(super) struct ServiceDefinition {
    /// The name in the inventory.
    pub(super) name: &'static str,
    /// The name that the service reports.
    pub(super) reported_name: &'static str,
    pub(super) version: &'static str,
    pub(super) convention: Convention,
    pub(super) components: &'static [Component],
    /// Faults beside those of components.
    faults: &'static [Fault],
}

/// Something other than a component that can be broken and mended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// The effect of breaking it, as the predicate of a sentence.
    pub(super) effect: &'static str,
}

/// The service to which others report.
pub(super) const CONTROL_PLANE: &str = "control-plane";

/// Makes a service ask for credentials that nobody has.
pub(super) const AUTH: &str = "auth";
/// Kills the process of a service.
pub(super) const PROCESS: &str = "process";
/// Stops the heartbeats of an agent.
pub(super) const HEARTBEAT: &str = "heartbeat";
/// The connections and the queue of the syncer, each a component of this name.
pub(super) const UPSTREAM: &str = "upstream";
pub(super) const DOWNSTREAM: &str = "downstream";
pub(super) const QUEUE: &str = "queue";
/// Stops the renewal of a lease.
pub(super) const LEASE: &str = "lease";
/// Lets another replica take over a lease.
pub(super) const HOLDER: &str = "holder";
/// Disables all checks of a service at once.
pub(super) const CHECKS: &str = "checks";
/// Makes a configuration file invalid.
pub(super) const CONFIG: &str = "config";
/// Stops the replacement of unhealthy tasks.
pub(super) const REPLACEMENT: &str = "replacement";

impl Fault {
    const fn new(name: &'static str, effect: &'static str) -> Self {
        Self { name, effect }
    }
}

impl ServiceDefinition {
    /// Returns all faults that can be injected into the process, beside those of its components.
    pub(super) fn faults(&self) -> impl Iterator<Item = Fault> {
        const REQUIRE_CREDENTIALS: Fault = Fault::new(AUTH, "makes it ask for credentials");
        // A service without a port cannot be asked.
        let auth = (self.convention != Convention::EdgeAgent).then_some(REQUIRE_CREDENTIALS);
        self.faults.iter().copied().chain(auth)
    }

    /// Returns the names of all components and faults.
    pub(super) fn targets(&self) -> impl Iterator<Item = &'static str> {
        let components = self.components.iter().map(|component| component.name);
        components.chain(self.faults().map(|fault| fault.name))
    }
}

/// The convention by which a service reports its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    Hephaestus,
    ControlPlane,
    EdgeAgent,
    ScryIngestor,
    KcpSyncer,
    Warren,
}

impl Convention {
    /// Returns whether the service reports to the control plane.
    pub(super) const fn needs_control_plane(self) -> bool {
        matches!(self, Self::EdgeAgent | Self::KcpSyncer)
    }

    /// Returns whether the service checks its components; other services record the result of each use.
    pub(super) const fn has_checks(self) -> bool {
        matches!(self, Self::ScryIngestor | Self::KcpSyncer)
    }

    /// Returns whether the service always has requests in flight.
    pub(super) const fn has_load(self) -> bool {
        matches!(
            self,
            Self::Hephaestus | Self::ControlPlane | Self::ScryIngestor
        )
    }
}

/// The fleet, in the order in which its services are started.
pub(super) const FLEET: &[ServiceDefinition] = &[
    ServiceDefinition {
        name: CONTROL_PLANE,
        reported_name: "control-plane",
        version: "1.4.2",
        convention: Convention::ControlPlane,
        components: &[
            Component::slow("database", 2, "connection reset by peer"),
            Component::steady("ca_certificate", 0, "certificate expired").micros(180),
            Component::steady("crl_manager", 0, "crl manager not initialized").micros(40),
        ],
        faults: &[],
    },
    ServiceDefinition {
        name: "edge",
        reported_name: "edge-agent",
        version: "1.4.2",
        convention: Convention::EdgeAgent,
        components: &[
            Component::steady("vm-1", 1, "kernel panic"),
            Component::steady("vm-2", 1, "kernel panic"),
            Component::steady("vm-3", 1, "kernel panic"),
        ],
        faults: &[Fault::new(HEARTBEAT, "cuts its uplink")],
    },
    ServiceDefinition {
        name: "syncer",
        reported_name: "kcp-syncer",
        version: "v1alpha1",
        convention: Convention::KcpSyncer,
        components: &[
            Component::steady("informers", 1, "cache is not synced"),
            Component::steady("spec-syncer", 4, "conflict: the object has been modified"),
            Component::steady("status-syncer", 4, "conflict: the object has been modified"),
            Component::steady("namespaces", 2, "namespace is terminating"),
            Component::steady("rbac", 2, "forbidden: cannot list secrets"),
            Component::hanging("webhook", 3),
        ],
        faults: &[
            Fault::new(UPSTREAM, "cuts a connection"),
            Fault::new(DOWNSTREAM, "cuts another one"),
            Fault::new(QUEUE, "lets 412 objects wait"),
            Fault::new(LEASE, "stops its renewal"),
            Fault::new(HOLDER, "lets another replica take over the lease"),
            Fault::new(CHECKS, "makes the state of all components unknown"),
        ],
    },
    ServiceDefinition {
        name: "warren",
        reported_name: "warren",
        version: "0.3.0",
        convention: Convention::Warren,
        components: &[],
        faults: &[
            Fault::new("web", "makes its pages fail"),
            Fault::new("cache", "closes its port"),
            Fault::new("worker", "makes its check fail"),
            Fault::new(REPLACEMENT, "stops the replacement of unhealthy tasks"),
        ],
    },
    ServiceDefinition {
        name: "ingestor",
        reported_name: "scry-ingestor",
        version: "3.2.0",
        convention: Convention::ScryIngestor,
        components: &[
            Component::steady("database", 2, "connection refused"),
            Component::steady("redis", 1, "connection refused"),
            Component::degrading("celery", 4, "1 of 4 workers").optional(),
            Component::hanging("kafka", 6).optional(),
            Component::steady("api", 0, "not running"),
        ],
        faults: &[Fault::new(CONFIG, "makes its configuration file invalid")],
    },
    ServiceDefinition {
        name: "orders",
        reported_name: "orders-api",
        version: "2.4.1",
        convention: Convention::Hephaestus,
        components: &[
            Component::steady("database", 3, "connection refused").details(&[("pool_size", 8)]),
            Component::steady("payments", 48, "the gateway answered 502"),
            Component::not_used("mail", "no route to host"),
        ],
        faults: &[],
    },
    ServiceDefinition {
        name: "search",
        reported_name: "search-mcp",
        version: "0.9.1",
        convention: Convention::Hephaestus,
        components: &[
            Component::steady("database", 2, "too many connections").details(&[("pool_size", 5)]),
            Component::cycling("qdrant", 12, "timeout after 2s").details(&[("collections", 3)]),
            Component::not_used("groq", "invalid API key"),
        ],
        faults: &[],
    },
];

/// Returns the service of this name.
pub(super) fn find(name: &str) -> Option<&'static ServiceDefinition> {
    FLEET.iter().find(|definition| definition.name == name)
}
