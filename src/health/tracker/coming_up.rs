//! The beginning of a process: the startup probe that holds the others back, and the start period in which failures do
//! not count. Both are armed at once, and again for each new process.

use std::time::Duration;

use crate::health::{Moment, Start};

/// How far a process has come up.
#[derive(Debug)]
pub(super) struct ComingUp {
    has_startup: bool,
    start_period: Duration,
    passed: bool,
    succeeded: bool,
    period_ends: Option<Moment>,
}

impl ComingUp {
    pub(super) const fn new(has_startup: bool, start_period: Duration) -> Self {
        Self {
            has_startup,
            start_period,
            passed: !has_startup,
            succeeded: false,
            period_ends: None,
        }
    }

    /// Another process begins.
    pub(super) const fn arm(&mut self) {
        *self = Self::new(self.has_startup, self.start_period);
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
