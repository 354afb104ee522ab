//! When a circuit opens and closes. Pure: the time is handed in.

use std::time::Duration;

use tokio::time::Instant;

use super::CircuitState;

/// When a circuit opens, and what it has seen.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    limit: u32,
    pause: Duration,
    failures: u32,
    opened: Option<Instant>,
    /// How often it was opened.
    openings: u64,
    /// Whether the one call is under way that decides.
    trial: bool,
}

/// As what a call was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// One of many, while the circuit was closed; with how often it had been opened by then.
    Ordinary(u64),
    /// The one that decides whether it closes.
    Trial,
}

impl Machine {
    pub(super) fn new(limit: u32, pause: Duration) -> Self {
        Self {
            limit: limit.max(1),
            pause,
            failures: 0,
            opened: None,
            openings: 0,
            trial: false,
        }
    }

    /// The same with what another one has seen.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        self.failures = before.failures;
        self.opened = before.opened;
        self.openings = before.openings;
        self.trial = before.trial;
        self
    }

    pub(crate) fn circuit(&self, now: Instant) -> CircuitState {
        match self.opened {
            None => CircuitState::Closed,
            Some(at) if now.saturating_duration_since(at) < self.pause => CircuitState::Open,
            Some(_) => CircuitState::HalfOpen,
        }
    }

    /// Lets a call through, or says how long it will not.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Pass, Duration> {
        let Some(at) = self.opened else {
            return Ok(Pass::Ordinary(self.openings));
        };
        let left = self.pause.saturating_sub(now.saturating_duration_since(at));
        if left > Duration::ZERO || self.trial {
            return Err(left);
        }
        self.trial = true;
        Ok(Pass::Trial)
    }

    /// What came of a call that was let through; nothing where it was broken off.
    pub(super) fn leave(&mut self, pass: Pass, succeeded: Option<bool>, now: Instant) {
        match pass {
            Pass::Trial => self.trial = false,
            // It tells how things were before the circuit opened, which is known.
            Pass::Ordinary(openings) if openings != self.openings => return,
            Pass::Ordinary(_) => {}
        }
        match succeeded {
            Some(true) => {
                self.failures = 0;
                self.opened = None;
            }
            Some(false) => {
                self.failures = self.failures.saturating_add(1);
                if pass == Pass::Trial || self.failures >= self.limit {
                    self.opened = Some(now);
                    self.openings = self.openings.saturating_add(1);
                }
            }
            None => {}
        }
    }
}
