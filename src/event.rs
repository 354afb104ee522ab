//! Everything that the effects can tell, in one enum: what a face folds into what it shows.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::action::{Action, Verdict};
use crate::health::{Change, Moment, Part, Picture};

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The newest picture of a service; `changed` is empty where only figures moved.
    Picture {
        /// The picture.
        picture: Arc<Picture>,
        /// What is different from the last one told.
        changed: Vec<Change>,
    },
    /// How the schedule is kept, told once a second at the most.
    Load(Load),
    /// A step of an action.
    Step(Step),
    /// The end of an action on one service.
    Done(Box<Done>),
    /// A remark for people that belongs to no probe (an inventory was read again, …).
    Notice {
        /// When.
        at: Moment,
        /// A sentence.
        text: String,
    },
}

/// How the engine keeps up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Probes asked since the start.
    pub asked: u64,
    /// Grid points passed over because the probe before was still under way.
    pub skipped: u64,
    /// Probes under way now.
    pub in_flight: usize,
    /// The largest lateness of the last minute: from the time a probe was due to its start.
    pub worst_lateness: Duration,
}

/// A step of an action under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The service.
    pub service: String,
    /// What is being done.
    pub action: Action,
    /// Which step.
    pub kind: StepKind,
    /// A sentence about it: `draining, 3 in flight`, `gone after 2.1 s`. Cleaned.
    pub text: String,
    /// Since the action began.
    pub elapsed: Duration,
    /// When.
    pub at: Moment,
}

/// Which step of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// The identity is being read.
    Identifying,
    /// The request or signal is being sent.
    Sending,
    /// It was taken.
    Accepted,
    /// It drains.
    Draining,
    /// Nothing answers any more; the process is being waited for.
    Silent,
    /// The process is gone.
    Gone,
    /// A new process was started.
    Started,
    /// It answers that it is ready.
    Ready,
    /// It is another process than before.
    Proved,
    /// Something worth knowing, without a step forward.
    Remark,
}

/// Who answered, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Party {
    /// The address that it answered at.
    pub address: Option<String>,
    /// Its process, where that is on this machine.
    pub pid: Option<u32>,
    /// When the kernel started that, RFC 3339, UTC.
    pub process_started_at: Option<Timestamp>,
    /// Its own name for its process.
    pub instance: Option<String>,
    /// When it says that it started, RFC 3339, UTC.
    pub started_at: Option<Timestamp>,
    /// Its version.
    pub version: Option<String>,
}

/// How long each part of an action took, as far as it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// From the request until its end was proved.
    pub drain: Option<Duration>,
    /// From its end, or the beginning, until its program ran.
    pub start: Option<Duration>,
    /// From there until it was ready and proved to be the one.
    pub ready: Option<Duration>,
}

/// What else is known of an action that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who answered before it.
    pub before: Option<Party>,
    /// Who answered after it.
    pub after: Option<Party>,
    /// How long its parts took.
    pub times: Times,
    /// The first and the last lines that a service wrote that did not come up. Cleaned.
    pub log: Vec<String>,
    /// It was refused because another healthctl acted on it.
    pub busy: bool,
}

/// The end of an action on one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The service.
    pub service: String,
    /// What was done.
    pub action: Action,
    /// What was proved.
    pub verdict: Verdict,
    /// Why, with the evidence: one line, cleaned.
    pub text: String,
    /// Signals that were weighed, a line each.
    pub evidence: Vec<String>,
    /// What a reload did with each part of the configuration, as far as the service told. Cleaned.
    pub parts: Vec<Part>,
    /// Who answered before and after, how long it took, what it wrote.
    pub facts: Facts,
    /// Since the action began.
    pub elapsed: Duration,
    /// When.
    pub at: Moment,
}
