//! A point in time, handed in by whoever owns a clock.

use std::time::Duration;

use jiff::Timestamp;

/// One instant on two clocks: ages are measured on the monotonic one, so that a wall clock that
/// jumps can never make an age negative or a service look dead; the wall time is for showing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time on the monotonic clock, counted from [`Moment::BEFORE`] before its origin.
    pub mono: Duration,
    /// The wall-clock time, UTC.
    pub wall: Timestamp,
}

impl Moment {
    /// The span that the monotonic clock reaches back: a service may report a success from long before this process began.
    pub const BEFORE: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

    /// The moment `elapsed` after the origin of the monotonic clock, at the wall time `wall`.
    pub const fn new(elapsed: Duration, wall: Timestamp) -> Self {
        Self {
            mono: Self::BEFORE.saturating_add(elapsed),
            wall,
        }
    }

    /// Time since the origin of the monotonic clock; zero for what was before it.
    pub const fn elapsed(self) -> Duration {
        self.mono.saturating_sub(Self::BEFORE)
    }

    /// A moment for tests and scenario files: `seconds` after 2026-11-22T10:00:00Z.
    pub fn at_seconds(seconds: f64) -> Self {
        let elapsed = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let origin = Timestamp::constant(1_795_341_600, 0);
        Self::new(elapsed, origin.saturating_add(elapsed).unwrap_or(origin))
    }

    /// Returns the time since `earlier`, zero where that is later.
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

    /// This moment, `by` earlier on both clocks; the monotonic one stops a century before its origin.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self {
            mono: self.mono.saturating_sub(by),
            wall: self.wall.saturating_sub(by).unwrap_or(self.wall),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_from_before_the_origin_is_kept() {
        let now = Moment::at_seconds(5.0);
        let earlier = now.minus(Duration::from_secs(94));
        assert_eq!(now.since(earlier), Duration::from_secs(94));
        assert_eq!(earlier.wall.to_string(), "2026-11-22T09:58:31Z");
        assert_eq!(earlier.elapsed(), Duration::ZERO);
        assert_eq!(earlier.since(now), Duration::ZERO, "never negative");
    }
}
