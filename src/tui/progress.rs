//! How far an action on a service has come: its steps while it is under way, its account at its end.

use std::time::Duration;

use crate::action::{Action, Verdict};
use crate::event::{ActionResult, ActionStep};
use crate::health::{Moment, Picture, State};

/// As many steps are kept: one that is never ready says what is missing again and again.
const KEPT: usize = 100;
/// An end that is good news stands above the rest for so long.
const GOOD_NEWS: Duration = Duration::from_secs(60);
/// One that somebody should look at stands there longer.
const BAD_NEWS: Duration = Duration::from_secs(3_600);

/// Two accounts of one start may differ by so much: each is rounded, or worked out from an uptime.
const ROUNDED: Duration = Duration::from_secs(2);

/// How far an action on a service has come.
#[derive(Debug)]
pub(crate) struct Progress {
    /// What is being done.
    pub(crate) action: Action,
    /// When it was confirmed or, once that is known, when it began.
    pub(crate) since: Moment,
    /// It has been confirmed and others come before it.
    pub(crate) waits: bool,
    /// What has happened, oldest first.
    pub(crate) steps: Vec<ActionStep>,
    /// How it ended.
    pub(crate) ended: Option<Box<ActionResult>>,
}

impl Progress {
    /// Somebody has agreed to it.
    pub(crate) const fn confirmed(action: Action, at: Moment, waits: bool) -> Self {
        Self {
            action,
            since: at,
            waits,
            steps: Vec::new(),
            ended: None,
        }
    }

    /// Whether it is under way, or waits for its turn.
    pub(crate) const fn runs(&self) -> bool {
        self.ended.is_none()
    }

    /// Takes in a step.
    pub(crate) fn step(&mut self, step: ActionStep) {
        if self.steps.is_empty() {
            self.since = step.at.minus(step.elapsed);
        }
        self.waits = false;
        if self.steps.len() == KEPT {
            self.steps.remove(0);
        }
        self.steps.push(step);
    }

    /// Takes in its end.
    pub(crate) fn end(&mut self, done: Box<ActionResult>) {
        self.waits = false;
        self.ended = Some(done);
    }

    /// Whether its end has become history: good news grow old, and what was proved of a process says nothing of the
    /// one that came after it.
    pub(crate) fn is_history(&self, picture: &Picture, now: Moment) -> bool {
        let Some(done) = &self.ended else {
            return false;
        };
        let news = if done.verdict.exit_code() == 0 {
            GOOD_NEWS
        } else {
            BAD_NEWS
        };
        now.since(done.at) > news || is_back(done, picture) || is_another(done, picture)
    }
}

/// An action that has ended otherwise than it was meant to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was begun, and its effect was disproved, not verified, or too late.
    Failed,
    /// It was agreed to and not begun.
    NotDone,
}

impl Failure {
    /// How this has failed, if it has.
    pub(crate) fn of(done: &ActionResult) -> Option<Self> {
        match done.verdict {
            verdict if verdict.exit_code() == 0 => None,
            Verdict::Refused => Some(Self::NotDone),
            _ => Some(Self::Failed),
        }
    }

    /// The word in the row of its service.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NotDone => "not done",
        }
    }
}

/// What had stopped answers again.
fn is_back(done: &ActionResult, picture: &Picture) -> bool {
    let stopped = matches!(
        done.verdict,
        Verdict::Stopped | Verdict::NotListening | Verdict::AlreadyStopped
    );
    let answers = !matches!(
        picture.state,
        State::Stopped | State::Draining | State::Unknown | State::Unhealthy
    );
    stopped && answers && picture.since.mono > done.at.mono
}

/// The process is another one than that which answered at the end.
fn is_another(done: &ActionResult, picture: &Picture) -> bool {
    let Some(after) = &done.details.after else {
        return false;
    };
    let pid = picture.identity.process.map(|process| process.pid);
    if let (Some(then), Some(now)) = (after.pid, pid) {
        return then != now;
    }
    match (after.started_at, picture.started) {
        (Some(then), Some(now)) => {
            let apart = now.at.duration_since(then).unsigned_abs();
            apart > now.tolerance.saturating_add(ROUNDED)
        }
        _ => false,
    }
}
