//! Provers: observations go in, a verdict comes out as soon as no later observation could change it, or when the time is
//! up.
//!
//! Provers are pure: they look at nothing themselves and read no clock. A reply proves nothing, silence proves nothing, and
//! a single look proves nothing.

mod exit;
mod reload;
mod reload_reply;
mod responder;
mod start;
mod stop;

use std::time::Duration;

use super::Verdict;
use crate::health::Moment;

pub(crate) use exit::ExitProof;
pub(crate) use reload::{ReloadProof, ReloadResponse};
pub(crate) use responder::{Baseline, Responder, ResponderKind};
pub(crate) use start::{
    AddressHolder, ChildExit, Handover, ReadinessProof, StartProof, restart_verdict,
};
pub(crate) use stop::{NOTHING_TO_LOOK_AT, StopProof, WOULD_SHOW};

/// The time between the first and the last of the looks that prove an end.
pub(crate) const LOOKS_APART: Duration = Duration::from_millis(100);

/// Returns whether a status code says that a route has done nothing: it is not offered, not enabled or not allowed.
pub(crate) const fn has_done_nothing(code: u16) -> bool {
    matches!(code, 401 | 403 | 404 | 405 | 501)
}

/// Comes to a verdict from what is observed.
pub(crate) trait Prover {
    /// Takes in one observation made at `at`.
    ///
    /// A prover that gives no end for [`Observation::TimeUp`] is given a moment more for one last look.
    fn observe(&mut self, at: Moment, observation: Observation) -> ProofProgress;

    /// Returns whether an answer of the service could tell more now.
    fn wants_answer(&self) -> bool {
        true
    }

    /// Returns whether an end is in sight, so that every address has to be looked at and none may be taken as known.
    fn nears_end(&self) -> bool {
        false
    }
}

/// An observation while an action is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Observation {
    /// All addresses and processes of the [`ProofSubject`] were looked at together, in its order.
    Look(ProofLook),
    /// The service answered a question about itself.
    Answer {
        draining: bool,
        /// The process that answered, compared with the one before the request.
        responder: ResponderKind,
        /// The evidence for that, a line each.
        evidence: Vec<String>,
    },
    /// The answer may be that of a proxy in front of a service that is gone: its status code.
    GatewayError(u16),
    /// The question was not answered.
    NoAnswer,
    /// The request was rejected: how, e.g. `answered 403 Forbidden`.
    Rejected(String),
    /// The probes that have to pass were asked.
    Readiness {
        /// The probes that have not passed (`ready: answered 503`); empty where the service is ready.
        missing: Vec<String>,
        /// The process that listens at the address.
        holder: AddressHolder,
    },
    /// The time is up.
    TimeUp,
}

/// The result of one look at a [`ProofSubject`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProofLook {
    /// The result for each address.
    pub(crate) addresses: Vec<ConnectOutcome>,
    /// The result for each process.
    pub(crate) processes: Vec<ProcessState>,
    /// The exit of the process that was started here, where it has exited.
    pub(crate) child: Option<ChildExit>,
}

/// The result of one attempt to connect to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectOutcome {
    /// Nothing listens: the connection was refused, or the socket file is gone.
    Refused,
    /// The connection was accepted: something listens.
    Accepted,
    /// Neither came in time.
    TimedOut,
    /// There is no route from here: no such address family, no permission. It proves nothing.
    Unreachable,
}

/// The result of one look at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessState {
    Running,
    Exited,
    /// The state cannot be told.
    Unknown,
}

/// The addresses and processes that a proof is about. All texts are cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProofSubject {
    /// Every address that the service may listen at.
    pub(crate) addresses: Vec<String>,
    /// Every process that is known to be the service's own: `pid 4711 (api)`.
    pub(crate) processes: Vec<String>,
    /// Several processes answer at the address, so another one there proves nothing.
    pub(crate) replicas: bool,
}

/// A stage of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopStage {
    /// The service says that it is draining.
    Draining,
    /// Nothing listens any more, but a process still runs.
    Silent,
    /// Nothing listens and no process runs; one more look will prove it.
    Gone,
    /// The address accepts connections again.
    Back,
}

/// The effect of one observation on a proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProofProgress {
    /// A stage that was reached, with a sentence.
    pub(crate) stage: Option<(StopStage, String)>,
    /// The verdict, with a sentence.
    pub(crate) end: Option<(Verdict, String)>,
}

impl From<Option<(Verdict, String)>> for ProofProgress {
    fn from(end: Option<(Verdict, String)>) -> Self {
        Self { stage: None, end }
    }
}

/// The latest look at a subject, and sentences about it.
#[derive(Debug, Clone)]
struct LatestLook {
    subject: ProofSubject,
    addresses: Vec<ConnectOutcome>,
    processes: Vec<ProcessState>,
}

impl LatestLook {
    fn at(subject: ProofSubject) -> Self {
        Self {
            addresses: vec![ConnectOutcome::TimedOut; subject.addresses.len()],
            processes: vec![ProcessState::Unknown; subject.processes.len()],
            subject,
        }
    }

    fn take(&mut self, look: ProofLook) {
        self.addresses = look.addresses;
        self.processes = look.processes;
    }

    /// Returns whether neither an address nor a process is known: no look will ever show anything.
    const fn is_blind(&self) -> bool {
        self.subject.addresses.is_empty() && self.subject.processes.is_empty()
    }

    /// Returns whether any process runs.
    fn runs(&self) -> bool {
        self.processes.contains(&ProcessState::Running)
    }

    /// Returns whether all processes have exited, and there are some.
    fn exited(&self) -> bool {
        !self.processes.is_empty() && all_exited(&self.processes)
    }

    /// Returns whether any address accepts.
    fn accepts(&self) -> bool {
        self.addresses.contains(&ConnectOutcome::Accepted)
    }

    /// Returns whether every address that can be reached refuses, and there is one; a subject without addresses has nothing that
    /// could answer.
    fn refuses(&self) -> bool {
        self.addresses.is_empty() || all_refuse(&self.addresses)
    }

    /// Returns `127.0.0.1:8000 refuses connections`.
    fn refusing(&self) -> String {
        let refusing = self.addresses_with(ConnectOutcome::Refused);
        let verb = agree(&refusing, "refuses", "refuse");
        format!("{} {verb} connections", list(&refusing))
    }

    /// The addresses that accept; all of them where none does.
    fn accepting(&self) -> String {
        let accepting = self.addresses_with(ConnectOutcome::Accepted);
        if accepting.is_empty() {
            list(&self.subject.addresses)
        } else {
            list(&accepting)
        }
    }

    /// `pid 4711 (api) has exited`
    fn exits(&self) -> String {
        let processes = &self.subject.processes;
        let verb = agree(processes, "has", "have");
        format!("{} {verb} exited", list(processes))
    }

    /// `pid 4711 (api) still runs`
    fn running(&self) -> String {
        let names = &self.subject.processes;
        let running = names_with(names, &self.processes, &ProcessState::Running);
        let verb = agree(&running, "runs", "run");
        format!("{} still {verb}", list(&running))
    }

    fn addresses_with(&self, wanted: ConnectOutcome) -> Vec<String> {
        names_with(&self.subject.addresses, &self.addresses, &wanted)
    }
}

/// Returns the names whose result is the one that is wanted.
fn names_with<T: PartialEq>(names: &[String], results: &[T], wanted: &T) -> Vec<String> {
    let pairs = names.iter().zip(results);
    let wanted = pairs.filter(|(_, result)| *result == wanted);
    wanted.map(|(name, _)| name.clone()).collect()
}

/// Returns whether every address that can be reached refuses, and there is one.
pub(crate) fn all_refuse(addresses: &[ConnectOutcome]) -> bool {
    use ConnectOutcome::{Refused, Unreachable};
    let refuses = |outcome: &ConnectOutcome| matches!(outcome, Refused | Unreachable);
    addresses.contains(&Refused) && addresses.iter().all(refuses)
}

fn all_exited(processes: &[ProcessState]) -> bool {
    let mut states = processes.iter();
    states.all(|state| *state == ProcessState::Exited)
}

/// Returns the verb that goes with so many items.
const fn agree(items: &[String], one: &'static str, several: &'static str) -> &'static str {
    if items.len() == 1 { one } else { several }
}

/// `a`, `a and b`, `a, b and c`
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
