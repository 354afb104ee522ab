//! Which process answers: the same as before, a new one, or two in turn.

use std::collections::{BTreeMap, VecDeque};

use crate::health::{Identity, LocalProcess, Moment, Outcome, Sameness, Start};

/// As many answers as are remembered: an identity seen in them is not new.
const LATEST: usize = 10;

/// A number of our own for each process told apart; not a pid.
pub(super) type InstanceNumber = u32;

/// The process that gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnsweredBy {
    /// The same process as before, or one of those that answer in turn.
    Known {
        /// A strong signal proves it.
        proved: bool,
    },
    /// A process not seen before.
    New,
    /// A process that is gone by now: the probe began before its successor answered.
    Late,
}

/// The processes that gave the latest answers.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: BTreeMap<InstanceNumber, Identity>,
    /// The number of the process that answers.
    pub(super) current: InstanceNumber,
    /// The number of the process told last.
    newest: InstanceNumber,
    /// The processes that gave the latest answers, oldest first.
    answers: VecDeque<InstanceNumber>,
    /// When the current process was first asked, where another answered before it.
    pub(super) current_since: Option<Moment>,
    /// The process that was seen last on this machine, and the program that it runs.
    on_host: Option<(LocalProcess, u64)>,
    /// Set where another process was told by an answer since then.
    told_new: bool,
    /// Set where the start that is reported differs though the process seen on this machine is the same: it is no signal.
    start_wanders: bool,
}

impl Processes {
    /// All that is known of the process that answers.
    pub(super) fn identity(&self) -> Identity {
        self.known.get(&self.current).cloned().unwrap_or_default()
    }

    /// Returns the start of the process that answers.
    pub(super) fn start(&self) -> Option<Start> {
        self.known.get(&self.current)?.start
    }

    /// Takes in which process was seen on this machine. One that is still the same, and runs the same program, is not new,
    /// whatever it reports.
    pub(super) fn seen_on_host(&mut self, seen: Option<(LocalProcess, u64)>) {
        let told_new = std::mem::take(&mut self.told_new);
        if seen.is_none() || seen != self.on_host {
            self.start_wanders = false;
        } else if told_new {
            self.start_wanders = true;
        }
        self.on_host = seen;
    }

    /// Returns the note on a start that is no signal.
    pub(super) fn start_note(&self) -> Option<String> {
        let (process, _) = self.on_host.filter(|_| self.start_wanders)?;
        Some(format!(
            "the start that it reports differs from answer to answer and is no signal: pid {} is the same process",
            process.pid
        ))
    }

    /// Takes in who answered a question that was asked at `asked`.
    pub(super) fn answered(&mut self, identity: &Identity, asked: Moment) -> AnsweredBy {
        let steady = self.start_wanders.then(|| Identity {
            start: None,
            ..identity.clone()
        });
        let identity = steady.as_ref().unwrap_or(identity);
        let sameness = self.compare_with_current(identity);
        if sameness != Sameness::New {
            self.see(self.current, identity);
            return AnsweredBy::Known {
                proved: sameness == Sameness::Same,
            };
        }
        let since = self.current_since;
        if since.is_some_and(|since| asked.mono <= since.mono) {
            return AnsweredBy::Late;
        }
        let seen = self.known.iter().find(|(id, known)| {
            self.answers.contains(id)
                && known.shares_signal_with(identity)
                && Identity::compare(known, identity).sameness != Sameness::New
        });
        if let Some((&id, _)) = seen {
            self.current = id;
            self.see(id, identity);
            return AnsweredBy::Known { proved: true };
        }
        // A second new process while the one on this machine was not seen to change: what differs is only what it reports.
        if self.told_new && self.on_host.is_some() && !self.start_wanders {
            self.start_wanders = true;
            return self.answered(identity, asked);
        }
        self.new_process(identity, asked);
        self.told_new = true;
        AnsweredBy::New
    }

    /// The process is known to be another one, unless a signal proves that it is not.
    pub(super) fn succeeded_by(&mut self, identity: &Identity, asked: Moment) {
        if self.compare_with_current(identity) == Sameness::Same {
            self.see(self.current, identity);
        } else {
            self.new_process(identity, asked);
        }
    }

    /// Returns whether two processes answer in turn: one of the latest answers came from a process that another had replaced.
    pub(super) fn alternate(&self) -> bool {
        let mut relieved: Vec<InstanceNumber> = Vec::new();
        let mut before = None;
        for &id in &self.answers {
            if before != Some(id) {
                if relieved.contains(&id) {
                    return true;
                }
                relieved.extend(before);
                before = Some(id);
            }
        }
        false
    }

    fn compare_with_current(&self, identity: &Identity) -> Sameness {
        let current = self.known.get(&self.current);
        current.map_or(Sameness::Unknown, |current| {
            Identity::compare(current, identity).sameness
        })
    }

    fn new_process(&mut self, identity: &Identity, asked: Moment) {
        self.newest = self.newest.wrapping_add(1);
        self.current = self.newest;
        self.current_since = Some(asked);
        self.see(self.current, identity);
    }

    fn see(&mut self, id: InstanceNumber, identity: &Identity) {
        self.known.entry(id).or_default().absorb(identity);
        if identity.is_telling() {
            if self.answers.len() == LATEST {
                self.answers.pop_front();
            }
            self.answers.push_back(id);
        }
        let (answers, current) = (&self.answers, self.current);
        self.known
            .retain(|known, _| *known == current || answers.contains(known));
    }
}

/// All signals that an outcome carries of who answered.
pub(super) fn identity_of(outcome: &Outcome) -> Identity {
    let mut identity = outcome.identity.clone().unwrap_or_default();
    identity.read_at = Some(outcome.at);
    if outcome.address.is_some() {
        identity.address.clone_from(&outcome.address);
    }
    let Some(reading) = &outcome.reading else {
        return identity;
    };
    let derived = reading.uptime.map(|uptime| Start {
        at: outcome.at.minus(uptime).wall,
        tolerance: Start::UPTIME_TOLERANCE.saturating_add(outcome.latency.unwrap_or_default()),
        derived: true,
    });
    identity.start = reading.started.or(identity.start).or(derived);
    identity.instance = reading.instance.clone().or(identity.instance);
    identity.version = reading.version.clone().or(identity.version);
    identity.counted = reading.counted().or(identity.counted);
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_wanders_makes_no_process_new() {
        let at = Moment::at_seconds;
        let answer = |seconds: f64| Identity {
            start: Some(Start {
                at: at(seconds).wall,
                tolerance: std::time::Duration::from_micros(1),
                derived: false,
            }),
            ..Identity::default()
        };
        let seen = |pid, image| {
            let started = at(0.0).wall;
            Some((LocalProcess { pid, started }, image))
        };
        let mut processes = Processes::default();
        processes.seen_on_host(seen(7, 1));
        processes.answered(&answer(1.0), at(1.0));
        assert_eq!(processes.answered(&answer(2.0), at(2.0)), AnsweredBy::New);
        let known = processes.answered(&answer(3.0), at(3.0));
        assert!(matches!(known, AnsweredBy::Known { .. }), "{known:?}");
        assert!(processes.start_note().is_some());
        // It has called exec, or another process has taken its place.
        for (pid, image, start) in [(7, 2, 10.0), (8, 3, 20.0)] {
            processes.seen_on_host(seen(pid, image));
            assert_eq!(processes.start_note(), None);
            let new = processes.answered(&answer(start), at(start));
            assert_eq!(new, AnsweredBy::New);
        }
    }
}
