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
}

/// How a service speaks of its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    Hephaestus,
    ControlPlane,
}

impl Convention {
    /// The name of its profile.
    pub(super) const fn profile(self) -> &'static str {
        match self {
            Self::Hephaestus => "hephaestus",
            Self::ControlPlane => "control-plane",
        }
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
