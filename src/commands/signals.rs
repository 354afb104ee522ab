//! The signals that end a command.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;
use crate::exit::Exit;

/// SIGINT, SIGTERM and SIGHUP, taken from the moment this exists.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// Where the system refuses to.
    pub(crate) fn new() -> Result<Self, Error> {
        let take = |kind| {
            signal(kind).map_err(|error| Error::usage(format!("cannot listen to signals: {error}")))
        };
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            hangup: take(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one and gives the exit code that it leads to.
    pub(crate) async fn recv(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            // 128 and the number of the signal, as a shell reports it.
            _ = self.hangup.recv() => Exit::Code(129),
        }
    }
}
