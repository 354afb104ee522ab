//! One service that may be restarted by itself: what is known of it, what was tried, what is to be done.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::premise::{Premise, Supposed};
use super::{LIMIT, Outcome};
use crate::action::Verdict;
use crate::health::{Flag, Identity, Moment, Picture, RestartCause, Seen, State};
use crate::text;

/// Files are written one after another: so long has nothing to change.
const REST: Duration = Duration::from_secs(1);
/// After the first attempt; doubled after each other one.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// But never more.
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A process that has lived so long did not come up in vain, and has nothing to do with what changes now.
const LASTING: Duration = Duration::from_secs(60);
/// A change that comes no later after a restart of ours may be its work.
const FOLLOWS: Duration = Duration::from_secs(2);
/// A change whose own time tells nothing is judged by when it is seen; that may be so much later.
const SEEN_LATE: Duration = Duration::from_secs(10);
/// So many restarts in a row follow the first one for changes that each came with the one before.
const MOST_ECHOES: u32 = LIMIT - 1;

/// A service that may be restarted by itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Patient {
    pub(super) permits: BTreeSet<RestartCause>,
    /// The others among them that it needs, directly or not.
    pub(super) needs: HashSet<String>,
    /// Since when it has been seen stale.
    stale_since: Option<Moment>,
    why: String,
    /// The time of its newest code, and when that was first seen.
    code: Option<(Timestamp, Moment)>,
    /// Who runs, and who answers.
    process: Option<Seen>,
    identity: Identity,
    /// Why it does not live, and since when that has been seen.
    unhealthy: Option<(String, Moment)>,
    /// When it was last seen to live.
    lived: Option<Moment>,
    /// Somebody has asked it to stop.
    let_be: bool,
    /// Somebody has switched its probes off.
    paused: bool,
    /// The attempt under way.
    begun: Option<Begun>,
    /// Attempts in a row, with no change of its code but by themselves.
    attempts: u32,
    last: Option<Attempt>,
    /// We have taken it down, and it is not up again.
    ours: Option<Ours>,
    /// Its code has changed with our last restart, and not since.
    echo: bool,
    /// Restarts in a row for such a change.
    echoes: u32,
    /// Refusals in a row.
    refused: Option<Refused>,
    given_up: bool,
    /// That its own restarts change its code has been said.
    told: bool,
}

/// An attempt under way.
#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Moment,
    cause: RestartCause,
    /// It is for a change that came with the restart before.
    echo: bool,
}

/// The attempt made last.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    cause: RestartCause,
    began: Moment,
    ended: Moment,
}

/// What has become of a service that we have taken down. Nobody else has touched it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    /// Nothing of it runs.
    Down,
    /// It has not got ready, or has left something behind.
    Unready,
}

/// Attempts that came to nothing because something stood against them.
#[derive(Debug, Clone, Copy)]
struct Refused {
    /// So many in a row.
    count: u32,
    /// The last of them.
    at: Moment,
    /// It has been said.
    told: bool,
}

impl Patient {
    pub(super) fn new(permits: BTreeSet<RestartCause>, needs: HashSet<String>) -> Self {
        Self {
            permits,
            needs,
            ..Self::default()
        }
    }

    pub(super) fn forget_attempts(&mut self) {
        self.attempts = 0;
        self.last = None;
        self.ours = None;
        self.echo = false;
        self.echoes = 0;
        self.refused = None;
        self.given_up = false;
        self.told = false;
    }

    /// Whether it is restarted no more.
    pub(super) const fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// Whether what needs it need not wait for it any more.
    pub(super) fn is_stuck(&self) -> bool {
        self.refused.is_some_and(|refused| refused.count >= LIMIT)
    }

    /// Takes in the newest picture; says what follows from it where that is not plain.
    pub(super) fn see(&mut self, picture: &Picture) -> Option<String> {
        let now = picture.at;
        if let Some(code) = picture.code_changed
            && self.code.is_none_or(|(known, _)| known != code)
        {
            if self.code.is_some() {
                self.code_changes(code, now);
            }
            self.code = Some((code, now));
        }
        let pid = |process: Option<Seen>| process.map(|process| process.pid);
        if pid(picture.process) != pid(self.process) {
            // What was seen of its code was seen of another process.
            self.stale_since = None;
        }
        self.process = picture.process;
        self.identity.clone_from(&picture.identity);
        let stale = picture.flags.contains(&Flag::Stale);
        self.stale_since = stale.then(|| self.stale_since.unwrap_or(now));
        let note = |note: &&String| note.starts_with("stale: ");
        if let Some(note) = picture.notes.iter().find(note) {
            self.why.clone_from(note);
        }
        // What it depends on has to work first.
        let blocked = picture.flags.contains(&Flag::Blocked);
        let dead = picture.live == Some(false) && picture.state == State::Unhealthy && !blocked;
        let since = self.unhealthy.take().map_or(now, |(_, since)| since);
        let reason = picture.reasons.first().cloned().unwrap_or_default();
        self.unhealthy = dead.then_some((reason, since));
        if picture.live == Some(true) {
            self.lived = Some(now);
        }
        self.let_be = matches!(picture.state, State::Stopped | State::Draining);
        self.paused = picture.flags.contains(&Flag::Paused);
        self.see_what_became_of_it(picture);
        let found_out = stale && self.is_its_own_work() && !std::mem::replace(&mut self.told, true);
        found_out.then(|| {
            format!(
                "{}: its own sources change each time it is restarted{}, so that alone restarts it no more; what it writes itself should not be among its `sources`",
                picture.name,
                self.file()
            )
        })
    }

    /// Somebody has changed what may have been wrong, or a restart of ours has brought the change about.
    fn code_changes(&mut self, code: Timestamp, now: Moment) {
        self.refused = None;
        self.echo = self.comes_with_a_restart(code, now);
        if !self.echo {
            self.attempts = 0;
            self.given_up = false;
            // What was found to change its own code does so the next time as well.
            if self.echoes < MOST_ECHOES {
                self.echoes = 0;
            }
        } else if self.given_up && self.echoes < MOST_ECHOES {
            // It may have been mended just then.
            self.given_up = false;
            self.attempts = LIMIT - 1;
        }
    }

    /// It is stale by what its own restarts do.
    const fn is_its_own_work(&self) -> bool {
        self.echo && self.echoes >= MOST_ECHOES
    }

    /// Whether code of this time, seen to have changed now, was changed by a restart of ours or soon after it.
    fn comes_with_a_restart(&self, code: Timestamp, now: Moment) -> bool {
        if self.begun.is_some() {
            return true;
        }
        let Some(last) = self.last else {
            return false;
        };
        let end = last.ended.plus(FOLLOWS);
        if code < last.began.wall || code > now.wall {
            // It has brought its time along, or that is of another clock.
            return now.mono <= last.ended.plus(SEEN_LATE).mono;
        }
        code <= end.wall
    }

    fn see_what_became_of_it(&mut self, picture: &Picture) {
        if self.wish().is_none() {
            self.refused = None;
        }
        let Some(last) = self.last.filter(|_| self.begun.is_none()) else {
            return;
        };
        let answered = picture.probes.iter().any(|probe| {
            let success = probe.last_success;
            success.is_some_and(|success| success.mono > last.ended.mono)
        });
        let up = answered && matches!(picture.state, State::Healthy | State::Degraded);
        // Somebody stops what we have left running.
        let drains = self.ours == Some(Ours::Unready)
            && picture.state == State::Draining
            && picture.at.mono > last.ended.mono;
        if up || drains {
            self.ours = None;
        }
        if self.wish().is_none() && picture.at.since(last.ended) >= LASTING {
            let (own_work, told) = (self.is_its_own_work(), self.told);
            self.forget_attempts();
            if own_work {
                (self.echo, self.echoes, self.told) = (true, MOST_ECHOES, told);
            }
        }
    }

    /// Why it would be restarted, and since when that has been so.
    fn wish(&self) -> Option<(Supposed, RestartCause, Moment)> {
        if self.paused {
            return None;
        }
        // What we have failed to start again is still ours to start.
        if let (Some(ours), Some(last)) = (self.ours, self.last) {
            let supposed = match ours {
                Ours::Down => Supposed::Down,
                Ours::Unready => Supposed::Unready,
            };
            return Some((supposed, last.cause, last.ended));
        }
        if self.let_be {
            return None;
        }
        let permits = |cause| self.permits.contains(&cause);
        match (self.stale_since, &self.unhealthy) {
            (Some(since), _) if permits(RestartCause::Stale) && !self.is_its_own_work() => {
                Some((Supposed::Stale, RestartCause::Stale, since))
            }
            (_, Some((_, since))) if permits(RestartCause::Unhealthy) => {
                Some((Supposed::Unhealthy, RestartCause::Unhealthy, *since))
            }
            _ => None,
        }
    }

    /// What it would be restarted for, and from when on.
    pub(super) fn wanted(&self) -> Option<(RestartCause, Moment)> {
        if self.given_up {
            return None;
        }
        let (supposed, cause, since) = self.wish()?;
        let from = match supposed {
            Supposed::Unhealthy => since,
            Supposed::Stale | Supposed::Down | Supposed::Unready => self.rested(since),
        };
        let after_last = self.last.map(|last| last.ended.plus(self.delay()));
        let after_refusal = self
            .refused
            .map(|refused| refused.at.plus(doubled(refused.count)));
        let due = [after_last, after_refusal]
            .into_iter()
            .flatten()
            .fold(from, later);
        Some((cause, due))
    }

    /// Not before its files have come to rest.
    fn rested(&self, since: Moment) -> Moment {
        let changed = self.code.map_or(since, |(_, seen)| seen);
        later(since, changed).plus(REST)
    }

    /// Between the attempt made last and the next.
    fn delay(&self) -> Duration {
        let in_vain = match self.attempts {
            0 => Duration::ZERO,
            attempts => doubled(attempts),
        };
        let echo = match self.echoes {
            _ if !self.echo => Duration::ZERO,
            // Whoever saves by hand saves again while this lasts, and that tells the one from the other.
            echoes if echoes + 1 >= MOST_ECHOES => LONGEST_DELAY,
            echoes => doubled(echoes + 1),
        };
        in_vain.max(echo)
    }

    /// It is restarted from now on; why, for people, and what that rests on.
    pub(super) fn begin(&mut self, now: Moment) -> Option<(String, Premise)> {
        let (state, cause, since) = self.wish()?;
        let premise = Premise {
            state,
            since,
            identity: self.identity.clone(),
            process: self.process,
            code: self.code.map(|(code, _)| code),
            lived: self.lived,
        };
        self.begun = Some(Begun {
            at: now,
            cause,
            echo: self.echo,
        });
        self.echo = false;
        Some((self.reason(state), premise))
    }

    fn reason(&self, state: Supposed) -> String {
        match (state, &self.unhealthy) {
            (Supposed::Down | Supposed::Unready, _) if self.stale_since.is_none() => {
                "it did not come up the last time".to_owned()
            }
            (Supposed::Unhealthy, Some((reason, _))) => format!("unhealthy: {reason}"),
            (Supposed::Unhealthy, None) => "unhealthy".to_owned(),
            (Supposed::Stale, _) if self.begun.is_some_and(|begun| begun.echo) => {
                format!("{}, with its last automatic restart", self.why)
            }
            (Supposed::Stale | Supposed::Down | Supposed::Unready, _) => self.why.clone(),
        }
    }

    /// The restart under way has ended; says what comes of it where that is not plain from its verdict.
    pub(super) fn ended(&mut self, name: &str, outcome: Outcome, now: Moment) -> Option<String> {
        let begun = self.begun.take()?;
        match outcome {
            Outcome::Refused { why, busy } => {
                if busy {
                    // Whoever acts on it has it now.
                    self.ours = None;
                }
                let first = self.refuse(begun, now, true);
                first.then(|| {
                    format!(
                        "{name}: the automatic restart was refused: {why}; while it is needed it is tried again, each time later"
                    )
                })
            }
            Outcome::PutDown => {
                self.ours = None;
                let first = self.refuse(begun, now, true);
                first.then(|| {
                    format!(
                        "{name}: somebody has shut it down, so it is not restarted by itself until somebody starts it"
                    )
                })
            }
            Outcome::Superseded => {
                self.refuse(begun, now, false);
                None
            }
            Outcome::Ended { verdict, stopped } => {
                self.refused = None;
                self.attempts += 1;
                self.echoes += u32::from(begun.echo);
                self.last = Some(Attempt {
                    cause: begun.cause,
                    began: begun.at,
                    ended: now,
                });
                let was_ours = self.ours.take().is_some();
                if stopped || was_ours {
                    self.ours = match verdict {
                        Verdict::Died => Some(Ours::Down),
                        Verdict::NotReady | Verdict::StillDraining => Some(Ours::Unready),
                        _ => None,
                    };
                }
                self.conclude(name, begun, verdict)
            }
        }
    }

    /// Nothing has happened but that somebody wished it; true where that is to be said.
    fn refuse(&mut self, begun: Begun, now: Moment, tell: bool) -> bool {
        self.echo |= begun.echo;
        let before = self.refused.map_or((0, false), |it| (it.count, it.told));
        let (count, told) = before;
        self.refused = Some(Refused {
            count: count.saturating_add(1),
            at: now,
            told: told || tell,
        });
        tell && !told
    }

    /// What comes of an attempt that was carried out.
    fn conclude(&mut self, name: &str, begun: Begun, verdict: Verdict) -> Option<String> {
        let good = verdict.exit_code() == 0;
        let all_echoes = self.echoes >= MOST_ECHOES;
        if self.attempts >= LIMIT {
            // One that lives is only restarted no more for what it does itself.
            self.given_up = !(good && all_echoes && begun.cause == RestartCause::Stale);
        }
        if self.given_up {
            return Some(format!(
                "{name}: {LIMIT} automatic restarts in a row; no other will follow until its code changes or `a` is switched off and on"
            ));
        }
        if begun.echo && self.echoes + 1 == MOST_ECHOES {
            let delay = text::format_duration(LONGEST_DELAY);
            return Some(format!(
                "{name}: its own sources have changed right after each of {} automatic restarts in a row{}; should they again, the next one waits for {delay}",
                self.echoes,
                self.file()
            ));
        }
        (!good).then(|| {
            let delay = text::format_duration(self.delay());
            let condition = if self.ours.is_some() {
                ""
            } else {
                "if it is still needed, "
            };
            format!(
                "{name}: the automatic restart ended as {verdict}; {condition}attempt {} of {LIMIT} follows in {delay}",
                self.attempts + 1
            )
        })
    }

    /// ` (src/made.py)`: the file that has changed, where that is known.
    fn file(&self) -> String {
        let told = self.why.strip_prefix("stale: ").unwrap_or_default();
        match told.split_once(" changed ") {
            Some((path, _)) => format!(" ({path})"),
            None => String::new(),
        }
    }
}

/// One second, two, four, …, up to the longest.
fn doubled(attempts: u32) -> Duration {
    let doubled = attempts.saturating_sub(1).min(16);
    FIRST_DELAY
        .saturating_mul(2_u32.saturating_pow(doubled))
        .min(LONGEST_DELAY)
}

fn later(one: Moment, other: Moment) -> Moment {
    if other.mono > one.mono { other } else { one }
}
