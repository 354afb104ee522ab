//! The request that would be sent for a service, and the process that it would reach; or why none will be sent.

use std::time::Duration;

use crate::action::{Action, ActionPlan, Goal, ProposedAction, RefusalReason, START_COMMAND};
use crate::host::pid_file::PidFile;
use crate::host::signals::{Disposition, SignalError, disposition, may_send};
use crate::host::{Owners, started_at};
use crate::inventory::{ActionSpec, Means, Service, Signal};
use crate::text;

use super::PlannedRequest;
use super::address::ServiceAddress;
use super::facts::{ForeignFinding, ServiceFacts, heads, name, names, shown, start_command};
use super::ownership::{OwnProcess, ProcessProof, UnprovenProcess};
use super::send::kernel_signal;

/// The most processes that a question names.
const MOST_NAMED: usize = 20;

const NOT_A_SPLIT: &str =
    "stop one of them by its pid; where several are meant to, say `replicas: true`";

/// Checks that no two processes listen at the address independently of each other: one of them would be stopped, and the
/// other one be taken for what is left of it, or for its successor.
///
/// # Errors
/// Names both.
pub(super) fn refuse_split(facts: &ServiceFacts) -> Result<(), RefusalReason> {
    match facts.processes.split() {
        Some(both) => Err(RefusalReason::new(format!("split: {both}"), NOT_A_SPLIT)),
        None => Ok(()),
    }
}

/// Checks that nobody runs the start command whose process is not proved to be the service's: a start would make another
/// copy beside it, and a stop would leave it.
///
/// # Errors
/// Names who does.
pub(super) fn refuse_copies(facts: &ServiceFacts) -> Result<(), RefusalReason> {
    let copies = &facts.processes.ownership.copies;
    let reason = match copies.as_slice() {
        [] => return Ok(()),
        [one] if !facts.endpoints.is_empty() => format!(
            "{} runs its start command and does not listen at {}",
            name(one),
            facts.endpoints_text()
        ),
        copies => format!(
            "{} run its start command, and which of them is the service cannot be told",
            names(copies.iter())
        ),
    };
    Err(RefusalReason::new(
        reason,
        "end it first, or name its `pid_file`",
    ))
}

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
    let processes = &facts.processes;
    if facts.named.is_none() {
        refuse_foreign(service, facts)?;
    }
    if plan.goal != Goal::Reload && facts.named.is_none() {
        refuse_split(facts)?;
    }
    let mut signalled = None;
    let request = match &method.means {
        Means::Signal(signal) => {
            let target = signal_target(service, action, plan.declared, facts)?;
            if action == Action::Reload {
                handles(&target, *signal)?;
            }
            let pid = target.running.process.pid;
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
        let target = signal_target(service, action, true, facts).map_err(RefusalReason::with_hint);
        (then, target)
    });
    let killed = plan.kills.then(|| {
        let own = facts.processes.ownership.own.iter();
        let after = text::format_duration(method.timeout);
        let own: Vec<_> = own.map(|one| &one.running).collect();
        let more = match own.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let own = names(own.into_iter().take(MOST_NAMED));
        format!("what still runs {after} later gets SIGKILL: {own}{more}")
    });
    let follows = after_reply.as_ref().and_then(|(then, target)| {
        let pid = target.as_ref().ok()?.running.process.pid;
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
            after_reply: killed.or(follows),
            otherwise: None,
            then: then.flatten(),
            target: text::clean(&target_text(facts, signalled.as_ref()), 500),
            timeout: method.timeout,
            protected: service.protected,
        },
        signalled,
        list: Vec::new(),
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
    let (means, signalled, shown) = match (
        signal_target(service, request.offer.action, true, facts),
        command,
    ) {
        (Ok(target), _) => {
            let shown = format!(
                "SIG{} to pid {}",
                signal.as_str(),
                target.running.process.pid
            );
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
        method: ActionSpec::plain(means, request.method.timeout),
        offer: ProposedAction {
            request: shown.clone(),
            after_reply: None,
            ..request.offer.clone()
        },
        signalled,
        list: Vec::new(),
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
    let now = if facts.nothing_there() {
        facts.absence()
    } else {
        format!(
            "{}, and is stopping: it is started once that has ended",
            facts.presence()
        )
    };
    ProposedAction {
        service: service.name.clone(),
        action,
        means: START_COMMAND.to_owned(),
        request: start_command(service).unwrap_or_default(),
        after_reply: None,
        otherwise: None,
        then: None,
        target: text::clean(&now, 300),
        timeout,
        protected: service.protected,
    }
}

/// Returns whether a route or a command stops the service, so that no process of it has to be known.
fn stops_without_signal(service: &Service) -> bool {
    let shutdown = service.actions.shutdown.as_ref();
    shutdown.is_some_and(|it| !matches!(it.means, Means::Signal(_)))
}

/// Refuses a service at whose address somebody else listens, who must not be asked to stop in its place: another program, or a
/// process that is known to be another service's, or to be none of its own because those are known.
///
/// # Errors
/// Which process listens, what contradicts it, and the ways out.
pub(super) fn refuse_foreign(service: &Service, facts: &ServiceFacts) -> Result<(), RefusalReason> {
    let processes = &facts.processes;
    let listening = processes.ownership.unproven.iter();
    let listening: Vec<&UnprovenProcess> = listening.filter(|one| one.listens).collect();
    let Some(first) = listening.first() else {
        return Ok(());
    };
    let of_another = listening.iter().find(|one| one.is_of_another);
    let first = of_another.unwrap_or(first);
    let ways = first.ways_out(service.start.is_some(), stops_without_signal(service));
    match processes.foreign(service) {
        ForeignFinding::Yes(why) if of_another.is_none() => {
            let reason = RefusalReason::new(format!("foreign: {why}"), ways);
            return Err(reason.unless_named(first.nameable()));
        }
        _ => {}
    }
    if listening.len() < processes.owning().len() {
        return Ok(());
    }
    let known = processes
        .leader()
        .map(|one| format!("{} is known to be its own", name(one)));
    let claimed = || match &processes.pid_file {
        Some(PidFile::Names(named)) => Some(match &named.doubt {
            Some(doubt) => doubt.clone(),
            None => format!("its pid file names {}", name(&named.running)),
        }),
        _ => None,
    };
    let why = match of_another {
        Some(one) => Some(one.why.clone()),
        None => known.or_else(claimed),
    };
    let who = first.described();
    why.map_or(Ok(()), |why| {
        let reason = format!("{who}, listens at its address, and {why}");
        Err(RefusalReason::new(reason, ways).unless_named(first.nameable()))
    })
}

/// Returns the one process that a signal may go to first: that of the pid file, else the topmost one that is proved. A reload
/// goes to one that listens itself, as a shell or npm in front of it would end by the signal.
fn signal_target(
    service: &Service,
    action: Action,
    declared: bool,
    facts: &ServiceFacts,
) -> Result<OwnProcess, RefusalReason> {
    let mut own = facts.processes.ownership.own.iter();
    // Of a worker, which has no socket, only the process that has no other one beside it is sure to be meant.
    let is_sole_worker = own.len() == 1 && facts.address == ServiceAddress::Nowhere;
    let may_be_told = |one: &&OwnProcess| {
        action != Action::Reload
            || one.owns
            || is_sole_worker
            || matches!(one.proof, ProcessProof::PidFile | ProcessProof::Named)
    };
    let Some(target) = own.find(may_be_told) else {
        return Err(unproven(service, declared, facts));
    };
    let Err(error) = may_send(target.running.process) else {
        return Ok(target.clone());
    };
    let hint =
        (error == SignalError::NotPermitted).then_some("run healthctl as its user or as root");
    Err(RefusalReason {
        reason: format!("{} cannot be signalled: {error}", name(&target.running)),
        hint: hint.map(str::to_owned),
        nameable: None,
    })
}

/// Says why no process is proved to be the service's own, with what was found and the ways out.
fn unproven(service: &Service, declared: bool, facts: &ServiceFacts) -> RefusalReason {
    let processes = &facts.processes;
    let own = &processes.ownership.own;
    let lead = if declared {
        ""
    } else {
        "it has no shutdown route and no command, and "
    };
    if !own.is_empty() {
        let own = names(own.iter().map(|one| &one.running));
        let reason = format!("none of its processes ({own}) listens at its address itself");
        return RefusalReason::new(
            reason,
            "name its `pid_file`, or reload it by a route or a command",
        );
    }
    if service.supervised && service.pid_file.is_none() {
        let reason = "a supervisor runs it, so no process is known to be its own";
        let hint = "give `actions.shutdown` a route or a command, or name its `pid_file`";
        return RefusalReason::new(reason, hint);
    }
    if let [one, others @ ..] = processes.ownership.unproven.as_slice() {
        let described = others.iter().map(|one| format!("; {}", one.described()));
        // What is wrong with the file is what can be put right.
        let why = match &processes.pid_file {
            Some(PidFile::Unknown(why)) => why,
            _ => &one.why,
        };
        let reason = format!(
            "{lead}its process is not proved to be its own: {}: {why}{}",
            one.described(),
            described.collect::<String>()
        );
        let ways = one.ways_out(service.start.is_some(), stops_without_signal(service));
        // Of several, one that is named would leave the others.
        let nameable = one.nameable().filter(|_| others.is_empty());
        return RefusalReason::new(reason, ways).unless_named(nameable);
    }
    if let Some(pid) = facts.named {
        let listening = match processes.owning() {
            [] => String::new(),
            owners => format!("; {} listens at its address", names(owners)),
        };
        let reason = format!("there is no process {pid}{listening}");
        return RefusalReason::new(reason, "look which process is meant, and name that one");
    }
    let file = service
        .pid_file
        .as_deref()
        .unwrap_or_else(|| "".as_ref())
        .display();
    let why = match &processes.pid_file {
        Some(PidFile::Exited(pid)) => {
            let reason =
                format!("{file} names pid {pid}, which has exited, but the service still answers");
            return RefusalReason::new(reason, "delete the file if it is out of date");
        }
        Some(PidFile::Unknown(why)) => why.clone(),
        Some(PidFile::Names(_) | PidFile::Missing) | None => no_owner(facts),
    };
    let hint =
        "name its `pid_file`, or a route or command under `actions`; or start it with healthctl";
    RefusalReason::new(format!("{lead}its process is not known: {why}"), hint)
}

/// Checks that a signal will not end the process, and will not be ignored: neither would be a reload.
fn handles(target: &OwnProcess, signal: Signal) -> Result<(), RefusalReason> {
    let (name, signal_name) = (name(&target.running), format!("SIG{}", signal.as_str()));
    let reason = match disposition(target.running.process, kernel_signal(signal)) {
        Some(Disposition::Default) => {
            format!("{name} has no handler for {signal_name}: it would end it")
        }
        Some(Disposition::Ignored) => format!("{name} ignores {signal_name}"),
        Some(Disposition::Handled) | None => return Ok(()),
    };
    let hint = "does it reload by another signal, a route or a command?";
    Err(RefusalReason::new(reason, hint))
}

/// Says why no process is known to listen at the address.
fn no_owner(facts: &ServiceFacts) -> String {
    match &facts.processes.owners {
        None => match (facts.pin, &facts.address) {
            (Some(address), _) => format!("{address} is not on this machine"),
            (None, ServiceAddress::Nowhere) => "it has no address".to_owned(),
            (None, ServiceAddress::Proxied(_)) => "it is behind a proxy".to_owned(),
            (None, _) => "nothing answers at its address".to_owned(),
        },
        Some(Owners::Unknown(why)) => why.clone(),
        Some(_) => "no socket of this machine listens at its address".to_owned(),
    }
}

/// Returns address, process and start, as far as each is known.
fn target_text(facts: &ServiceFacts, signalled: Option<&OwnProcess>) -> String {
    let mut parts = Vec::new();
    match (&facts.address, facts.pin) {
        (ServiceAddress::Socket(path), _) => parts.push(path.display().to_string()),
        (ServiceAddress::Proxied(url), _) => parts.push(format!("{url} through a proxy")),
        (_, Some(address)) => parts.push(address.to_string()),
        (ServiceAddress::Name { host, port }, None) => parts.push(format!("{host}:{port}")),
        (ServiceAddress::Nowhere, None) => {}
    }
    let line = signalled.filter(|one| one.proof == ProcessProof::Named);
    let line = line.map(|one| format!("`{}`", one.line));
    let proof = signalled.map(|one| one.proof.to_string());
    let signalled = signalled.map(|one| one.running.clone());
    let sole_head = || match heads(&facts.processes.all()).as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    if let Some(running) = signalled.or_else(sole_head) {
        parts.push(name(&running));
        parts.extend(line);
        if let Some(started) = started_at(running.process) {
            parts.push(format!("started {started:.0}"));
        }
    } else if let Some(start) = facts.identity().start {
        parts.push(format!("started {:.0}", start.at));
    }
    parts.extend(proof);
    if facts.draining {
        parts.push("draining already".to_owned());
    }
    if parts.is_empty() {
        "its process is not known".to_owned()
    } else {
        parts.join(", ")
    }
}
