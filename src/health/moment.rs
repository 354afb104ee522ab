//! A point in time, handed in by whoever owns a clock.

use std::time::Duration;

use jiff::Timestamp;

/// One instant on two clocks: ages are measured on the monotonic one, so that a wall clock that
/// jumps can never make an age negative or a service look dead; the wall time is for showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since an arbitrary fixed origin of this process (monotonic).
    pub mono: Duration,
    /// Wall-clock time, UTC.
    pub wall: Timestamp,
}

impl Moment {
    /// The moment `mono` after the origin, at the wall time `wall`.
    pub const fn new(mono: Duration, wall: Timestamp) -> Self {
        Self { mono, wall }
    }

    /// A moment for tests and scenario files: `seconds` after 2026-11-22T10:00:00Z.
    pub fn at_seconds(seconds: f64) -> Self {
        let mono = Duration::from_secs_f64(seconds.max(0.0));
        let origin = Timestamp::constant(1795341600, 0);
        Self {
            mono,
            wall: origin + mono,
        }
    }

    /// How long ago `earlier` was, never negative.
    pub const fn since(self, earlier: Self) -> Duration {
        self.mono.saturating_sub(earlier.mono)
    }

    /// This moment, `by` later on both clocks.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self {
            mono: self.mono.saturating_add(by),
            wall: self.wall.saturating_add(by).unwrap_or(self.wall),
        }
    }

    /// This moment, `by` earlier on both clocks; the monotonic one stops at its origin.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self {
            mono: self.mono.saturating_sub(by),
            wall: self.wall.saturating_sub(by).unwrap_or(self.wall),
        }
    }
}
