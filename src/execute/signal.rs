//! The only sender of signals: a signal goes to a process that is proved to be the service's own, and to no other.

use std::sync::Arc;

use rustix::process::Signal;

use super::facts::ProcessFacts;
use super::ownership::{OwnProcess, ProcessProof};
use crate::health::Process;
use crate::host::RunningProcess;
use crate::host::signals::{self, Disposition, ProcessHandle, SignalError, disposition};

/// A process that is proved to be the service's own, held open so that no signal can reach another one. Only
/// [`ProvenTarget::all`] makes one.
#[derive(Debug, Clone)]
pub(super) struct ProvenTarget {
    own: OwnProcess,
    handle: Arc<ProcessHandle>,
}

impl ProvenTarget {
    /// Opens every process that is decided to be the service's own, the one to signal first in front. One that has gone
    /// meanwhile needs no signal.
    ///
    /// # Errors
    /// A process cannot be held open, so that a signal could reach another one: which, and why.
    pub(super) fn all(facts: &ProcessFacts) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for own in &facts.ownership.own {
            match ProcessHandle::open(own.running.process) {
                Ok(handle) => all.push(Self {
                    own: own.clone(),
                    handle: Arc::new(handle),
                }),
                Err(SignalError::Gone) => {}
                Err(why) => {
                    let name = super::facts::name(&own.running);
                    return Err(format!("{name} cannot be signalled: {why}"));
                }
            }
        }
        Ok(all)
    }

    pub(super) const fn running(&self) -> &RunningProcess {
        &self.own.running
    }

    pub(super) const fn process(&self) -> Process {
        self.own.running.process
    }

    pub(super) const fn proof(&self) -> ProcessProof {
        self.own.proof
    }

    /// Returns whether another one of the service's processes has started it.
    pub(super) const fn is_below(&self) -> bool {
        self.own.is_below
    }

    /// Checks whether a signal could be sent to it.
    ///
    /// # Errors
    /// Why none could be.
    pub(super) fn accepts_signals(&self) -> Result<(), SignalError> {
        signals::may_send(self.process())
    }

    /// Returns whether it may pass SIGTERM on to the others: it does not simply end by it. In doubt it may.
    pub(super) fn may_pass_on(&self) -> bool {
        disposition(self.process(), Signal::TERM) != Some(Disposition::Default)
    }

    /// Returns pid, name and command line.
    pub(super) fn described(&self) -> String {
        let name = super::facts::name(&self.own.running);
        if self.own.line.is_empty() {
            name
        } else {
            format!("{name}, `{}`", self.own.line)
        }
    }
}

/// Sends a signal to the process, never to another one that has been given its pid since.
///
/// # Errors
/// Why it was not delivered.
pub(super) fn send_signal(target: &ProvenTarget, signal: Signal) -> Result<(), SignalError> {
    target.handle.send(signal)
}

/// Sends a signal to each of the processes, and returns why it was not delivered where one still runs, a line each.
pub(super) fn send_to_all(targets: &[ProvenTarget], signal: Signal) -> Vec<String> {
    let sent = signal_name(signal);
    targets
        .iter()
        .filter_map(|target| match send_signal(target, signal) {
            Ok(()) | Err(SignalError::Gone) => None,
            Err(error) => {
                let name = super::facts::name(target.running());
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
