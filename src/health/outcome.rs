//! What one probe found. A service that is down is a value here, never an `Err`.

use std::time::Duration;

use super::{FailureKind, Identity, Moment, ProbeResult, Reading};

/// Why a probe is not a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class, one of a closed set.
    pub kind: FailureKind,
    /// A sentence that says what failed and in which phase, cleaned for any terminal.
    pub message: String,
}

impl Failure {
    /// A failure of this kind with this message.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// The duration of each phase of a probe, as far as it came and as far as the library measures it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// The time of name resolution.
    pub resolve: Option<Duration>,
    /// TCP (and TLS, where the library does not tell them apart) connection.
    pub connect: Option<Duration>,
    /// From the request to the end of the response head.
    pub head: Option<Duration>,
    /// The time of reading the body.
    pub body: Option<Duration>,
}

/// The outcome of one probe: an answer, or the lack of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Pass, warn, fail or unknown, before any threshold.
    pub result: ProbeResult,
    /// Why, unless it is a pass. A warn that comes from the reading alone has none.
    pub failure: Option<Failure>,
    /// The decoded payload, where there is one.
    pub reading: Option<Reading>,
    /// Time from the start of the probe to its end, without the wait for a place.
    pub latency: Option<Duration>,
    /// The address that answered or was last tried, as `ip:port` or a socket path.
    pub address: Option<String>,
    /// The HTTP status code, where one arrived.
    pub code: Option<u16>,
    /// True where nothing listens: the connection was refused, or the socket file is gone. After a
    /// draining answer such silence means *stopped*; a time-out never does.
    pub refused: bool,
    /// The latency by phase.
    pub phases: Phases,
    /// Signals of who answered that do not come from the payload (owner of the port).
    pub identity: Option<Identity>,
    /// When the probe ended.
    pub at: Moment,
}

impl Outcome {
    /// An outcome with a result and nothing else known.
    pub fn bare(result: ProbeResult, at: Moment) -> Self {
        Self {
            result,
            failure: None,
            reading: None,
            latency: None,
            address: None,
            code: None,
            refused: false,
            phases: Phases::default(),
            identity: None,
            at,
        }
    }

    /// Returns the kind of the failure, where it is one.
    pub(crate) fn failure_kind(&self) -> Option<FailureKind> {
        self.failure.as_ref().map(|failure| failure.kind)
    }

    /// Returns the outcome of a failed probe.
    pub fn failed(kind: FailureKind, message: impl Into<String>, at: Moment) -> Self {
        let result = match kind {
            FailureKind::Auth | FailureKind::Local => ProbeResult::Unknown,
            _ => ProbeResult::Fail,
        };
        Self {
            failure: Some(Failure::new(kind, message)),
            ..Self::bare(result, at)
        }
    }
}
