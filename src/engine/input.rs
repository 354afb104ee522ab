//! What may be said to a running engine: the only way anything but a probe touches a tracker.

use crate::health::{Awaiting, Sight};

/// One thing that is said to the engine. A service that is not there is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "pausing by hand is said by a command to come")
)]
pub(crate) enum Input {
    /// Ask now, beside the grid: all probes of one service, or of all.
    ProbeNow {
        /// Which; `None` for all.
        service: Option<String>,
    },
    /// A shutdown was accepted: from now on silence means *stopped*. Asks at short intervals until then.
    ShutdownAccepted {
        /// Which.
        service: String,
    },
    /// Nobody listens any more, but its process runs on (true), or has gone at last (false).
    Lingers {
        /// Which.
        service: String,
        /// Whether it runs on.
        runs_on: bool,
    },
    /// We started it: its start period begins. Asks at once.
    Started {
        /// Which.
        service: String,
    },
    /// Whoever starts it says whether it is waited for: until it has come up, nothing that it does not yet answer speaks
    /// against it.
    Awaited {
        /// Which.
        service: String,
        /// How far it has come.
        awaiting: Awaiting,
    },
    /// Switches probing off and on by hand.
    Pause {
        /// Which.
        service: String,
        /// Off (true) or on again.
        on: bool,
    },
    /// What was seen of it on this machine, which no probe can know.
    Seen {
        /// Which.
        service: String,
        /// All of it: what was seen before holds no longer.
        sight: Box<Sight>,
    },
    /// End. Probes under way are dropped.
    Stop,
}
