//! Small services and offers for the tests of this folder.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, ProposedAction};
use crate::inventory::{
    ActionSpec, Exec, HttpRequest, Inventory, Means, Service, ServiceActions, Signal, StartSpec,
    Target,
};

/// A service whose `shutdown` and `schedule` are each ``, `route`, `route waits`, `signal` or `command`.
pub(crate) fn service(name: &str, shutdown: &str, schedule: &str) -> Service {
    Service {
        name: name.to_owned(),
        actions: ServiceActions {
            shutdown: spec(shutdown),
            schedule: spec(schedule),
            ..ServiceActions::default()
        },
        ..Service::default()
    }
}

/// An inventory from `name<dependency,dependency` for each service.
pub(crate) fn inventory(text: &str) -> Inventory {
    let mut inventory = Inventory::default();
    for entry in text.split(' ') {
        let (name, needs) = entry.split_once('<').unwrap_or((entry, ""));
        let mut service = service(name, "", "");
        service.depends_on = needs
            .split(',')
            .filter(|need| !need.is_empty())
            .map(str::to_owned)
            .collect();
        inventory
            .services
            .insert(name.to_owned(), Arc::new(service));
    }
    inventory
}

/// A way to start one.
pub(crate) fn start() -> StartSpec {
    let command = ["api", "--port", "8000"].map(str::to_owned).to_vec();
    StartSpec {
        exec: Exec {
            shown: command.clone(),
            command,
            cwd: "/srv".into(),
            ..Exec::default()
        },
        ..StartSpec::default()
    }
}

/// An offer to shut a service down.
pub(crate) fn offer(service: &str, protected: bool) -> ProposedAction {
    ProposedAction {
        service: service.to_owned(),
        action: Action::Shutdown,
        means: "signal".to_owned(),
        request: "SIGTERM to pid 4711".to_owned(),
        after_reply: None,
        otherwise: None,
        then: None,
        target: "pid 4711".to_owned(),
        timeout: Duration::from_secs(40),
        protected,
    }
}

fn spec(text: &str) -> Option<ActionSpec> {
    let means = match text {
        "" => return None,
        "signal" => Means::Signal(Signal::Int),
        "command" => Means::Exec(Exec {
            command: vec!["stop-it".to_owned()],
            shown: vec!["stop-it".to_owned()],
            ..Exec::default()
        }),
        _ => Means::Http(Box::new(HttpRequest {
            target: Target {
                url: "http://localhost:8000/stop".parse().unwrap(),
                socket: None,
            },
            method: "POST".to_owned(),
            ..HttpRequest::default()
        })),
    };
    Some(ActionSpec {
        means,
        waits: text.ends_with("waits"),
        timeout: Duration::from_secs(40),
        then: None,
        reply: None,
    })
}
