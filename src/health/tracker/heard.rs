//! What an outcome tells of who is there, apart from whether it is good.

use crate::health::{FailureKind, Outcome, Reading, State};

/// How much was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The service answered: a status code, a payload, a success.
    Spoke,
    /// Somebody is there, but no answer came of it: a broken handshake, another protocol.
    Noise,
    /// Nothing, and nothing follows from it: a time-out, a name that does not resolve, a fault on our own side.
    Nothing,
    /// Nobody listens: refused, or the socket is gone.
    Refused,
}

impl Heard {
    pub(super) fn of(outcome: &Outcome) -> Self {
        if outcome.refused {
            Self::Refused
        } else if outcome.code.is_some() || outcome.reading.is_some() || outcome.result.is_success()
        {
            Self::Spoke
        } else {
            match outcome.failure.as_ref().map(|failure| failure.kind) {
                Some(
                    FailureKind::Timeout
                    | FailureKind::Dns
                    | FailureKind::Connect
                    | FailureKind::Exit
                    | FailureKind::Local,
                )
                | None => Self::Nothing,
                Some(_) => Self::Noise,
            }
        }
    }

    /// Whether somebody is there.
    pub(super) const fn is_answer(self) -> bool {
        matches!(self, Self::Spoke | Self::Noise)
    }
}

/// Whether the connection broke off: what a process that ends does to whoever is being served. Nobody listening is more
/// than that, and a time-out less.
pub(super) fn broke_off(outcome: &Outcome) -> bool {
    let kind = outcome.failure.as_ref().map(|failure| failure.kind);
    let broke = matches!(
        kind,
        Some(FailureKind::Connect | FailureKind::Tls | FailureKind::Protocol)
    );
    broke && !outcome.refused
}

/// A word, header or flag of an answer that explains its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Claim {
    /// The service says that it is finishing.
    Draining(Option<String>),
    /// The service says that it is coming up.
    Starting(Option<String>),
}

impl Claim {
    pub(super) fn of(reading: &Reading) -> Option<Self> {
        let status = reading.status.as_ref();
        let raw = status.and_then(|status| status.raw.clone());
        match status.map(|status| status.state) {
            Some(State::Draining | State::Stopped) => Some(Self::Draining(raw)),
            // A flag or header says so, not the word.
            _ if reading.draining => Some(Self::Draining(None)),
            Some(State::Starting) => Some(Self::Starting(raw)),
            _ => None,
        }
    }

    pub(super) const fn is_draining(&self) -> bool {
        matches!(self, Self::Draining(_))
    }
}

/// Whether the answer is whole, so that what it leaves out is not said any more.
pub(super) fn is_whole(outcome: &Outcome) -> bool {
    let kind = outcome.failure.as_ref().map(|failure| failure.kind);
    outcome.reading.is_some()
        || !matches!(
            kind,
            Some(
                FailureKind::Timeout
                    | FailureKind::Decode
                    | FailureKind::BodyLimit
                    | FailureKind::Protocol
            )
        )
}
