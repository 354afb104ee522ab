//! Which process answers: the same as before, a new one, or two in turn.

use std::collections::VecDeque;

use crate::health::{Identity, Moment, Outcome, Sameness, Start};

/// As many answers as are remembered: an identity seen in them is not new.
const LATEST: usize = 10;
/// The tolerance of a start that is derived from an uptime.
const UPTIME_TOLERANCE: std::time::Duration = std::time::Duration::from_secs(2);

/// A number for each process that was told from the others.
pub(super) type ProcessId = u32;

/// AnsweredBy answer it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnsweredBy {
    /// Nothing says that it is another process than before.
    Same {
        /// A strong signal proves it.
        proved: bool,
    },
    /// A process that was seen in the latest answers, in turn with another.
    Other,
    /// A process not seen before.
    New,
    /// A process that is gone by now: the probe began before its successor answered.
    Late,
}

/// The processes that gave the latest answers.
#[derive(Debug)]
pub(super) struct Processes {
    known: Vec<(ProcessId, Identity)>,
    current: ProcessId,
    /// The number of the process told last.
    newest: ProcessId,
    /// The processes that gave the latest answers, oldest first.
    answers: VecDeque<ProcessId>,
    /// When the question was asked by whose answer the current process became known.
    current_since: Option<Moment>,
}

impl Processes {
    pub(super) fn new() -> Self {
        Self {
            known: vec![(0, Identity::default())],
            current: 0,
            newest: 0,
            answers: VecDeque::new(),
            current_since: None,
        }
    }

    /// The number of the process that answers.
    pub(super) const fn current(&self) -> ProcessId {
        self.current
    }

    /// When it was first asked, where another answered before it.
    pub(super) const fn current_since(&self) -> Option<Moment> {
        self.current_since
    }

    /// All that is known of the process that answers.
    pub(super) fn identity(&self) -> Identity {
        self.get(self.current).cloned().unwrap_or_default()
    }

    /// Returns the start of the process that answers.
    pub(super) fn start(&self) -> Option<Start> {
        self.get(self.current).and_then(|identity| identity.start)
    }

    /// Takes in who answered a question that was asked at `asked`.
    pub(super) fn answered(&mut self, identity: &Identity, asked: Moment) -> AnsweredBy {
        let sameness = self.compare_with_current(identity);
        if sameness != Sameness::New {
            self.see(self.current, identity);
            return AnsweredBy::Same {
                proved: sameness == Sameness::Same,
            };
        }
        if self
            .current_since
            .is_some_and(|since| asked.mono <= since.mono)
        {
            return AnsweredBy::Late;
        }
        let seen = self.known.iter().find(|(id, known)| {
            self.answers.contains(id)
                && known.shares_signal_with(identity)
                && Identity::compare(known, identity).sameness != Sameness::New
        });
        if let Some(&(id, _)) = seen {
            self.current = id;
            self.see(id, identity);
            return AnsweredBy::Other;
        }
        self.new_process(identity, asked);
        AnsweredBy::New
    }

    /// The process is known to be another one (unless a signal proves that it is not): true where it is taken so.
    pub(super) fn succeeded_by(&mut self, identity: &Identity, asked: Moment) -> bool {
        if self.compare_with_current(identity) == Sameness::Same {
            self.see(self.current, identity);
            return false;
        }
        self.new_process(identity, asked);
        true
    }

    /// Returns whether two processes answer in turn: one of the latest answers came from a process that another had replaced.
    pub(super) fn alternate(&self) -> bool {
        let mut relieved: Vec<ProcessId> = Vec::new();
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

    fn get(&self, id: ProcessId) -> Option<&Identity> {
        self.known
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, identity)| identity)
    }

    fn compare_with_current(&self, identity: &Identity) -> Sameness {
        self.get(self.current).map_or(Sameness::Unknown, |current| {
            Identity::compare(current, identity).sameness
        })
    }

    fn new_process(&mut self, identity: &Identity, asked: Moment) {
        self.newest = self.newest.wrapping_add(1);
        self.current = self.newest;
        self.known.push((self.current, Identity::default()));
        self.current_since = Some(asked);
        self.see(self.current, identity);
    }

    fn see(&mut self, id: ProcessId, identity: &Identity) {
        if let Some((_, known)) = self.known.iter_mut().find(|(known, _)| *known == id) {
            known.absorb(identity);
        }
        if identity.is_telling() {
            if self.answers.len() == LATEST {
                self.answers.pop_front();
            }
            self.answers.push_back(id);
        }
        let (answers, current) = (&self.answers, self.current);
        self.known
            .retain(|(known, _)| *known == current || answers.contains(known));
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
        tolerance: UPTIME_TOLERANCE.saturating_add(outcome.latency.unwrap_or_default()),
        derived: true,
    });
    identity.start = reading.started.or(identity.start).or(derived);
    identity.instance = reading.instance.clone().or(identity.instance);
    identity.version = reading.version.clone().or(identity.version);
    let counts = reading
        .dependencies
        .iter()
        .flatten()
        .flat_map(|dependency| {
            dependency
                .success_count
                .into_iter()
                .chain(dependency.failure_count)
        });
    identity.counted = counts
        .fold(None, |sum: Option<u64>, count| {
            Some(sum.unwrap_or(0).saturating_add(count))
        })
        .or(identity.counted);
    identity
}
