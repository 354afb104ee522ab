//! SIGTERM and SIGINT as causes of a shutdown.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::lifecycle::ShutdownCause;

/// The installed handlers; while they stand, the signals no longer kill the process.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next of the two.
    pub(super) async fn next(&mut self) -> ShutdownCause {
        tokio::select! {
            _ = self.terminate.recv() => ShutdownCause::Signal("SIGTERM"),
            _ = self.interrupt.recv() => ShutdownCause::Signal("SIGINT"),
        }
    }
}
