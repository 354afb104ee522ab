//! What is known of who answers: the signals that tell one process from its successor.
//!
//! How two of them are weighed stands in `sameness`.

use std::time::Duration;

use jiff::Timestamp;

use super::Moment;

/// When a process started, and how exactly that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The time of the start, UTC.
    pub at: Timestamp,
    /// Two starts closer than this may be the same one: the resolution of the reported time (a second for
    /// whole seconds), or [`Self::UPTIME_TOLERANCE`] plus the latency for a start derived from an uptime.
    pub tolerance: Duration,
    /// True where it was derived from an uptime and not reported itself.
    pub derived: bool,
}

impl Start {
    /// The tolerance of a start derived from an uptime: that is often in whole seconds, and measured before it arrives.
    pub const UPTIME_TOLERANCE: Duration = Duration::from_secs(2);
}

/// A process of this machine, told from any later one with the same pid by its kernel start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    /// The process id (pid).
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: start in clock ticks after boot.
    pub start_ticks: u64,
}

/// The owner of a listening port of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedPort {
    /// The processes that hold the listening socket, lowest pid first. A pre-forking server has several.
    pub owners: Vec<Process>,
}

/// All that is known of who answers at an address. Empty fields are unknown, never different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The start of the process, as reported.
    pub start: Option<Start>,
    /// The name of the instance, as reported.
    pub instance: Option<String>,
    /// Owner of the listening socket, or the process proved by pid file or record.
    pub process: Option<Process>,
    /// Reported version: supports, never proves.
    pub version: Option<String>,
    /// Sum of the reported success and failure counters: a fall supports, never proves.
    pub counted: Option<u64>,
    /// The address that the identity was read from.
    pub address: Option<String>,
    /// When it was read.
    pub read_at: Option<Moment>,
}
