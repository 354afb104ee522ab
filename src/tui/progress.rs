//! The action on a service as the dashboard knows it: its steps while it runs, its result at the end.

use std::time::Duration;

use crate::action::{Action, Verdict};
use crate::event::{ActionResult, ActionStep, StepKind};
use crate::health::{Moment, ServiceSnapshot, Start, State};

/// The largest number of steps kept: a start that is never ready reports again and again what is missing.
const KEPT: usize = 100;
/// The time for which a success is shown first.
const SUCCESS_SHOWN: Duration = Duration::from_secs(60);
/// The time for which a failure is shown first.
const FAILURE_SHOWN: Duration = Duration::from_secs(3_600);

/// The latest action on one service.
#[derive(Debug)]
pub(crate) struct ActionProgress {
    pub(crate) action: Action,
    /// When the action was confirmed or, once that is known, when it began.
    pub(crate) since: Moment,
    /// The action is confirmed, and others come before it.
    pub(crate) waits: bool,
    /// The stop was asked for, and nothing was started since.
    is_stopping: bool,
    /// A person has agreed to kill what does not end.
    pub(crate) is_being_killed: bool,
    /// The steps, oldest first.
    pub(crate) steps: Vec<ActionStep>,
    pub(crate) ended: Option<Box<ActionResult>>,
}

impl ActionProgress {
    /// Returns the progress of an action that was confirmed at `at`.
    pub(crate) const fn confirmed(action: Action, at: Moment, waits: bool) -> Self {
        Self {
            action,
            since: at,
            waits,
            is_stopping: false,
            is_being_killed: false,
            steps: Vec::new(),
            ended: None,
        }
    }

    /// Returns whether the service may be killed: a stop of it waits, or has not stopped it.
    pub(crate) fn may_be_killed(&self) -> bool {
        let stops = matches!(
            self.action,
            Action::Shutdown | Action::Schedule | Action::Restart
        );
        let goes_on = match self.ended.as_deref() {
            None => self.is_stopping && !self.is_being_killed,
            // What was started since is another process than the one that was to stop.
            Some(result) => result.details.times.start.is_none() && has_left_it(result.verdict),
        };
        stops && goes_on
    }

    /// Returns whether the action has not ended yet.
    pub(crate) const fn runs(&self) -> bool {
        self.ended.is_none()
    }

    pub(crate) fn step(&mut self, step: ActionStep) {
        if self.steps.is_empty() {
            self.since = step.at.minus(step.elapsed);
        }
        self.waits = false;
        match step.kind {
            StepKind::Sending => self.is_stopping = true,
            StepKind::Started => self.is_stopping = false,
            _ => {}
        }
        if self.steps.len() == KEPT {
            self.steps.remove(0);
        }
        self.steps.push(step);
    }

    pub(crate) fn end(&mut self, result: Box<ActionResult>) {
        self.waits = false;
        self.ended = Some(result);
    }

    /// Returns whether the result no longer says how the service is: after a while, or when another process answers.
    pub(crate) fn is_history(&self, snapshot: &ServiceSnapshot, now: Moment) -> bool {
        let Some(result) = &self.ended else {
            return false;
        };
        let shown = if result.verdict.exit_code() == 0 {
            SUCCESS_SHOWN
        } else {
            FAILURE_SHOWN
        };
        now.since(result.at) > shown || is_back(result, snapshot) || is_another(result, snapshot)
    }
}

/// Returns whether a stop that has ended so has left the service running, as far as anything tells.
const fn has_left_it(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Accepted
            | Verdict::SameProcess
            | Verdict::StillAnswering
            | Verdict::StillDraining
            | Verdict::Unverified
    )
}

/// The way in which an action failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionFailure {
    /// The action began, and its effect was disproved, not verified, or too late.
    Failed,
    /// The action was confirmed and never began.
    NotDone,
}

impl ActionFailure {
    /// Returns how the action failed, or `None` after a success.
    pub(crate) fn of(result: &ActionResult) -> Option<Self> {
        match result.verdict {
            verdict if verdict.exit_code() == 0 => None,
            Verdict::Refused => Some(Self::NotDone),
            _ => Some(Self::Failed),
        }
    }

    /// Returns the word in the row of the service.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NotDone => "not done",
        }
    }
}

/// Returns whether a service that had stopped answers again.
fn is_back(result: &ActionResult, snapshot: &ServiceSnapshot) -> bool {
    let stopped = matches!(
        result.verdict,
        Verdict::Stopped | Verdict::NotListening | Verdict::AlreadyStopped
    );
    let answers = !matches!(
        snapshot.state,
        State::Stopped | State::Draining | State::Unknown | State::Unhealthy
    );
    stopped && answers && snapshot.since.mono > result.at.mono
}

/// Returns whether another process answers than at the end of the action.
fn is_another(result: &ActionResult, snapshot: &ServiceSnapshot) -> bool {
    let process = snapshot.process.as_ref();
    if process.is_some_and(|process| process.started > result.at.wall) {
        return true;
    }
    let Some(after) = &result.details.after else {
        return false;
    };
    let pid = snapshot.identity.process.map(|process| process.pid);
    if let (Some(then), Some(now)) = (after.pid, pid) {
        return then != now;
    }
    match (after.started_at, snapshot.started) {
        (Some(then), Some(now)) => {
            let apart = now.at.duration_since(then).unsigned_abs();
            apart > now.tolerance.saturating_add(Start::UPTIME_TOLERANCE)
        }
        _ => false,
    }
}
