//! The end of a process: draining, and the silence after it that means *stopped*.

use std::time::Duration;

use crate::health::Moment;

/// How far a process has come to its end.
#[derive(Debug)]
pub(super) struct Ending {
    /// How long draining may take, and how old what explains a silence may be.
    timeout: Duration,
    /// The first draining answer of those that go on.
    draining_since: Option<Moment>,
    /// The latest draining answer.
    drained_at: Option<Moment>,
    /// When a shutdown was accepted.
    accepted_at: Option<Moment>,
    stopped: Option<Stop>,
    /// Its process is known to run on although nobody listens any more.
    lingers: bool,
}

#[derive(Debug)]
struct Stop {
    at: Moment,
    why: String,
}

impl Ending {
    pub(super) const fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            draining_since: None,
            drained_at: None,
            accepted_at: None,
            stopped: None,
            lingers: false,
        }
    }

    /// Whoever watches the process says whether it runs on.
    pub(super) const fn linger(&mut self, runs_on: bool) {
        self.lingers = runs_on;
    }

    /// Whether its process is known to run on: then silence is not the end yet.
    pub(super) const fn lingers(&self) -> bool {
        self.lingers
    }

    /// Another process begins, of which none of this is true.
    pub(super) fn arm(&mut self) {
        *self = Self::new(self.timeout);
    }

    pub(super) const fn accept(&mut self, now: Moment) {
        self.accepted_at = Some(now);
    }

    /// An answer says that it is draining.
    pub(super) fn drain(&mut self, at: Moment) {
        self.draining_since.get_or_insert(at);
        self.drained_at = Some(at);
    }

    /// No probe says so any more. Where an answer took it back, a silence is not explained by it either.
    pub(super) const fn drain_no_more(&mut self, taken_back: bool) {
        self.draining_since = None;
        if taken_back {
            self.drained_at = None;
            self.accepted_at = None;
        }
    }

    /// Nobody listens any more. True where that is explained: then it is stopped.
    pub(super) fn fall_silent(&mut self, at: Moment, message: Option<&str>) -> bool {
        let Some(cause) = self.explains(at) else {
            return false;
        };
        let why = match message {
            Some(message) => format!("{cause}: {message}"),
            None => cause.to_owned(),
        };
        self.stopped = Some(Stop { at, why });
        true
    }

    /// What explains that the process ends now.
    pub(super) fn explains(&self, at: Moment) -> Option<&'static str> {
        let recent = |earlier: &Moment| at.since(*earlier) <= self.timeout;
        if self.drained_at.as_ref().is_some_and(recent) {
            Some("stopped after draining")
        } else if self.accepted_at.as_ref().is_some_and(recent) {
            Some("stopped after an accepted shutdown")
        } else {
            None
        }
    }

    /// Why it is stopped, while it is.
    pub(super) fn stopped(&self) -> Option<&str> {
        self.stopped.as_ref().map(|stop| stop.why.as_str())
    }

    /// Whether a question asked then was asked after the silence began, so that an answer to it ends the silence.
    pub(super) fn was_silent_before(&self, asked: Moment) -> bool {
        self.stopped
            .as_ref()
            .is_some_and(|stop| asked.mono >= stop.at.mono)
    }

    /// When draining has lasted too long.
    pub(super) fn drain_until(&self) -> Option<Moment> {
        self.draining_since.map(|since| since.plus(self.timeout))
    }

    /// How long draining may take.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }
}
