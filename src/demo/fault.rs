//! Fault injection: the command that breaks or mends something of one service.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Error;
use super::component::FaultAction;
use super::fleet::{self, FLEET, PROCESS};

/// The time at which a fault command takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FaultApplied {
    /// The service has applied it.
    Now,
    /// The service is not running; its next process applies it.
    AtStart,
}

/// A command to break or mend one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FaultCommand {
    pub(crate) action: FaultAction,
    pub(crate) service: String,
    /// The name of a component, or of a fault of the service.
    pub(crate) target: String,
}

impl FaultCommand {
    /// Checks that the fleet has the service and the target.
    ///
    /// # Errors
    ///
    /// An error that lists what there is.
    pub(super) fn validate(&self) -> Result<(), Error> {
        let Self {
            service, target, ..
        } = self;
        let Some(definition) = fleet::find(service) else {
            let names: Vec<_> = FLEET.iter().map(|it| it.name).collect();
            return Err(Error::hint(
                format!("the demo has no service `{service}`"),
                format!("its services are {}", names.join(", ")),
            ));
        };
        if target == PROCESS && self.action == FaultAction::Mend {
            return Err(Error::hint(
                "a killed process stays down until the service is started again",
                format!("start it with `healthctl start {service}`"),
            ));
        }
        if target == PROCESS || definition.targets().any(|name| name == target) {
            return Ok(());
        }
        let names: Vec<_> = definition.components.iter().map(|it| it.name).collect();
        let faults: Vec<_> = definition
            .faults()
            .map(|fault| format!("`{}` {}", fault.name, fault.effect))
            .chain([format!("`{PROCESS}` kills it")])
            .collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!("it has {}; ", names.join(", "))
        };
        Err(Error::hint(
            format!("{service} has no dependency `{target}`"),
            format!("{names}{}", faults.join(", ")),
        ))
    }
}

/// Returns everything that can be broken and mended, a line for each service.
pub(crate) fn choices() -> String {
    let lines = FLEET.iter().map(|definition| {
        let targets: Vec<_> = definition.targets().collect();
        format!("\n  {}: {}", definition.name, targets.join(", "))
    });
    let lines: String = lines.collect();
    format!("Each service has `{PROCESS}`, and:{lines}")
}

impl fmt::Display for FaultCommand {
    /// Formats the effect of the command, for people.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            service,
            target,
        } = self;
        match action {
            FaultAction::Break if target == PROCESS => write!(
                formatter,
                "{service} is killed; `healthctl start {service}` starts it again"
            ),
            FaultAction::Break => write!(
                formatter,
                "{service}: {target} is broken; `healthctl demo mend {service} {target}` mends it"
            ),
            FaultAction::Mend => write!(formatter, "{service}: {target} is mended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(service: &str, target: &str) -> FaultCommand {
        FaultCommand {
            action: FaultAction::Break,
            service: service.into(),
            target: target.into(),
        }
    }

    #[test]
    fn names_are_checked() {
        let check = |service: &str, target: &str| {
            command(service, target)
                .validate()
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
    fn everything_listed_can_be_broken() {
        let choices = choices();
        let mut count = 0;
        for line in choices.lines().skip(1) {
            let (service, names) = line
                .trim()
                .split_once(": ")
                .expect("a service and its parts");
            for target in names.split(", ") {
                assert_eq!(command(service, target).validate(), Ok(()));
                count += 1;
            }
        }
        assert!(count > FLEET.len(), "{choices}");
        assert!(choices.contains("\n  orders: database, payments, mail, auth"));
    }
}
