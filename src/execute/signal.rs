//! Signals a service's own processes: those that are proved to be its own, and no others. `host` and `probe/exec` end only
//! children of their own.

use rustix::process::Signal;

use super::facts::{ProcessFacts, name};
use crate::health::Process;
use crate::host::RunningProcess;
use crate::host::signals::{self, SignalError};

/// The proof that a process is the service's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProcessProof {
    /// The record of its start names it.
    Record,
    /// It runs in the session that was made for the process on record.
    Session,
    /// The pid file names it.
    PidFile,
    /// The listening socket at the service's address is its own.
    AddressOwner,
}

/// A process that is proved to be the service's own. Only [`ProvenTarget::all`] makes one.
#[derive(Debug, Clone)]
pub(super) struct ProvenTarget {
    running: RunningProcess,
    proof: ProcessProof,
}

impl ProvenTarget {
    /// Returns every process that the facts prove to be the service's own, each once, the one to signal first in front.
    pub(super) fn all(facts: &ProcessFacts) -> Vec<Self> {
        let leader = facts.record.as_ref().map(|record| record.process);
        let recorded = facts.recorded().map(|running| {
            let is_leader = leader == Some(running.process);
            let proof = if is_leader {
                ProcessProof::Record
            } else {
                ProcessProof::Session
            };
            (running, proof)
        });
        let with = |proof| move |running: &RunningProcess| (running.clone(), proof);
        let in_pid_file = facts.in_pid_file().map(with(ProcessProof::PidFile));
        let owning = facts.owning().iter().map(with(ProcessProof::AddressOwner));
        let session = facts.session();
        let session = session.iter().map(with(ProcessProof::Session));
        let known = recorded.into_iter().chain(in_pid_file);
        let mut all: Vec<Self> = Vec::new();
        for (running, proof) in known.chain(owning).chain(session) {
            if all.iter().all(|one| one.running.process != running.process) {
                all.push(Self { running, proof });
            }
        }
        all
    }

    /// Returns what still runs of the session that was made for the service, without the process on record.
    pub(super) fn left_in_session(facts: &ProcessFacts) -> Vec<Self> {
        let session = facts.session();
        let is_left = |target: &Self| session.iter().any(|one| one.process == target.process());
        Self::all(facts).into_iter().filter(is_left).collect()
    }

    pub(super) const fn running(&self) -> &RunningProcess {
        &self.running
    }

    pub(super) const fn process(&self) -> Process {
        self.running.process
    }

    pub(super) const fn proof(&self) -> ProcessProof {
        self.proof
    }

    /// Checks whether a signal could be sent to it.
    ///
    /// # Errors
    /// Why none could be.
    pub(super) fn accepts_signals(&self) -> Result<(), SignalError> {
        signals::may_send(self.running.process)
    }
}

/// Sends a signal to the process, never to another one that has been given its pid since.
///
/// # Errors
/// Why it was not delivered.
pub(super) fn send_signal(target: &ProvenTarget, signal: Signal) -> Result<(), SignalError> {
    signals::send(target.running.process, signal)
}

/// Sends a signal to each of the processes, and returns why it was not delivered where one still runs, a line each.
pub(super) fn send_to_all(targets: &[ProvenTarget], signal: Signal) -> Vec<String> {
    let sent = signal_name(signal);
    targets
        .iter()
        .filter_map(|target| match send_signal(target, signal) {
            Ok(()) | Err(SignalError::Gone) => None,
            Err(error) => {
                let name = name(&target.running);
                Some(format!("{sent} could not be sent to {name}: {error}"))
            }
        })
        .collect()
}

/// Returns the name of SIGTERM or SIGKILL.
pub(super) fn signal_name(signal: Signal) -> &'static str {
    if signal == Signal::KILL {
        "SIGKILL"
    } else {
        "SIGTERM"
    }
}

/// Returns the names of the processes: `pid 4711 (api), pid 4712 (api)`.
pub(super) fn target_names(targets: &[ProvenTarget]) -> String {
    super::facts::names(targets.iter().map(ProvenTarget::running))
}
