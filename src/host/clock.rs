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
}
