//! The signals that end our own part of an action.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;
use crate::exit::Exit;

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM, or the terminal has gone.
    Terminated,
}

impl Ending {
    /// The exit code that it leads to.
    pub(super) const fn exit(self) -> Exit {
        match self {
            Self::Interrupted => Exit::Interrupted,
            Self::Terminated => Exit::Terminated,
        }
    }
}

/// The signals, taken from the moment that something may be sent.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes them.
    pub(super) fn install() -> Result<Self, Error> {
        let take = |kind| signal(kind).map_err(|error| Error::Bug(error.into()));
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            hang_up: take(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.interrupt.recv() => Ending::Interrupted,
            _ = self.terminate.recv() => Ending::Terminated,
            _ = self.hang_up.recv() => Ending::Terminated,
        }
    }
}
