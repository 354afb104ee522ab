//! What proves that a service has stopped: looks at its addresses and processes and answers of its own go in,
//! a verdict comes out when it is certain, or when the time is up.
//!
//! A reply proves nothing here, silence proves nothing, and one look is no look.

mod end;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Verdict;
use crate::health::Moment;

pub(super) use end::list;
pub use end::{NOTHING_TO_LOOK_AT, WOULD_SHOW};

/// Between the first and the last of the looks that prove an end.
pub const APART: Duration = Duration::from_millis(100);
/// A service that turned the request down and still answers this much later has not taken it.
const TURNED_DOWN: Duration = Duration::from_secs(1);
/// What came back without anything that tells who it is has come back after this.
const SETTLED: Duration = Duration::from_secs(1);
/// A stranger has to be seen this often and for this long where the old process cannot be looked at: a balancer
/// may send us to another copy once.
const STRANGER_SEEN: u32 = 3;
const STRANGER_FOR: Duration = Duration::from_millis(300);
/// An answer older than this says nothing about now.
const FRESH: Duration = Duration::from_secs(3);

/// What one look at an address found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing listens: the connection was refused, or the socket file is gone.
    Refused,
    /// Something listens.
    Accepted,
    /// Neither came in time.
    Silent,
    /// No way leads there from here: no such address family, no route, no permission. It proves nothing.
    Unreachable,
}

/// What one look at a process found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Running,
    /// It has exited.
    Exited,
    /// Cannot be told.
    Unknown,
}

/// Who answers, compared with who answered before the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The process that was asked to stop.
    Same,
    /// A process that was not there before.
    New,
    /// The process that was asked to stop, as another program: it has replaced itself.
    Reborn,
    /// Another process, which was there before as well.
    Other,
    /// Nothing tells.
    Unknown,
}

impl Who {
    /// Whether what answers is not what was asked to stop.
    pub(super) const fn is_new(self) -> bool {
        matches!(self, Self::New | Self::Reborn)
    }
}

/// One thing seen after the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// All addresses and processes, looked at together, in the order of [`Subject`].
    Glance {
        /// The addresses.
        addresses: Vec<Look>,
        /// The processes.
        processes: Vec<Life>,
    },
    /// The service answered a question about itself.
    Answer {
        /// It says that it is draining.
        draining: bool,
        /// Who says so.
        who: Who,
    },
    /// An answer that may be a proxy's, who speaks for a service that is gone: its status code.
    Hollow(u16),
    /// The request was turned down: how, e.g. `answered 403 Forbidden`.
    TurnedDown(String),
    /// The time is up.
    TimeUp,
}

/// What the proof is about. The texts are for people and cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Every address that it may listen at.
    pub addresses: Vec<String>,
    /// Every process that is known to be its own: `pid 4711 (api)`.
    pub processes: Vec<String>,
    /// Several processes answer at its address, so another one there proves nothing.
    pub replicas: bool,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It says that it is draining.
    Draining,
    /// Nothing listens any more, but a process still runs.
    Silent,
    /// Nothing listens and no process runs; one more look will prove it.
    Gone,
    /// Something listens again.
    Back,
}

/// What one thing seen has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// A stage reached by it, with a sentence.
    pub stage: Option<(Stage, String)>,
    /// The end.
    pub end: Option<(Verdict, String)>,
}

/// Everything seen since the request was sent, as far as it counts.
#[derive(Debug, Clone)]
pub struct Proof {
    subject: Subject,
    began: Moment,
    /// The latest looks.
    addresses: Vec<Look>,
    processes: Vec<Life>,
    /// The first of an unbroken row of looks that found nothing.
    gone_since: Option<Moment>,
    /// All was gone once, and something listens again since then.
    back_since: Option<Moment>,
    /// Nothing listens, but a process runs.
    silent_since: Option<Moment>,
    /// The latest answer: when, draining, who.
    answer: Option<(Moment, bool, Who)>,
    drained: bool,
    /// The latest answer that may be a proxy's.
    hollow: Option<u16>,
    /// A stranger answers, time after time: since when and how often.
    stranger: Option<(Moment, u32)>,
    turned_down: Option<(Moment, String)>,
}

impl Proof {
    /// Begins when the request is sent.
    pub fn new(subject: Subject, began: Moment) -> Self {
        Self {
            addresses: vec![Look::Silent; subject.addresses.len()],
            processes: vec![Life::Unknown; subject.processes.len()],
            subject,
            began,
            gone_since: None,
            back_since: None,
            silent_since: None,
            answer: None,
            drained: false,
            hollow: None,
            stranger: None,
            turned_down: None,
        }
    }

    /// Takes in one thing seen at `at`.
    pub fn see(&mut self, at: Moment, seen: Seen) -> Turn {
        let mut turn = Turn::default();
        match seen {
            Seen::Glance {
                addresses,
                processes,
            } => {
                self.addresses = addresses;
                self.processes = processes;
                turn.stage = self.glance(at);
            }
            Seen::Answer { draining, who } => {
                self.hollow = None;
                turn.stage = self.hear(at, draining, who);
            }
            Seen::Hollow(code) => self.hollow = Some(code),
            Seen::TurnedDown(how) => self.turned_down = Some((at, how)),
            Seen::TimeUp => {
                turn.end = Some(self.time_up(at));
                return turn;
            }
        }
        turn.end = self.certain(at);
        turn
    }

    /// Whether neither an address nor a process is known: no look will ever show anything.
    pub const fn is_blind(&self) -> bool {
        self.subject.addresses.is_empty() && self.subject.processes.is_empty()
    }

    /// Whether the looks so far want another one soon, even when the time is up: one has found nothing.
    pub const fn almost(&self) -> bool {
        self.gone_since.is_some()
    }

    /// Whether any known process was still running at the latest look.
    pub fn runs(&self) -> bool {
        self.processes.contains(&Life::Running)
    }

    /// Whether its latest answer says that it is draining.
    pub fn drains(&self) -> bool {
        self.answer
            .is_some_and(|(_, draining, who)| draining && !who.is_new())
    }

    /// Whether all known processes have exited, and there are some.
    pub fn exited(&self) -> bool {
        !self.processes.is_empty() && self.processes.iter().all(|life| *life == Life::Exited)
    }

    /// Whether any address accepted at the latest look.
    pub fn accepts(&self) -> bool {
        self.addresses.contains(&Look::Accepted)
    }

    /// Whether every address that can be reached refuses, and there is one; a service without addresses
    /// has nothing that could answer.
    fn refused(&self) -> bool {
        let refuses = |look: &Look| matches!(look, Look::Refused | Look::Unreachable);
        self.addresses.is_empty()
            || (self.addresses.iter().all(refuses) && self.addresses.contains(&Look::Refused))
    }

    fn glance(&mut self, at: Moment) -> Option<(Stage, String)> {
        if self.refused() && !self.runs() && !self.is_blind() {
            self.back_since = None;
            if self.gone_since.is_none() {
                self.gone_since = Some(at);
                return Some((Stage::Gone, self.nothing_left()));
            }
            return None;
        }
        if self.gone_since.take().is_some() && self.accepts() {
            self.back_since = Some(at);
            return Some((
                Stage::Back,
                format!("{} accepts connections again", self.accepting()),
            ));
        }
        if self.refused() && self.silent_since.is_none() && !self.addresses.is_empty() {
            self.silent_since = Some(at);
            return Some((
                Stage::Silent,
                format!("{}, {}", self.refusal(), self.running()),
            ));
        }
        if self.accepts() {
            self.silent_since = None;
        }
        None
    }

    fn hear(&mut self, at: Moment, draining: bool, who: Who) -> Option<(Stage, String)> {
        self.answer = Some((at, draining, who));
        match who {
            Who::New | Who::Reborn => {
                let (since, times) = self.stranger.unwrap_or((at, 0));
                self.stranger = Some((since, times.saturating_add(1)));
            }
            Who::Same => {
                self.stranger = None;
                // Its listener was closed for a moment; the process never was.
                self.back_since = None;
            }
            Who::Other => self.stranger = None,
            Who::Unknown => {}
        }
        if draining && !self.drained && !who.is_new() {
            self.drained = true;
            return Some((Stage::Draining, "draining".to_owned()));
        }
        None
    }
}
