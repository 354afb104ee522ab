//! The only sender of signals: a signal goes to a process that is proved to be the service's own, and to no other.

use std::sync::Arc;

use rustix::process::Signal;

use super::facts::{ProcessFacts, is_shell};
use super::ownership::{OwnProcess, ProcessProof};
use crate::health::Process;
use crate::host::signals::{self, Disposition, ProcessHandle, SignalError, disposition};
use crate::host::{ProcessTraits, RunningProcess};

/// A process that is proved to be the service's own, held open so that no signal can reach another one. Only
/// [`ProvenTarget::all`] makes one.
#[derive(Debug, Clone)]
pub(super) struct ProvenTarget {
    own: OwnProcess,
    handle: Arc<ProcessHandle>,
    term_handling: TermHandling,
}

/// How a process takes SIGTERM, and from whom it can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TermHandling {
    pid: u32,
    parent: u32,
    /// The number of its process group.
    group: u32,
    /// Set where it does not simply end by SIGTERM. In doubt it does not.
    handles: bool,
    /// Set where it is a shell, whose script may signal its whole group.
    is_shell: bool,
}

impl TermHandling {
    fn of(running: &RunningProcess) -> Self {
        let pid = running.process.pid;
        Self {
            pid,
            parent: running.parent,
            group: ProcessTraits::of(pid).group,
            handles: disposition(running.process, Signal::TERM) != Some(Disposition::Default),
            is_shell: is_shell(&running.name),
        }
    }

    /// Returns whether `first`, which was signalled and has gone, may have told this one of `all`, so that it may be draining.
    ///
    /// One without a handler would have ended. A launcher such as npm or make tells its child alone, so a process between
    /// that has no handler ends the chain; but a shell may have told its group, and a supervisor that of its child.
    fn may_have_been_told(&self, first: &Self, all: &[Self]) -> bool {
        if !first.handles || !self.handles {
            return false;
        }
        if first.is_shell || self.group != first.group {
            return true;
        }
        let mut parent = self.parent;
        // A list is as long as a chain can be.
        for _ in all {
            let Some(link) = all.iter().find(|one| one.pid == parent) else {
                return true;
            };
            if link.pid == first.pid {
                return true;
            }
            if !link.handles {
                return false;
            }
            parent = link.parent;
        }
        true
    }
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
                    term_handling: TermHandling::of(&own.running),
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

    /// Returns whether `first`, which was signalled and has gone, may have told this one of the list, so that it may be draining.
    pub(super) fn may_have_been_told(&self, first: &Self, list: &[Self]) -> bool {
        let all: Vec<TermHandling> = list.iter().map(|one| one.term_handling).collect();
        self.term_handling
            .may_have_been_told(&first.term_handling, &all)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `PID<PARENT` with `h` where it has a handler, `s` where it is a shell, `gN` for its group; the first one was signalled.
    fn told(list: &str, pid: u32) -> bool {
        let all: Vec<TermHandling> = list
            .split("; ")
            .map(|one| {
                let mut words = one.split(' ');
                let (pid, parent) = words.next().unwrap().split_once('<').unwrap();
                let words: Vec<&str> = words.collect();
                let group = words.iter().find_map(|word| word.strip_prefix('g'));
                TermHandling {
                    pid: pid.parse().unwrap(),
                    parent: parent.parse().unwrap(),
                    group: group.map_or(10, |group| group.parse().unwrap()),
                    handles: words.contains(&"h"),
                    is_shell: words.contains(&"s"),
                }
            })
            .collect();
        let one = all.iter().find(|one| one.pid == pid).unwrap();
        one.may_have_been_told(&all[0], &all)
    }

    #[test]
    fn who_may_have_been_told_is_left_to_drain() {
        for (list, pid, expected) in [
            // FIELD B4: a leader that passes it on, and its child.
            ("10<1 h; 11<10 h", 11, true),
            ("10<1; 11<10 h", 11, false),
            ("10<1 h; 11<10", 11, false),
            // npm, make: the shell between ends by it and tells nobody.
            ("10<1 h; 11<10; 12<11 h", 12, false),
            ("10<1 h; 11<10 h; 12<11 h", 12, true),
            // A shell may signal its group, a supervisor that of its child.
            ("10<1 h s; 11<10; 12<11 h", 12, true),
            ("10<1 h; 11<10 g11; 12<11 h g11", 12, true),
            // Nothing is known of what was between.
            ("10<1 h; 12<1 h", 12, true),
        ] {
            assert_eq!(told(list, pid), expected, "{list}: {pid}");
        }
    }
}
