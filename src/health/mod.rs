//! Words and state machine: what is known of a service and what follows from it.
//!
//! Pure: no clock, no file, no socket. Time comes in as a [`Moment`]. Nothing here knows YAML,
//! HTTP or a terminal, and no type here is written to a file as it is.

mod change;
mod details;
mod fleet;
mod host_finding;
mod identity;
mod info;
mod moment;
mod outcome;
mod reading;
mod reload;
mod sameness;
mod select;
mod snapshot;
mod tracker;
mod words;

pub use change::Change;
pub use details::details;
pub use fleet::{Fleet, Update};
pub use host_finding::{
    ChangedFile, CodeFiles, HostFinding, LocalProcess, OnRecord, ProcessExit, STILL_FRESH,
    Staleness, is_crash_loop,
};
pub use identity::{Identity, OwnedPort, Process, Start};
pub use info::{ProbeInfo, Role, ServiceInfo};
pub use moment::Moment;
pub use outcome::{Failure, Outcome, Phases};
pub use reading::{Age, Beat, Dependency, Heartbeat, Reading, StatusWord};
pub use reload::{Part, ReloadReply, ReloadStatus};
pub use sameness::{Comparison, OldProcess, Sameness};
pub use select::{Candidate, SelectError, Selection, Selector};
pub use snapshot::{
    Counters, DependencySnapshot, HeartbeatSnapshot, ProbeSnapshot, ServiceSnapshot,
};
pub use tracker::{LifecycleEvent, StartProgress, Tracker};
pub(crate) use words::words_macro;
pub use words::{
    CheckVerdict, DependencyStatus, FailureKind, Flag, HotFiles, ProbeResult, RestartCause, State,
    VerdictPolicy,
};
