//! The state machine of a circuit breaker. Pure: the time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// The state of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum CircuitState {
    /// The circuit lets all calls through.
    Closed,
    /// The circuit refuses all calls.
    Open,
    /// The circuit lets one call through, whose result closes or opens it.
    HalfOpen,
}

impl CircuitState {
    /// Every state, in the order in which metrics list them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Returns the name of the state, as payloads and metrics write it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The limits of a circuit breaker and the failures that it has counted.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    failure_threshold: u32,
    open_for: Duration,
    failures: u32,
    opened_at: Option<Instant>,
    openings: u64,
    trial_running: bool,
}

/// The role of a call that the circuit let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallRole {
    /// A call through a closed circuit, with the number of openings before it.
    Normal(u64),
    /// The call through a half-open circuit that decides whether it closes.
    Trial,
}

impl Circuit {
    /// Sets the limits; the failures that were counted so far stay.
    pub(crate) fn configure(&mut self, failure_threshold: u32, open_for: Duration) {
        self.failure_threshold = failure_threshold.max(1);
        self.open_for = open_for;
    }

    pub(crate) fn state(&self, now: Instant) -> CircuitState {
        match self.opened_at {
            None => CircuitState::Closed,
            Some(at) if self.remaining(at, now).is_zero() => CircuitState::HalfOpen,
            Some(_) => CircuitState::Open,
        }
    }

    fn remaining(&self, opened_at: Instant, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(opened_at);
        self.open_for.saturating_sub(elapsed)
    }

    /// Lets a call through, or returns the time until a call is let through: zero while the trial runs.
    pub(crate) fn enter(&mut self, now: Instant) -> Result<CallRole, Duration> {
        let Some(at) = self.opened_at else {
            return Ok(CallRole::Normal(self.openings));
        };
        let remaining = self.remaining(at, now);
        if !remaining.is_zero() || self.trial_running {
            return Err(remaining);
        }
        self.trial_running = true;
        Ok(CallRole::Trial)
    }

    /// Counts the result of a call that was let through; `None` when the call was cancelled.
    pub(crate) fn leave(&mut self, role: CallRole, succeeded: Option<bool>, now: Instant) {
        match role {
            CallRole::Trial => self.trial_running = false,
            // The call began before the circuit opened, so its result is old news.
            CallRole::Normal(openings) if openings != self.openings => return,
            CallRole::Normal(_) => {}
        }
        match succeeded {
            Some(true) => {
                self.failures = 0;
                self.opened_at = None;
            }
            Some(false) => {
                self.failures = self.failures.saturating_add(1);
                if role == CallRole::Trial || self.failures >= self.failure_threshold {
                    self.opened_at = Some(now);
                    self.openings = self.openings.saturating_add(1);
                }
            }
            None => {}
        }
    }
}
