//! One service that may be restarted automatically: what was observed of it, what was tried, what is to be done next.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::precondition::{ExpectedState, Precondition};
use crate::action::Verdict;
use crate::health::{
    Flag, Identity, LocalProcess, Moment, ProbeSnapshot, RestartCause, Role, ServiceSnapshot, State,
};
use crate::text;

/// The number of attempts that are made in a row.
const MAX_ATTEMPTS: u32 = 5;
/// Files are written one after another, so a restart waits until none has changed for this long.
const QUIET_TIME: Duration = Duration::from_secs(1);
/// The delay after the first attempt. It doubles after every further attempt.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A process that has lived this long started successfully, and a later change is not its doing.
const LASTING: Duration = Duration::from_secs(60);
/// A change that is no later than this after an automatic restart may be made by the service itself.
const FOLLOWS: Duration = Duration::from_secs(2);
/// The same for a change whose own time tells nothing: it is judged by when it was seen.
const SEEN_LATE: Duration = Duration::from_secs(10);
/// The number of restarts in a row, after the first, that are made for changes which each came with the one before.
const MAX_SELF_CHANGES: u32 = MAX_ATTEMPTS - 1;

/// The end of an automatic restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RestartOutcome {
    /// The restart was carried out.
    Ended {
        verdict: Verdict,
        /// The restart has stopped the service.
        stopped: bool,
    },
    /// The restart was refused: nothing was sent.
    Refused {
        reason: String,
        /// Another healthctl acts on the service.
        busy: bool,
        /// The precheck of its start command failed.
        code_rejected: bool,
    },
    /// The restart was not sent, because somebody has shut the service down.
    ShutDown,
    /// The restart was not sent, because its cause is gone.
    Superseded,
}

/// A service that may be restarted automatically.
#[derive(Debug, Clone, Default)]
pub(super) struct RestartCandidate {
    pub(super) causes: BTreeSet<RestartCause>,
    /// All services that this one needs, directly or not.
    pub(super) needs: HashSet<String>,
    observed: Observed,
    history: History,
    /// The attempt in progress.
    attempt: Option<RestartAttempt>,
}

/// The state of a service as its snapshots have shown it.
#[derive(Debug, Clone, Default)]
struct Observed {
    stale_since: Option<Moment>,
    /// The newest note that says why the service is stale.
    stale_note: String,
    /// The time of the newest code, and when that was first seen.
    code: Option<(Timestamp, Moment)>,
    process: Option<LocalProcess>,
    identity: Identity,
    /// Why the service is not alive, and since when.
    unhealthy: Option<(String, Moment)>,
    last_alive: Option<Moment>,
    /// The service is stopping, or has stopped, on somebody's request.
    stopping: bool,
    paused: bool,
}

/// The attempts since somebody else last acted on the service.
#[derive(Debug, Clone, Default)]
struct History {
    /// Attempts in a row during which only the service itself changed its code.
    attempts: u32,
    /// The last attempt, and when it ended.
    last: Option<(RestartAttempt, Moment)>,
    /// The state in which an automatic restart has left the service, where the service has not started again.
    unfinished: Option<ExpectedState>,
    /// The code has changed with the last automatic restart, and not since.
    self_changed: bool,
    /// Restarts in a row for such a change.
    self_changes: u32,
    /// The time of the code that could not be started, or did not pass its precheck: the same is not tried again.
    rejected_code: Option<Timestamp>,
    refused: Option<Refusals>,
    given_up: bool,
    /// The notice that the service changes its own code was returned.
    said_self_change: bool,
}

#[derive(Debug, Clone, Copy)]
struct RestartAttempt {
    began: Moment,
    cause: RestartCause,
    /// The time of the code with which it is made.
    code: Option<Timestamp>,
    /// The attempt is made for a change that came with the restart before.
    self_change: bool,
}

/// Attempts in a row that were refused.
#[derive(Debug, Clone, Copy)]
struct Refusals {
    count: u32,
    last: Moment,
    /// The notice of a refusal was returned.
    said: bool,
}

impl RestartCandidate {
    pub(super) fn new(causes: BTreeSet<RestartCause>, needs: HashSet<String>) -> Self {
        Self {
            causes,
            needs,
            ..Self::default()
        }
    }

    pub(super) fn forget_attempts(&mut self) {
        self.history = History::default();
    }

    pub(super) const fn has_given_up(&self) -> bool {
        self.history.given_up
    }

    /// Tells whether services that need this one no longer wait for its restart.
    pub(super) fn is_stuck(&self) -> bool {
        let refused = self.history.refused;
        refused.is_some_and(|refused| refused.count >= MAX_ATTEMPTS)
    }

    /// Takes in the newest snapshot. Returns a sentence for people where something follows that the snapshot does not
    /// show.
    pub(super) fn observe(&mut self, snapshot: &ServiceSnapshot) -> Option<String> {
        let now = snapshot.at;
        if let Some(code) = snapshot.code_changed
            && self.observed.code.is_none_or(|(known, _)| known != code)
        {
            if self.observed.code.is_some() {
                self.code_changes(code, now);
            }
            self.observed.code = Some((code, now));
        }
        self.observed.update(snapshot);
        self.review_last_attempt(snapshot);
        let stale = self.observed.stale_since.is_some();
        if !(stale && self.changes_itself()) || self.history.said_self_change {
            return None;
        }
        self.history.said_self_change = true;
        Some(format!(
            "{}: its own sources change each time it is restarted{}, so such a change alone no longer restarts it; files that it writes itself should not be among its `sources`",
            snapshot.info.name,
            self.observed.changed_file()
        ))
    }

    /// Handles a change of the code: somebody may have mended the service, or an automatic restart has made the change.
    fn code_changes(&mut self, code: Timestamp, now: Moment) {
        let self_changed = self.comes_with_a_restart(code, now);
        let history = &mut self.history;
        history.refused = None;
        history.self_changed = self_changed;
        if !self_changed {
            history.attempts = 0;
            history.given_up = false;
            // A service that was found to change its own code will do so again.
            if history.self_changes < MAX_SELF_CHANGES {
                history.self_changes = 0;
            }
        } else if history.given_up && history.self_changes < MAX_SELF_CHANGES {
            // Somebody may have mended the service at the same time.
            history.given_up = false;
            history.attempts = MAX_ATTEMPTS - 1;
        }
    }

    /// Tells whether the service is stale because each restart changes its code.
    const fn changes_itself(&self) -> bool {
        self.history.self_changed && self.history.self_changes >= MAX_SELF_CHANGES
    }

    /// Tells whether code with this time, first seen now, was changed during or soon after an automatic restart.
    fn comes_with_a_restart(&self, code: Timestamp, now: Moment) -> bool {
        if self.attempt.is_some() {
            return true;
        }
        let Some((last, ended)) = self.history.last else {
            return false;
        };
        if code < last.began.wall || code > now.wall {
            // The file keeps the time of another place or clock.
            return now.mono <= ended.plus(SEEN_LATE).mono;
        }
        code <= ended.plus(FOLLOWS).wall
    }

    fn review_last_attempt(&mut self, snapshot: &ServiceSnapshot) {
        if self.wish().is_none() {
            self.history.refused = None;
        }
        let Some((_, ended)) = self.history.last.filter(|_| self.attempt.is_none()) else {
            return;
        };
        let answered = snapshot.probes.iter().any(|probe| {
            let success = probe.last_success;
            success.is_some_and(|success| success.mono > ended.mono)
        });
        let up = answered && matches!(snapshot.state, State::Healthy | State::Degraded);
        // Somebody stops the process that was left running.
        let drains = self.history.unfinished == Some(ExpectedState::Unready)
            && snapshot.state == State::Draining
            && snapshot.at.mono > ended.mono;
        if up || drains {
            self.history.unfinished = None;
        }
        if self.wish().is_none() && snapshot.at.since(ended) >= LASTING {
            let changes_itself = self.changes_itself();
            let history = std::mem::take(&mut self.history);
            if changes_itself {
                self.history.self_changed = true;
                self.history.self_changes = MAX_SELF_CHANGES;
                self.history.said_self_change = history.said_self_change;
            }
        }
    }

    /// Returns what a restart would expect to find, its cause, and since when there is one.
    fn wish(&self) -> Option<(ExpectedState, RestartCause, Moment)> {
        let observed = &self.observed;
        if observed.paused {
            return None;
        }
        // A service that an automatic restart has failed to start again is still to be started.
        if let (Some(left), Some((last, ended))) = (self.history.unfinished, self.history.last) {
            return Some((left, last.cause, ended));
        }
        if observed.stopping {
            return None;
        }
        let permits = |cause| self.causes.contains(&cause);
        match (observed.stale_since, &observed.unhealthy) {
            (Some(since), _) if permits(RestartCause::Stale) && !self.changes_itself() => {
                Some((ExpectedState::Stale, RestartCause::Stale, since))
            }
            (_, Some((_, since))) if permits(RestartCause::Unhealthy) => {
                Some((ExpectedState::Unhealthy, RestartCause::Unhealthy, *since))
            }
            _ => None,
        }
    }

    /// Returns the cause of the next restart and the earliest time for it.
    pub(super) fn wanted(&self) -> Option<(RestartCause, Moment)> {
        if self.history.given_up || self.code_is_rejected() {
            return None;
        }
        let (expected, cause, since) = self.wish()?;
        let from = match (expected, self.observed.code) {
            (ExpectedState::Unhealthy, _) => since,
            (_, None) => since.plus(QUIET_TIME),
            (_, Some((_, changed))) => later(since, changed).plus(QUIET_TIME),
        };
        let last = self.history.last;
        let after_last = last.map(|(_, ended)| ended.plus(self.delay()));
        let refused = self.history.refused;
        let after_refusal = refused.map(|refused| refused.last.plus(doubled(refused.count)));
        let due = [after_last, after_refusal].into_iter().flatten();
        Some((cause, due.fold(from, later)))
    }

    /// Tells whether the code is still the one that could not be started or did not pass its precheck.
    fn code_is_rejected(&self) -> bool {
        let code = self.observed.code.map(|(code, _)| code);
        code.is_some() && self.history.rejected_code == code
    }

    /// Returns the time between the last attempt and the next.
    fn delay(&self) -> Duration {
        let History {
            attempts,
            self_changed,
            self_changes,
            ..
        } = self.history;
        let failed = doubled(attempts);
        let self_change = match self_changes {
            _ if !self_changed => Duration::ZERO,
            // A person saves again during this time, and that tells a person from the service itself.
            changes if changes + 1 >= MAX_SELF_CHANGES => LONGEST_DELAY,
            changes => doubled(changes + 1),
        };
        failed.max(self_change)
    }

    /// Begins an attempt. Returns the reason for people, and what has to hold when the restart is sent.
    pub(super) fn begin(&mut self, now: Moment) -> Option<(String, Precondition)> {
        let (expected, cause, since) = self.wish()?;
        let precondition = Precondition {
            expected,
            since,
            identity: self.observed.identity.clone(),
            process: self.observed.process,
            code: self.observed.code.map(|(code, _)| code),
            last_alive: self.observed.last_alive,
        };
        self.attempt = Some(RestartAttempt {
            began: now,
            cause,
            code: self.observed.code.map(|(code, _)| code),
            self_change: std::mem::take(&mut self.history.self_changed),
        });
        Some((self.reason(expected), precondition))
    }

    fn reason(&self, expected: ExpectedState) -> String {
        let stale_note = &self.observed.stale_note;
        match (expected, &self.observed.unhealthy) {
            (ExpectedState::Down | ExpectedState::Unready, _)
                if self.observed.stale_since.is_none() =>
            {
                "the last start failed".to_owned()
            }
            (ExpectedState::Unhealthy, Some((reason, _))) => format!("unhealthy: {reason}"),
            (ExpectedState::Unhealthy, None) => "unhealthy".to_owned(),
            (ExpectedState::Stale, _) if self.attempt.is_some_and(|it| it.self_change) => {
                format!("{stale_note}, with its last automatic restart")
            }
            _ => stale_note.clone(),
        }
    }

    /// Ends the attempt in progress. Returns a sentence for people where something follows that the verdict does not
    /// show.
    pub(super) fn ended(
        &mut self,
        name: &str,
        outcome: RestartOutcome,
        now: Moment,
    ) -> Option<String> {
        let attempt = self.attempt.take()?;
        let (said, busy) = match outcome {
            RestartOutcome::Ended { verdict, stopped } => {
                return self.conclude(name, attempt, verdict, stopped, now);
            }
            RestartOutcome::Refused {
                reason,
                code_rejected: true,
                ..
            } if attempt.code.is_some() => {
                self.history.rejected_code = attempt.code;
                return Some(format!(
                    "{name}: the automatic restart was refused: {reason}; it waits for the next change of the code"
                ));
            }
            RestartOutcome::Refused { reason, busy, .. } => (
                Some(format!(
                    "{name}: the automatic restart was refused: {reason}; it is retried while it is needed, after increasing delays"
                )),
                busy,
            ),
            RestartOutcome::ShutDown => (
                Some(format!(
                    "{name}: somebody has shut it down, so it is not restarted automatically until somebody starts it"
                )),
                true,
            ),
            RestartOutcome::Superseded => (None, false),
        };
        let history = &mut self.history;
        if busy {
            // The service is in somebody else's hands now.
            history.unfinished = None;
        }
        history.self_changed |= attempt.self_change;
        let (count, said_before) = history.refused.map_or((0, false), |it| (it.count, it.said));
        history.refused = Some(Refusals {
            count: count.saturating_add(1),
            last: now,
            said: said_before || said.is_some(),
        });
        said.filter(|_| !said_before)
    }

    /// Draws the consequences of an attempt that was carried out.
    fn conclude(
        &mut self,
        name: &str,
        attempt: RestartAttempt,
        verdict: Verdict,
        stopped: bool,
        now: Moment,
    ) -> Option<String> {
        let history = &mut self.history;
        history.refused = None;
        history.attempts += 1;
        history.self_changes += u32::from(attempt.self_change);
        history.last = Some((attempt, now));
        let was_unfinished = history.unfinished.take().is_some();
        if stopped || was_unfinished {
            history.unfinished = match verdict {
                Verdict::Died => Some(ExpectedState::Down),
                Verdict::NotReady | Verdict::StillDraining => Some(ExpectedState::Unready),
                _ => None,
            };
        }
        let good = verdict.exit_code() == 0;
        if verdict == Verdict::Died
            && attempt.cause == RestartCause::Stale
            && attempt.code.is_some()
        {
            history.rejected_code = attempt.code;
            return Some(format!(
                "{name}: the automatic restart ended as {verdict}; the same code is not tried again, the next change of it is"
            ));
        }
        if history.attempts >= MAX_ATTEMPTS {
            // A service that is alive is only given up for what it does itself.
            let all_self_changes = history.self_changes >= MAX_SELF_CHANGES;
            history.given_up = !(good && all_self_changes && attempt.cause == RestartCause::Stale);
        }
        if history.given_up {
            return Some(format!(
                "{name}: {MAX_ATTEMPTS} automatic restarts in a row; no more follow until its code changes or `a` is switched off and on"
            ));
        }
        if attempt.self_change && history.self_changes + 1 == MAX_SELF_CHANGES {
            let delay = text::format_duration(LONGEST_DELAY);
            return Some(format!(
                "{name}: its own sources have changed right after each of {} automatic restarts in a row{}; if that happens again, the next one waits for {delay}",
                history.self_changes,
                self.observed.changed_file()
            ));
        }
        if good {
            return None;
        }
        let condition = match history.unfinished {
            Some(_) => "",
            None => "if it is still needed, ",
        };
        let next = history.attempts + 1;
        let delay = text::format_duration(self.delay());
        Some(format!(
            "{name}: the automatic restart ended as {verdict}; {condition}attempt {next} of {MAX_ATTEMPTS} follows in {delay}"
        ))
    }
}

impl Observed {
    /// Takes in all that a snapshot shows, except for the code.
    fn update(&mut self, snapshot: &ServiceSnapshot) {
        let now = snapshot.at;
        let pid = |process: Option<LocalProcess>| process.map(|process| process.pid);
        if pid(snapshot.process) != pid(self.process) {
            // The code was compared with the start of another process.
            self.stale_since = None;
        }
        self.process = snapshot.process;
        self.identity.clone_from(&snapshot.identity);
        let stale = snapshot.flags.contains(&Flag::Stale);
        self.stale_since = stale.then(|| self.stale_since.unwrap_or(now));
        let note = |note: &&String| note.starts_with("stale: ");
        if let Some(note) = snapshot.notes.iter().find(note) {
            self.stale_note.clone_from(note);
        }
        // A service that waits for a dependency is not restarted.
        let blocked = snapshot.flags.contains(&Flag::Blocked);
        // The first answer is shown at once, and nothing follows from it.
        let turned = |probe: &ProbeSnapshot| probe.info.role == Role::Live && probe.has_turned();
        let dead = snapshot.live == Some(false)
            && snapshot.state == State::Unhealthy
            && snapshot.probes.iter().any(turned)
            && !blocked;
        let since = self.unhealthy.take().map_or(now, |(_, since)| since);
        let reason = snapshot.reasons.first().cloned().unwrap_or_default();
        self.unhealthy = dead.then_some((reason, since));
        if snapshot.live == Some(true) {
            self.last_alive = Some(now);
        }
        self.stopping = matches!(snapshot.state, State::Stopped | State::Draining);
        self.paused = snapshot.flags.contains(&Flag::Paused);
    }

    /// Returns the file that makes the service stale, as ` (src/made.py)`, or nothing where the note names none.
    fn changed_file(&self) -> String {
        let note = self.stale_note.strip_prefix("stale: ").unwrap_or_default();
        match note.split_once(" changed ") {
            Some((path, _)) => format!(" ({path})"),
            None => String::new(),
        }
    }
}

/// Returns the delay after so many attempts: none, then 1 s, 2 s, 4 s and so on, up to the longest delay.
fn doubled(attempts: u32) -> Duration {
    match attempts.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => (FIRST_DELAY * 2_u32.pow(doublings.min(16))).min(LONGEST_DELAY),
    }
}

fn later(one: Moment, other: Moment) -> Moment {
    if other.mono > one.mono { other } else { one }
}
