//! What a hand may do to the demo: break or mend something of one service. One line each way.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Error;
use super::fleet::{FLEET, PROCESS, member};

/// Break or mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    /// It fails until it is mended.
    Break,
    /// It is well from now on.
    Mend,
}

/// When a service finds an order carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reached {
    /// It has done so.
    Now,
    /// When it is started: it does not run.
    AtStart,
}

/// What has become of an order.
pub(super) type Reply = Result<Reached, Error>;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// What to do.
    pub(crate) verb: Verb,
    /// To which service.
    pub(crate) service: String,
    /// To which of its dependencies.
    pub(crate) dependency: String,
}

impl Order {
    /// Whether the fleet has what it names; if not, the error lists what there is.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(member) = member(&self.service) else {
            let names: Vec<_> = FLEET.iter().map(|member| member.name).collect();
            return Err(Error::hint(
                format!("the demo has no service `{}`", self.service),
                format!("its services are {}", names.join(", ")),
            ));
        };
        if self.dependency == PROCESS && self.verb == Verb::Mend {
            return Err(Error::hint(
                "a process that was killed stays down until somebody starts it again".to_owned(),
                format!(
                    "in the directory of the demo's inventory: `healthctl demo service {}`",
                    member.name
                ),
            ));
        }
        if member.has(&self.dependency) {
            return Ok(());
        }
        let names: Vec<_> = member.dependencies.iter().map(|it| it.name).collect();
        let others: Vec<_> = member
            .switches()
            .map(|switch| format!("`{}` {}", switch.name, switch.does))
            .chain([format!("`{PROCESS}` kills it")])
            .collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!("it has {}; ", names.join(", "))
        };
        Err(Error::hint(
            format!("{} has no dependency `{}`", member.name, self.dependency),
            format!("{names}{}", others.join(", ")),
        ))
    }
}

/// All that can be broken and mended, a line for each service.
pub(crate) fn choices() -> String {
    let lines: Vec<_> = FLEET
        .iter()
        .map(|member| {
            let dependencies = member.dependencies.iter().map(|it| it.name);
            let switches = member.switches().map(|switch| switch.name);
            let names: Vec<_> = dependencies.chain(switches).collect();
            format!("\n  {}: {}", member.name, names.join(", "))
        })
        .collect();
    format!(
        "What there is, beside `{PROCESS}` of each:{}",
        lines.concat()
    )
}

impl fmt::Display for Order {
    /// What has become of it, for people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verb,
            service,
            dependency,
        } = self;
        match verb {
            Verb::Break if dependency == PROCESS => write!(
                formatter,
                "{service} is killed; `healthctl start {service}` starts it again"
            ),
            Verb::Break => write!(
                formatter,
                "{service}: {dependency} is broken; `healthctl demo mend {service} {dependency}` mends it"
            ),
            Verb::Mend => write!(formatter, "{service}: {dependency} is mended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let check = |service: &str, dependency: &str| {
            let order = Order {
                verb: Verb::Break,
                service: service.into(),
                dependency: dependency.into(),
            };
            order
                .check()
                .map_err(|error| format!("{error}; {}", error.hint.as_deref().unwrap_or_default()))
        };
        assert_eq!(check("orders", "database"), Ok(()));
        assert_eq!(check("orders", "auth"), Ok(()));
        assert_eq!(
            check("order", "database"),
            Err(
                "the demo has no service `order`; its services are control-plane, edge, syncer, warren, ingestor, orders, search"
                    .into()
            )
        );
        assert_eq!(
            check("orders", "qdrant"),
            Err(
                "orders has no dependency `qdrant`; it has database, payments, mail; `auth` makes it ask for credentials, `process` kills it"
                    .into()
            )
        );
    }

    #[test]
    fn what_there_is_can_be_broken() {
        let choices = choices();
        let mut count = 0;
        for line in choices.lines().skip(1) {
            let (service, names) = line
                .trim()
                .split_once(": ")
                .expect("a service and its parts");
            for dependency in names.split(", ") {
                let order = Order {
                    verb: Verb::Break,
                    service: service.into(),
                    dependency: dependency.into(),
                };
                assert_eq!(order.check(), Ok(()));
                count += 1;
            }
        }
        assert!(count > FLEET.len(), "{choices}");
        assert!(choices.contains("\n  orders: database, payments, mail, auth"));
    }
}
