//! The beginning of a process: the startup probe that holds the others back, and the start period in which failures do
//! not count. Both are armed at once, and again for each new process.

use std::time::Duration;

use crate::health::{Moment, Start};

/// How far a start has come that an action waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartProgress {
    /// The process was started.
    Begun,
    /// The service is up.
    Proved,
    /// The service did not come up. No shutdown explains a refused connection any more.
    Failed,
    /// Nobody waits for it any more.
    Abandoned,
}

/// What an action did to the process of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The service accepted a shutdown. From now on a refused connection means that it is stopped.
    ShutdownAccepted,
    /// Nothing listens at the address of the service any more.
    NotListening {
        /// Whether its process still runs.
        process_runs: bool,
    },
    /// healthctl started the process. The start period begins.
    Started,
    /// How far a start has come that an action waits for.
    Start(StartProgress),
}

/// Whether somebody waits for it, or has just seen it come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    No,
    Coming,
    /// What our own probes know may still be of the time before this.
    Up(Moment),
}

/// How far a process has come up.
#[derive(Debug)]
pub(super) struct ComingUp {
    has_startup: bool,
    start_period: Duration,
    passed: bool,
    succeeded: bool,
    period_ends: Option<Moment>,
    awaited: Awaited,
}

impl ComingUp {
    pub(super) const fn new(has_startup: bool, start_period: Duration) -> Self {
        Self {
            has_startup,
            start_period,
            passed: !has_startup,
            succeeded: false,
            period_ends: None,
            awaited: Awaited::No,
        }
    }

    /// Another process begins. It may be the one that is waited for.
    pub(super) const fn arm(&mut self) {
        let awaited = self.awaited;
        *self = Self::new(self.has_startup, self.start_period);
        self.awaited = awaited;
    }

    /// Whoever started it says how far it has come.
    pub(super) const fn hear(&mut self, awaiting: StartProgress, now: Moment) {
        self.awaited = match awaiting {
            StartProgress::Begun => Awaited::Coming,
            StartProgress::Proved => Awaited::Up(now),
            StartProgress::Failed | StartProgress::Abandoned => Awaited::No,
        };
    }

    /// Whether it is waited for, or was seen to come up by somebody else and not yet by every probe.
    pub(super) const fn is_awaited(&self) -> bool {
        !matches!(self.awaited, Awaited::No)
    }

    /// Whether it has come up and was asked after that: what it says now counts.
    pub(super) fn was_up(&self, asked: Moment) -> bool {
        matches!(self.awaited, Awaited::Up(at) if asked.mono >= at.mono)
    }

    /// Our own probes know it now: nobody has to be believed any more.
    pub(super) const fn become_known(&mut self) {
        if matches!(self.awaited, Awaited::Up(_)) {
            self.awaited = Awaited::No;
        }
    }

    /// We started it ourselves, now.
    pub(super) fn begin(&mut self, now: Moment) {
        if !self.start_period.is_zero() {
            self.period_ends = Some(now.plus(self.start_period));
        }
    }

    /// The process says when it started. What is known already is not put off.
    pub(super) fn learn(&mut self, start: Start, now: Moment) {
        if self.period_ends.is_some() || self.start_period.is_zero() || self.succeeded {
            return;
        }
        let age = now.wall.duration_since(start.at);
        let age = Duration::try_from(age).unwrap_or_default();
        self.period_ends = Some(now.plus(self.start_period.saturating_sub(age)));
    }

    /// A probe succeeded: the start period is over.
    pub(super) const fn succeed(&mut self) {
        self.succeeded = true;
    }

    /// The startup probe succeeded.
    pub(super) const fn pass(&mut self) {
        self.passed = true;
        self.succeeded = true;
    }

    pub(super) const fn has_startup(&self) -> bool {
        self.has_startup
    }

    /// Whether the startup probe holds the others back.
    pub(super) const fn holds_back(&self) -> bool {
        !self.passed
    }

    /// The end of the start period, while it lasts.
    pub(super) fn period_until(&self, now: Moment) -> Option<Moment> {
        self.period_ends
            .filter(|ends| !self.succeeded && now.mono < ends.mono)
    }
}
