//! Which request would be sent for a service, and to whom; or why none will be.

use std::time::Duration;

use crate::action::{
    Action, ActionPlan, Goal, Look, Method, ProposedAction, Refusal, RefusalReason, START_COMMAND,
};
use crate::health::Process;
use crate::host::pid_file::PidFile;
use crate::host::reception::{Reception, reception};
use crate::host::signals::{SignalError, may_send};
use crate::host::{Owners, Running, started_at};
use crate::inventory::{Means, Service, Signal};
use crate::text;

use super::command;
use super::ending::absent;
use super::foreign::foreign;
use super::identify::Found;
use super::owners::{heads, split};
use super::place::Place;
use super::send::kernel;

/// What would be done.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) offer: ProposedAction,
    /// The process to signal, where the means is a signal.
    pub(super) signalled: Option<Process>,
}

/// What has to be known of a service before anything is sent to it.
pub(super) fn choose(
    service: &Service,
    action: Action,
    plan: &ActionPlan,
    method: &Method,
    found: &Found,
) -> Result<Choice, Refusal> {
    let refuse = |no: RefusalReason| refusal(service, action, no);
    not_foreign(service, found).map_err(refuse)?;
    // One of two would be stopped, and the other one be taken for what is left of it, or for its successor.
    if plan.goal != Goal::Reload
        && !service.replicas
        && let Some(both) = split(&heads(found.owning()), found.proved().as_ref())
    {
        return Err(refuse(RefusalReason {
            reason: format!("split: {both}"),
            hint: Some(
                "stop one of them by its pid; where several are meant to, say `replicas: true`"
                    .to_owned(),
            ),
        }));
    }
    let signalled = match &method.means {
        Means::Signal(signal) => {
            let target = signal_target(service, method, found).map_err(refuse)?;
            if action == Action::Reload {
                takes(&target, *signal).map_err(refuse)?;
            }
            Some(target)
        }
        Means::Http(request) if found.place.holds(request) && nothing_listens(found) => {
            return Err(refuse(match &found.pid_file {
                Some(PidFile::Unknown(why)) if found.recorded().is_none() => RefusalReason {
                    reason: format!(
                        "nothing listens at its address, and its process is not known: {why}"
                    ),
                    hint: Some("delete the file if the service has ended".to_owned()),
                },
                _ => RefusalReason {
                    reason: "nothing listens at its address, but its process still runs".to_owned(),
                    hint: Some("it may be starting, or stopping already".to_owned()),
                },
            }));
        }
        Means::Http(_) | Means::Exec(_) => None,
    };
    let request = match (&method.means, &signalled) {
        (Means::Http(request), _) => format!("{} {}", request.method, request.target),
        (Means::Signal(signal), Some(process)) => {
            format!("{} to pid {}", signal.name(), process.process.pid)
        }
        (Means::Signal(signal), None) => signal.name().to_owned(),
        (Means::Exec(exec), _) => command::shown(exec),
    };
    Ok(Choice {
        offer: ProposedAction {
            service: service.name.clone(),
            action,
            means: plan.describe(),
            request: text::clean(&request, 300),
            then: (plan.goal == Goal::Start)
                .then(|| start_command(service))
                .flatten(),
            target: text::clean(&target(found, signalled.as_ref()), 300),
            timeout: method.timeout,
            protected: service.protected,
        },
        signalled: signalled.map(|running| running.process),
    })
}

/// What starting it would be.
pub(super) fn offer_to_start(
    service: &Service,
    action: Action,
    found: &Found,
    timeout: Duration,
) -> ProposedAction {
    ProposedAction {
        service: service.name.clone(),
        action,
        means: START_COMMAND.to_owned(),
        request: start_command(service).unwrap_or_default(),
        then: None,
        target: text::clean(&absent(found), 300),
        timeout,
        protected: service.protected,
    }
}

/// `uvicorn app:app in services/api`
pub(super) fn start_command(service: &Service) -> Option<String> {
    let start = service.start.as_ref()?;
    Some(text::clean(&command::shown(&start.exec), 300))
}

pub(super) fn refusal(service: &Service, action: Action, no: RefusalReason) -> Refusal {
    Refusal {
        service: service.name.clone(),
        action,
        reason: text::clean(&no.reason, 300),
        hint: no.hint.map(|hint| text::clean(&hint, 300)),
    }
}

/// `pid 4711 (api)`
pub(super) fn name(running: &Running) -> String {
    format!("pid {} ({})", running.process.pid, running.name)
}

pub(super) fn nothing_listens(found: &Found) -> bool {
    found.looks.contains(&Look::Refused)
        && found
            .looks
            .iter()
            .all(|look| matches!(look, Look::Refused | Look::Unreachable))
}

/// A process that is not the service's must not be asked to stop in its place.
pub(super) fn not_foreign(service: &Service, found: &Found) -> Result<(), RefusalReason> {
    let recorded = found.recorded();
    match foreign(
        service,
        found.owning(),
        found.pid_file.as_ref(),
        recorded.as_ref(),
    ) {
        None => Ok(()),
        Some(why) => Err(RefusalReason {
            reason: format!("foreign: {why}"),
            hint: Some(
                "is another service running on its port? Where it is this one, name its `pid_file`"
                    .to_owned(),
            ),
        }),
    }
}

/// The one process that a signal may go to.
fn signal_target(
    service: &Service,
    method: &Method,
    found: &Found,
) -> Result<Running, RefusalReason> {
    let target = match &found.pid_file {
        _ if let Some(running) = found.recorded() => running,
        Some(PidFile::Proved(running)) => running.clone(),
        Some(PidFile::Recycled(pid)) => {
            return Err(RefusalReason {
                reason: format!(
                    "{} names pid {pid}, which was given to another process since the file was written",
                    file(service)
                ),
                hint: Some("delete the file if the service has ended".to_owned()),
            });
        }
        Some(PidFile::Exited(pid)) => {
            return Err(RefusalReason {
                reason: format!(
                    "{} names pid {pid}, which has exited, but something still listens at its address",
                    file(service)
                ),
                hint: Some("delete the file if it is out of date".to_owned()),
            });
        }
        Some(PidFile::Unknown(why)) => {
            return Err(RefusalReason {
                reason: format!("its process is not known: {why}"),
                hint: None,
            });
        }
        Some(PidFile::Missing) | None => owner(method, found)?,
    };
    may_send(target.process).map_err(|error| RefusalReason {
        reason: format!("{} cannot be signalled: {error}", name(&target)),
        hint: (error == SignalError::NotPermitted)
            .then(|| "run healthctl as its user or as root".to_owned()),
    })?;
    Ok(target)
}

/// A signal that nobody waits for ends a process, or does nothing: neither is a reload.
fn takes(target: &Running, signal: Signal) -> Result<(), RefusalReason> {
    let reason = match reception(target.process, kernel(signal)) {
        Some(Reception::Default) => format!(
            "{} has no handler for {}: it would end it",
            name(target),
            signal.name()
        ),
        Some(Reception::Ignored) => format!("{} ignores {}", name(target), signal.name()),
        Some(Reception::Taken) | None => return Ok(()),
    };
    Err(RefusalReason {
        reason,
        hint: Some("does it reload by another signal, a route or a command?".to_owned()),
    })
}

/// The one process at the head of those that own the listening port.
fn owner(method: &Method, found: &Found) -> Result<Running, RefusalReason> {
    let unknown = |why: String| RefusalReason {
        reason: if method.declared {
            format!("its process is not known: {why}")
        } else {
            format!("it has no shutdown route and no command, and its process is not known: {why}")
        },
        hint: Some("name its `pid_file`, or a route or command under `actions`".to_owned()),
    };
    match &found.owners {
        None => Err(unknown(match found.pin {
            Some(address) => format!("{address} is not on this machine"),
            None => match &found.place {
                Place::Nowhere => "it has no address".to_owned(),
                Place::Proxied(_) => "it is behind a proxy".to_owned(),
                Place::Name { .. } | Place::Socket(_) => {
                    "nothing answers at its address".to_owned()
                }
            },
        })),
        Some(Owners::Nobody) => Err(unknown(
            "no socket of this machine listens at its address".to_owned(),
        )),
        Some(Owners::Unknown(why)) => Err(unknown(why.clone())),
        Some(Owners::Known {
            complete: false, ..
        }) => Err(unknown(
            "another process, which cannot be seen, listens there as well".to_owned(),
        )),
        Some(Owners::Known { processes, .. }) => match heads(processes).as_slice() {
            [one] => Ok(one.clone()),
            several => Err(unknown(format!(
                "{} listen at its address independently",
                several.iter().map(name).collect::<Vec<_>>().join(" and ")
            ))),
        },
    }
}

/// Address, process and start, as far as each is known.
fn target(found: &Found, signalled: Option<&Running>) -> String {
    let mut parts = Vec::new();
    match (&found.place, found.pin) {
        (Place::Socket(path), _) => parts.push(path.display().to_string()),
        (Place::Proxied(url), _) => parts.push(format!("{url} through a proxy")),
        (_, Some(address)) => parts.push(address.to_string()),
        (Place::Name { host, port }, None) => parts.push(format!("{host}:{port}")),
        (Place::Nowhere, None) => {}
    }
    let processes = found.processes();
    let head = signalled
        .cloned()
        .or_else(|| match heads(&processes).as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        });
    if let Some(running) = head {
        parts.push(name(&running));
        if let Some(started) = started_at(running.process) {
            parts.push(format!("started {started:.0}"));
        }
    } else if let Some(start) = found.identity().start {
        parts.push(format!("started {:.0}", start.at));
    }
    if found.draining {
        parts.push("draining already".to_owned());
    }
    if parts.is_empty() {
        "its process is not known".to_owned()
    } else {
        parts.join(", ")
    }
}

fn file(service: &Service) -> String {
    service
        .pid_file
        .as_ref()
        .map(|path| path.display().to_string())
        .unwrap_or_default()
}
