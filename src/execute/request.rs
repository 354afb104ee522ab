//! The request that would be sent for a service, and the process that it would reach; or why none will be sent.

use std::path::Path;
use std::time::Duration;

use crate::action::{Action, ActionPlan, Goal, ProposedAction, RefusalReason, START_COMMAND};
use crate::host::pid_file::PidFile;
use crate::host::signals::{Disposition, SignalError, disposition};
use crate::host::{Owners, RunningProcess, started_at};
use crate::inventory::{ActionSpec, Means, Service, Signal};
use crate::text;

use super::PlannedRequest;
use super::address::ServiceAddress;
use super::facts::{ServiceFacts, heads, name, shown, start_command};
use super::send::kernel_signal;
use super::signal::ProvenTarget;

const NOT_A_SPLIT: &str =
    "stop one of them by its pid; where several are meant to, say `replicas: true`";
const NOT_FOREIGN: &str =
    "is another service running on its port? Where it is this one, name its `pid_file`";

/// Checks all that has to be known of a service before anything is sent to it, and returns the request.
///
/// # Errors
/// Why nothing will be sent.
pub(super) fn plan_request(
    service: &Service,
    action: Action,
    plan: &ActionPlan,
    facts: &ServiceFacts,
) -> Result<PlannedRequest, RefusalReason> {
    let Some(method) = &plan.request else {
        return Err("it is only started".to_owned().into());
    };
    refuse_foreign(service, facts)?;
    let processes = &facts.processes;
    // One of two would be stopped, and the other one be taken for what is left of it, or for its successor.
    if plan.goal != Goal::Reload
        && !service.replicas
        && let Some(both) = processes.split(processes.proved().as_ref())
    {
        return Err(RefusalReason::new(format!("split: {both}"), NOT_A_SPLIT));
    }
    let mut signalled = None;
    let request = match &method.means {
        Means::Signal(signal) => {
            let target = signal_target(service, plan.declared, facts)?;
            if action == Action::Reload {
                handles(&target, *signal)?;
            }
            let pid = target.process().pid;
            signalled = Some(target);
            format!("SIG{} to pid {pid}", signal.as_str())
        }
        Means::Http(request) if facts.address.holds(request) && facts.refuses() => {
            return Err(match &processes.pid_file {
                Some(PidFile::Unknown(why)) if processes.recorded().is_none() => {
                    RefusalReason::new(
                        format!(
                            "nothing listens at its address, and its process is not known: {why}"
                        ),
                        "delete the file if the service has ended",
                    )
                }
                _ => RefusalReason::new(
                    "nothing listens at its address, but its process still runs",
                    "it may be starting, or stopping already",
                ),
            });
        }
        Means::Http(request) => format!("{} {}", request.method, request.target),
        Means::Exec(exec) => shown(exec),
    };
    let then = (plan.goal == Goal::Start).then(|| start_command(service));
    let then = then.or_else(|| {
        plan.starts_by_need(service).then(|| {
            let command = start_command(service)?;
            Some(format!("where it is not back by itself, {command}"))
        })
    });
    let after_reply = method.then.map(|then| {
        let target = signal_target(service, true, facts).map_err(RefusalReason::with_hint);
        (then, target)
    });
    let follows = after_reply.as_ref().and_then(|(then, target)| {
        let pid = target.as_ref().ok()?.process().pid;
        let (after, signal) = (text::format_duration(then.after), then.signal.as_str());
        Some(format!(
            "where it still runs {after} after its reply, SIG{signal} to pid {pid}"
        ))
    });
    let request = PlannedRequest {
        method: method.clone(),
        otherwise: Err(String::new()),
        after_reply: after_reply.map(|(_, target)| target),
        offer: ProposedAction {
            service: service.name.clone(),
            action,
            means: plan.describe(),
            request: text::clean(&request, 300),
            after_reply: follows,
            otherwise: None,
            then: then.flatten(),
            target: text::clean(&target_text(facts, signalled.as_ref()), 300),
            timeout: method.timeout,
            protected: service.protected,
        },
        signalled,
    };
    Ok(with_otherwise(request, service, plan, facts))
}

/// Adds the request that takes the place of a route to stop by where that is not offered: a signal to the process that is
/// proved to be the service's own, else its command.
fn with_otherwise(
    mut request: PlannedRequest,
    service: &Service,
    plan: &ActionPlan,
    facts: &ServiceFacts,
) -> PlannedRequest {
    let Some((signal, command)) = plan.other_means(service) else {
        return request;
    };
    let (means, signalled, shown) = match (signal_target(service, true, facts), command) {
        (Ok(target), _) => {
            let shown = format!("SIG{} to pid {}", signal.as_str(), target.process().pid);
            (Means::Signal(signal), Some(target), shown)
        }
        (Err(_), Some(command)) => {
            let shown = text::clean(&shown(&command), 300);
            (Means::Exec(command), None, shown)
        }
        (Err(no), None) => {
            request.otherwise = Err(no.with_hint());
            return request;
        }
    };
    let other = PlannedRequest {
        method: ActionSpec {
            means,
            waits: false,
            then: None,
            reply: None,
            timeout: request.method.timeout,
        },
        offer: ProposedAction {
            request: shown.clone(),
            after_reply: None,
            ..request.offer.clone()
        },
        signalled,
        otherwise: Err(String::new()),
        after_reply: None,
    };
    request.offer.otherwise = Some(format!("where that is not offered, {shown}"));
    request.otherwise = Ok(Box::new(other));
    request
}

/// Returns the offer to start a service that does not run.
pub(super) fn offer_to_start(
    service: &Service,
    action: Action,
    facts: &ServiceFacts,
    timeout: Duration,
) -> ProposedAction {
    ProposedAction {
        service: service.name.clone(),
        action,
        means: START_COMMAND.to_owned(),
        request: start_command(service).unwrap_or_default(),
        after_reply: None,
        otherwise: None,
        then: None,
        target: text::clean(&facts.absence(), 300),
        timeout,
        protected: service.protected,
    }
}

/// Refuses a service at whose address the process of another program listens: that must not be asked to stop in its place.
///
/// # Errors
/// Which process listens, and what contradicts it.
pub(super) fn refuse_foreign(service: &Service, facts: &ServiceFacts) -> Result<(), RefusalReason> {
    let recorded = facts.processes.recorded();
    match facts.processes.foreign(service, recorded.as_ref()) {
        None => Ok(()),
        Some(why) => Err(RefusalReason::new(format!("foreign: {why}"), NOT_FOREIGN)),
    }
}

/// Returns the one process that a signal may go to.
fn signal_target(
    service: &Service,
    declared: bool,
    facts: &ServiceFacts,
) -> Result<ProvenTarget, RefusalReason> {
    let file = service
        .pid_file
        .as_deref()
        .unwrap_or(Path::new(""))
        .display();
    let recorded = facts.processes.recorded();
    let target = match &facts.processes.pid_file {
        _ if let Some(running) = &recorded => running.process,
        Some(PidFile::Proved(running)) => running.process,
        Some(PidFile::Recycled(pid)) => {
            let reason = format!(
                "{file} names pid {pid}, which was given to another process since the file was written"
            );
            let hint = "delete the file if the service has ended";
            return Err(RefusalReason::new(reason, hint));
        }
        Some(PidFile::Exited(pid)) => {
            let reason = format!(
                "{file} names pid {pid}, which has exited, but something still listens at its address"
            );
            let hint = "delete the file if it is out of date";
            return Err(RefusalReason::new(reason, hint));
        }
        Some(PidFile::Unknown(why)) => {
            return Err(format!("its process is not known: {why}").into());
        }
        Some(PidFile::Missing) | None if service.supervised => {
            let reason = "a supervisor runs it, so no process is known to be its own";
            let hint = "give `actions.shutdown` a route or a command, or name its `pid_file`";
            return Err(RefusalReason::new(reason, hint));
        }
        Some(PidFile::Missing) | None => sole_owner(declared, facts)?.process,
    };
    let mut targets = ProvenTarget::all(&facts.processes).into_iter();
    let target = targets
        .find(|it| it.process() == target)
        .ok_or_else(|| "its process has just ended".to_owned())?;
    let Err(error) = target.accepts_signals() else {
        return Ok(target);
    };
    let hint =
        (error == SignalError::NotPermitted).then_some("run healthctl as its user or as root");
    Err(RefusalReason {
        reason: format!("{} cannot be signalled: {error}", name(target.running())),
        hint: hint.map(str::to_owned),
    })
}

/// Checks that a signal will not end the process, and will not be ignored: neither would be a reload.
fn handles(target: &ProvenTarget, signal: Signal) -> Result<(), RefusalReason> {
    let (name, signal_name) = (name(target.running()), format!("SIG{}", signal.as_str()));
    let reason = match disposition(target.process(), kernel_signal(signal)) {
        Some(Disposition::Default) => {
            format!("{name} has no handler for {signal_name}: it would end it")
        }
        Some(Disposition::Ignored) => format!("{name} ignores {signal_name}"),
        Some(Disposition::Handled) | None => return Ok(()),
    };
    let hint = "does it reload by another signal, a route or a command?";
    Err(RefusalReason::new(reason, hint))
}

/// Returns the one process at the head of those that own the listening socket.
fn sole_owner(declared: bool, facts: &ServiceFacts) -> Result<RunningProcess, RefusalReason> {
    let why = match &facts.processes.owners {
        None => match (facts.pin, &facts.address) {
            (Some(address), _) => format!("{address} is not on this machine"),
            (None, ServiceAddress::Nowhere) => "it has no address".to_owned(),
            (None, ServiceAddress::Proxied(_)) => "it is behind a proxy".to_owned(),
            (None, _) => "nothing answers at its address".to_owned(),
        },
        Some(Owners::Nobody) => "no socket of this machine listens at its address".to_owned(),
        Some(Owners::Unknown(why)) => why.clone(),
        Some(Owners::Visible(_)) => {
            "another process, which cannot be seen, listens there as well".to_owned()
        }
        Some(Owners::All(processes)) => match heads(processes).as_slice() {
            [one] => return Ok(one.clone()),
            several => {
                let names: Vec<String> = several.iter().map(name).collect();
                let names = names.join(" and ");
                format!("{names} listen at its address independently")
            }
        },
    };
    let reason = if declared {
        format!("its process is not known: {why}")
    } else {
        format!("it has no shutdown route and no command, and its process is not known: {why}")
    };
    let hint = "name its `pid_file`, or a route or command under `actions`";
    Err(RefusalReason::new(reason, hint))
}

/// Returns address, process and start, as far as each is known.
fn target_text(facts: &ServiceFacts, signalled: Option<&ProvenTarget>) -> String {
    let mut parts = Vec::new();
    match (&facts.address, facts.pin) {
        (ServiceAddress::Socket(path), _) => parts.push(path.display().to_string()),
        (ServiceAddress::Proxied(url), _) => parts.push(format!("{url} through a proxy")),
        (_, Some(address)) => parts.push(address.to_string()),
        (ServiceAddress::Name { host, port }, None) => parts.push(format!("{host}:{port}")),
        (ServiceAddress::Nowhere, None) => {}
    }
    let signalled = signalled.map(ProvenTarget::running).cloned();
    let sole_head = || match heads(&facts.processes.all()).as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    if let Some(running) = signalled.or_else(sole_head) {
        parts.push(name(&running));
        if let Some(started) = started_at(running.process) {
            parts.push(format!("started {started:.0}"));
        }
    } else if let Some(start) = facts.identity().start {
        parts.push(format!("started {:.0}", start.at));
    }
    if facts.draining {
        parts.push("draining already".to_owned());
    }
    if parts.is_empty() {
        "its process is not known".to_owned()
    } else {
        parts.join(", ")
    }
}
