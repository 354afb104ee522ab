//! The life of a process: its start, in which failures do not count, and its shutdown, after which a refused connection
//! means *stopped*. Both begin anew with each new process.

use std::time::Duration;

use jiff::Timestamp;

use crate::health::Moment;

/// The progress of a start that an action waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartProgress {
    /// The process was started.
    Begun,
    /// The service is up.
    Proved,
    /// The service did not come up. No shutdown explains a refused connection any more.
    Failed,
    /// The action does not wait for the start any more.
    Abandoned,
}

/// A change that an action made to the process of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The service accepted a shutdown. From now on a refused connection means that it is stopped.
    ShutdownAccepted,
    /// Nothing listens at the address of the service any more.
    NotListening {
        /// The process still runs.
        process_runs: bool,
    },
    /// healthctl started the process. The start period begins.
    Started,
    /// The progress of a start that an action waits for.
    Start(StartProgress),
}

/// The wait of an action for a start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum StartWait {
    #[default]
    No,
    Pending,
    /// The action saw the service ready at this time; our own probes may know only of the time before.
    Ready(Moment),
}

/// The progress of the start of a process.
#[derive(Debug, Default)]
pub(super) struct StartupState {
    pub(super) has_startup: bool,
    start_period: Duration,
    /// The startup probe holds the others back.
    pub(super) holds_back: bool,
    /// A probe succeeded: the start period is over.
    pub(super) succeeded: bool,
    period_ends: Option<Moment>,
    /// The end of the start period is not known: it is counted from the beginning of the watch.
    is_assumed: bool,
    awaited: StartWait,
}

impl StartupState {
    pub(super) fn new(has_startup: bool, start_period: Duration) -> Self {
        Self {
            has_startup,
            start_period,
            holds_back: has_startup,
            ..Self::default()
        }
    }

    /// Another process begins. It may be the one that is waited for.
    pub(super) fn reset(&mut self) {
        *self = Self {
            awaited: self.awaited,
            ..Self::new(self.has_startup, self.start_period)
        };
    }

    /// Takes in the progress of the start that an action waits for.
    pub(super) const fn set_progress(&mut self, progress: StartProgress, now: Moment) {
        self.awaited = match progress {
            StartProgress::Begun => StartWait::Pending,
            StartProgress::Proved => StartWait::Ready(now),
            StartProgress::Failed | StartProgress::Abandoned => StartWait::No,
        };
    }

    /// Returns whether an action waits for the start, or saw the service ready before each of our probes did.
    pub(super) const fn is_awaited(&self) -> bool {
        !matches!(self.awaited, StartWait::No)
    }

    /// Returns whether the service was ready before a probe that began at `asked`, so that its result counts.
    pub(super) fn was_ready(&self, asked: Moment) -> bool {
        matches!(self.awaited, StartWait::Ready(at) if asked.mono >= at.mono)
    }

    /// Our own probes know now that the service is ready: nobody has to tell them any more.
    pub(super) const fn confirm(&mut self) {
        if matches!(self.awaited, StartWait::Ready(_)) {
            self.awaited = StartWait::No;
        }
    }

    /// We started it ourselves, now.
    pub(super) fn begin_period(&mut self, now: Moment) {
        if !self.start_period.is_zero() {
            self.period_ends = Some(now.plus(self.start_period));
            self.is_assumed = false;
        }
    }

    /// Somebody begins to watch it, now, and nothing is known of its start.
    pub(super) fn assume_start(&mut self, now: Moment) {
        self.begin_period(now);
        self.is_assumed = true;
    }

    /// Takes in when the process started, as it reports itself or as this machine knows. What it reports comes first;
    /// otherwise nothing changes once the end of the start period is known.
    pub(super) fn learn_start(&mut self, start: Timestamp, now: Moment, reported: bool) {
        let is_known = self.period_ends.is_some() && !self.is_assumed && !reported;
        if is_known || self.start_period.is_zero() || self.succeeded {
            return;
        }
        let age = Duration::try_from(now.wall.duration_since(start)).unwrap_or_default();
        self.period_ends = Some(now.plus(self.start_period.saturating_sub(age)));
        self.is_assumed = false;
    }

    /// The startup probe succeeded.
    pub(super) const fn pass(&mut self) {
        self.holds_back = false;
        self.succeeded = true;
    }

    /// The end of the start period, while it lasts.
    pub(super) fn period_until(&self, now: Moment) -> Option<Moment> {
        self.period_ends
            .filter(|ends| !self.succeeded && now.mono < ends.mono)
    }
}

/// The progress of the shutdown of a process.
#[derive(Debug, Default)]
pub(super) struct ShutdownState {
    /// The time that draining may take, and the age up to which a shutdown explains a refused connection.
    pub(super) timeout: Duration,
    /// The first draining answer of those that go on.
    draining_since: Option<Moment>,
    /// The latest draining answer.
    drained_at: Option<Moment>,
    /// When a shutdown was accepted.
    pub(super) accepted_at: Option<Moment>,
    /// When the service stopped, and why.
    stopped: Option<(Moment, String)>,
    /// The process is known to run although nothing listens any more: then a refused connection is not the end yet.
    pub(super) process_runs: bool,
}

impl ShutdownState {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            ..Self::default()
        }
    }

    /// Another process begins, of which none of this is true.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.timeout);
    }

    /// An answer says that it is draining.
    pub(super) fn drain(&mut self, at: Moment) {
        self.draining_since.get_or_insert(at);
        self.drained_at = Some(at);
    }

    /// No probe says so any more. Where an answer took it back, a silence is not explained by it either.
    pub(super) const fn end_draining(&mut self, taken_back: bool) {
        self.draining_since = None;
        if taken_back {
            self.drained_at = None;
            self.accepted_at = None;
        }
    }

    /// Takes in a refused connection. Returns true when draining or a shutdown explains it: then the service is stopped.
    pub(super) fn stop(&mut self, at: Moment, message: Option<&str>) -> bool {
        let Some(cause) = self.explains(at) else {
            return false;
        };
        let why = match message {
            Some(message) => format!("{cause}: {message}"),
            None => cause.to_owned(),
        };
        self.stopped = Some((at, why));
        true
    }

    /// Returns the explanation of an end of the process at `at`.
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
        self.stopped.as_ref().map(|(_, why)| why.as_str())
    }

    /// Returns whether a probe that began at `asked` began after the service stopped, so that its answer ends that state.
    pub(super) fn stopped_before(&self, asked: Moment) -> bool {
        let stopped = self.stopped.as_ref();
        stopped.is_some_and(|(at, _)| asked.mono >= at.mono)
    }

    /// When draining has lasted too long.
    pub(super) fn drain_until(&self) -> Option<Moment> {
        self.draining_since.map(|since| since.plus(self.timeout))
    }
}
