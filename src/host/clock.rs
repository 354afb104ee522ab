//! The clock of this process: tokio's, so that tests can pause it.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::health::Moment;

/// A source of [`Moment`]s, counted from its start. Copies share the origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Moment {
        Moment::new(self.origin.elapsed(), Timestamp::now())
    }
}
