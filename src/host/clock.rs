//! The clock of this process: tokio's, so that tests can pause it.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::health::Moment;

/// Gives [`Moment`]s counted from when it was made. Copies share the origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock with its origin now.
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Now.
    pub(crate) fn now(self) -> Moment {
        Moment::new(self.origin.elapsed(), Timestamp::now())
    }

    /// The moment of a tokio instant.
    pub(crate) fn at(self, instant: Instant) -> Moment {
        let now = self.now();
        let elapsed = instant.saturating_duration_since(self.origin);
        if elapsed <= now.elapsed() {
            now.minus(now.elapsed() - elapsed)
        } else {
            now.plus(elapsed - now.elapsed())
        }
    }

    /// The tokio instant of a moment, for waiting until it.
    pub(crate) fn instant(self, moment: Moment) -> Instant {
        self.origin + moment.elapsed()
    }
}
