//! What may be said to a running engine: the only way anything but a probe touches a tracker.

use crate::health::Flag;

/// One thing that is said to the engine. A service that is not there is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "starting services, pausing by hand and looking at sources are said by commands to come"
    )
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
    /// Switches probing off and on by hand.
    Pause {
        /// Which.
        service: String,
        /// Off (true) or on again.
        on: bool,
    },
    /// Sets or clears a flag that no probe can know.
    Flag {
        /// Which.
        service: String,
        /// The flag.
        flag: Flag,
        /// A sentence about it (`src/app.py changed 3 s after it started`), which sets it; `None` clears it.
        note: Option<String>,
    },
    /// End. Probes under way are dropped.
    Stop,
}
