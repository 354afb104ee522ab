//! Who is in the demo fleet: one table. A row more is one more process.

use std::time::Duration;

use super::life::Life;

/// One service of the fleet.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name in the inventory.
    pub(super) name: &'static str,
    /// The name it gives itself.
    pub(super) service: &'static str,
    pub(super) version: &'static str,
    pub(super) description: &'static str,
    pub(super) convention: Convention,
    pub(super) group: &'static str,
    pub(super) labels: &'static [(&'static str, &'static str)],
    /// Dependencies without which it cannot do its work.
    pub(super) required: &'static [&'static str],
    pub(super) depends_on: &'static [&'static str],
    pub(super) dependencies: &'static [Component],
    /// What else can be broken and mended.
    pub(super) switches: &'static [Switch],
    /// Files that stand for its code, relative to the inventory.
    pub(super) sources: &'static [&'static str],
    /// What an automatic restart may react to.
    pub(super) restart_on: &'static [&'static str],
}

/// Something other than a dependency that can be broken and mended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Switch {
    pub(super) name: &'static str,
    /// What breaking it does, after its name.
    pub(super) does: &'static str,
}

/// The service asks for credentials that nobody has.
pub(super) const AUTH: &str = "auth";
/// The process is killed.
pub(super) const PROCESS: &str = "process";
/// An agent's.
pub(super) const HEARTBEAT: &str = "heartbeat";
/// The renewal of a lease.
pub(super) const LEASE: &str = "lease";
/// Who holds a lease.
pub(super) const HOLDER: &str = "holder";
/// All checks of a service at once.
pub(super) const CHECKS: &str = "checks";
/// The configuration file.
pub(super) const CONFIG: &str = "config";
/// The replacement of unhealthy tasks.
pub(super) const REPLACEMENT: &str = "replacement";

const ASKS_FOR_CREDENTIALS: Switch = Switch {
    name: AUTH,
    does: "makes it ask for credentials",
};

impl Member {
    /// Everything that can be broken beside dependencies, in this process.
    pub(super) fn switches(&self) -> impl Iterator<Item = Switch> {
        // Who has no port cannot be asked.
        let auth = (self.convention != Convention::EdgeAgent).then_some(ASKS_FOR_CREDENTIALS);
        self.switches.iter().copied().chain(auth)
    }

    /// Whether it can be broken.
    pub(super) fn has(&self, name: &str) -> bool {
        name == PROCESS
            || self.dependencies.iter().any(|it| it.name == name)
            || self.switches().any(|switch| switch.name == name)
    }

    /// Whether it cannot do its work without this dependency.
    pub(super) fn needs(&self, dependency: &str) -> bool {
        // To a syncer all its components are the same.
        self.convention == Convention::KcpSyncer || self.required.contains(&dependency)
    }
}

/// How a service speaks of its health.
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
    /// The name of its profile.
    pub(super) const fn profile(self) -> &'static str {
        match self {
            Self::Hephaestus => "hephaestus",
            Self::ControlPlane => "control-plane",
            Self::EdgeAgent => "edge-agent",
            Self::ScryIngestor => "scry-ingestor",
            Self::KcpSyncer => "kcp-syncer",
            Self::Warren => "warren",
        }
    }

    /// Whether it reports to the control plane.
    pub(super) const fn reports(self) -> bool {
        matches!(self, Self::EdgeAgent | Self::KcpSyncer)
    }
}

/// Something a service depends on.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) life: Life,
    /// What the service says about it besides.
    pub(super) details: &'static [(&'static str, u64)],
}

/// Something that is well until it is broken by hand.
const fn steady(name: &'static str, latency: u64, error: &'static str) -> Component {
    Component {
        name,
        life: Life::Steady {
            latency: millis(latency),
            error,
        },
        details: &[],
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The fleet.
pub(super) const FLEET: &[Member] = &[
    Member {
        name: "control-plane",
        service: "control-plane",
        version: "1.4.2",
        description: "decides what runs where; stops by signal only",
        convention: Convention::ControlPlane,
        group: "platform",
        labels: &[("tier", "core"), ("team", "platform")],
        required: &[],
        depends_on: &[],
        dependencies: &[
            Component {
                name: "database",
                life: Life::Slow {
                    least: millis(350),
                    most: millis(1_400),
                    usual: millis(2),
                },
                details: &[],
            },
            Component {
                name: "ca_certificate",
                life: Life::Steady {
                    latency: Duration::from_micros(180),
                    error: "certificate expired",
                },
                details: &[],
            },
            Component {
                name: "crl_manager",
                life: Life::Steady {
                    latency: Duration::from_micros(40),
                    error: "crl manager not initialized",
                },
                details: &[],
            },
        ],
        switches: &[],
        sources: &[],
        restart_on: &[],
    },
    Member {
        name: "edge",
        service: "edge-agent",
        version: "1.4.2",
        description: "agent without a port; beats to the control plane",
        convention: Convention::EdgeAgent,
        group: "platform",
        labels: &[("tier", "edge"), ("team", "platform")],
        required: &[],
        depends_on: &["control-plane"],
        dependencies: &[
            steady("vm-1", 1, "kernel panic"),
            steady("vm-2", 1, "kernel panic"),
            steady("vm-3", 1, "kernel panic"),
        ],
        switches: &[Switch {
            name: HEARTBEAT,
            does: "cuts its uplink",
        }],
        sources: &[],
        restart_on: &[],
    },
    Member {
        name: "syncer",
        service: "kcp-syncer",
        version: "v1alpha1",
        description: "syncs two Kubernetes API servers; holds a lease",
        convention: Convention::KcpSyncer,
        group: "platform",
        labels: &[("tier", "core"), ("team", "platform")],
        required: &[],
        depends_on: &["control-plane"],
        dependencies: &[
            steady("upstream", 9, "connection refused"),
            steady("downstream", 7, "certificate signed by unknown authority"),
            steady("informers", 1, "cache is not synced"),
            Component {
                name: "queue",
                life: Life::Impaired {
                    latency: millis(1),
                    message: "412 objects wait",
                },
                details: &[("depth", 3)],
            },
            steady("spec-syncer", 4, "conflict: the object has been modified"),
            steady("status-syncer", 4, "conflict: the object has been modified"),
            steady("namespaces", 2, "namespace is terminating"),
            steady("rbac", 2, "forbidden: cannot list secrets"),
            Component {
                name: "webhook",
                life: Life::Hanging { latency: millis(3) },
                details: &[],
            },
        ],
        switches: &[
            Switch {
                name: LEASE,
                does: "stops its renewal",
            },
            Switch {
                name: HOLDER,
                does: "has another replica take the lease over",
            },
            Switch {
                name: CHECKS,
                does: "leaves all components unknown",
            },
        ],
        sources: &[],
        restart_on: &[],
    },
    Member {
        name: "warren",
        service: "warren",
        version: "0.3.0",
        description: "supervisor of three tasks; replaces what is unhealthy",
        convention: Convention::Warren,
        group: "platform",
        labels: &[("tier", "core"), ("team", "platform")],
        required: &[],
        depends_on: &[],
        dependencies: &[],
        switches: &[
            Switch {
                name: "web",
                does: "has its pages fail",
            },
            Switch {
                name: "cache",
                does: "closes its port",
            },
            Switch {
                name: "worker",
                does: "has it say that it is not well",
            },
            Switch {
                name: REPLACEMENT,
                does: "leaves unhealthy tasks as they are",
            },
        ],
        sources: &[],
        restart_on: &[],
    },
    Member {
        name: "ingestor",
        service: "scry-ingestor",
        version: "3.2.0",
        description: "takes data in; reloads its configuration",
        convention: Convention::ScryIngestor,
        group: "data",
        labels: &[("tier", "core"), ("team", "data")],
        required: &["database", "redis", "api"],
        depends_on: &[],
        dependencies: &[
            steady("database", 2, "connection refused"),
            steady("redis", 1, "connection refused"),
            Component {
                name: "celery",
                life: Life::Impaired {
                    latency: millis(4),
                    message: "1 of 4 workers",
                },
                details: &[],
            },
            Component {
                name: "kafka",
                life: Life::Hanging { latency: millis(6) },
                details: &[],
            },
            steady("api", 0, "not running"),
        ],
        switches: &[Switch {
            name: CONFIG,
            does: "makes its configuration file a bad one",
        }],
        sources: &[],
        restart_on: &[],
    },
    Member {
        name: "orders",
        service: "orders-api",
        version: "2.4.1",
        description: "takes orders; useless without its database",
        convention: Convention::Hephaestus,
        group: "shop",
        labels: &[("tier", "web"), ("team", "checkout")],
        required: &["database"],
        depends_on: &["search"],
        dependencies: &[
            Component {
                name: "database",
                life: Life::Steady {
                    latency: millis(3),
                    error: "connection refused",
                },
                details: &[("pool_size", 8)],
            },
            Component {
                name: "payments",
                life: Life::Steady {
                    latency: millis(48),
                    error: "the gateway answered 502",
                },
                details: &[],
            },
            Component {
                name: "mail",
                life: Life::NotUsed {
                    error: "no route to host",
                },
                details: &[],
            },
        ],
        switches: &[],
        sources: &["code/orders.py"],
        restart_on: &["stale"],
    },
    Member {
        name: "search",
        service: "search-mcp",
        version: "0.9.1",
        description: "finds things; its vector store fails now and then",
        convention: Convention::Hephaestus,
        group: "shop",
        labels: &[("tier", "web"), ("team", "discovery")],
        required: &["database"],
        depends_on: &["control-plane"],
        dependencies: &[
            Component {
                name: "database",
                life: Life::Steady {
                    latency: millis(2),
                    error: "too many connections",
                },
                details: &[("pool_size", 5)],
            },
            Component {
                name: "qdrant",
                life: Life::Cycle {
                    well: Duration::from_secs(14),
                    failing: Duration::from_secs(9),
                    latency: millis(12),
                    error: "timeout after 2s",
                },
                details: &[("collections", 3)],
            },
            Component {
                name: "groq",
                life: Life::NotUsed {
                    error: "invalid API key",
                },
                details: &[],
            },
        ],
        switches: &[],
        sources: &["code/search.py"],
        restart_on: &[],
    },
];

/// The one of this name.
pub(super) fn member(name: &str) -> Option<&'static Member> {
    FLEET.iter().find(|member| member.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_table_refer_to_each_other() {
        for member in FLEET {
            for name in member.depends_on {
                assert!(
                    super::member(name).is_some(),
                    "{} needs {name}",
                    member.name
                );
            }
            for name in member.required {
                assert!(
                    member
                        .dependencies
                        .iter()
                        .any(|component| component.name == *name),
                    "{} requires {name}",
                    member.name
                );
            }
        }
    }
}
