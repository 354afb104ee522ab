//! The signals that end a command.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;
use crate::exit::Exit;
use crate::host::signals::is_ignored;

/// SIGINT, SIGTERM and SIGHUP, taken from the moment this exists. One that was ignored when healthctl was started, as `nohup`
/// and a shell's `&` have it, stays ignored: `None`.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// Where the system refuses to.
    pub(crate) fn new() -> Result<Self, Error> {
        let take = |kind: SignalKind| {
            if is_ignored(kind.as_raw_value()) {
                return Ok(None);
            }
            let taken = signal(kind);
            taken
                .map(Some)
                .map_err(|error| Error::usage(format!("cannot listen to signals: {error}")))
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
            () = next(&mut self.interrupt) => Exit::Interrupted,
            () = next(&mut self.terminate) => Exit::Terminated,
            () = next(&mut self.hangup) => Exit::HungUp,
        }
    }
}

/// Waits for the next signal of a kind; for ever where it is ignored.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
